"""The build environment: read in one place, what an author can set kept apart from what the sidecar has."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cmp_core
from cmp_core import environment as module
from cmp_core.environment import (
    Application,
    BuildEnvironment,
    NoProgress,
    Override,
    check_settings,
    process_variables,
)
from cmp_core.errors import SettingsError, SourceValidationError

PACKAGE = Path(cmp_core.__file__).parent
READS_THE_ENVIRONMENT = {"environ", "environb", "getenv", "getenvb", "expandvars", "expanduser", "gettempdir", "home"}


@pytest.fixture(autouse=True)
def no_settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the settings file would lie."""
    path = tmp_path / "settings.yaml"
    monkeypatch.setattr(module, "SETTINGS_PATH", path)
    return path


def refusal(text: str) -> str:
    """Return what the error says about `text` as parameters."""
    with pytest.raises(SourceValidationError) as caught:
        BuildEnvironment.from_environ({"ARGOCD_APP_PARAMETERS": text})
    return str(caught.value)


def test_the_application_is_read_from_argo_cds_variables() -> None:
    """Each under the name that Argo CD gives it."""
    environ = {
        "ARGOCD_APP_NAME": "demo",
        "ARGOCD_APP_NAMESPACE": "prod",
        "ARGOCD_APP_PROJECT_NAME": "team",
        "ARGOCD_APP_REVISION": "abc",
        "ARGOCD_APP_SOURCE_REPO_URL": "https://git.example.com/x",
        "ARGOCD_APP_SOURCE_PATH": "apps/demo",
        "ARGOCD_APP_SOURCE_TARGET_REVISION": "main",
        "KUBE_VERSION": "1.34.2",
        "KUBE_API_VERSIONS": "v1,apps/v1,",
    }

    environment = BuildEnvironment.from_environ(environ)

    assert environment.application == Application(
        name="demo",
        namespace="prod",
        project="team",
        revision="abc",
        repository="https://git.example.com/x",
        path="apps/demo",
        target_revision="main",
    )
    assert (environment.kube_version, environment.kube_api_versions) == ("1.34.2", ("v1", "apps/v1"))


def test_an_empty_environment_is_enough() -> None:
    """Outside Argo CD everything is empty, and the settings are the defaults."""
    environment = BuildEnvironment.from_environ({})

    assert environment.application == Application()
    assert (environment.parameters, environment.variable_overrides, environment.kube_api_versions) == ((), (), ())
    assert environment.settings.timeout == environment.deadline.seconds == 45


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument it is the process's own."""
    monkeypatch.setenv("ARGOCD_APP_NAME", "from-the-process")

    environment = BuildEnvironment.from_environ()

    assert environment.application.name == "from-the-process"
    assert process_variables()["ARGOCD_APP_NAME"] == "from-the-process"


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("null", ()),
        ("[]", ()),
        ('[{"name": "path", "string": ""}]', (("path", ""),)),
        ('[{"name": "path", "string": "a=b c"}]', (("path", "a=b c"),)),
        ('[{"name": "include", "array": ["a", "b"]}]', (("include", ["a", "b"]),)),
        ('[{"name": "include", "array": []}]', (("include", []),)),
        ('[{"name": "limits", "map": {"objects": "5"}}]', (("limits", {"objects": "5"}),)),
        ('[{"name": "a", "string": null, "array": null, "map": {}}]', (("a", {}),)),
        ('[{"name": "a", "string": "1"}, {"name": "b", "string": "2"}]', (("a", "1"), ("b", "2"))),
    ],
)
def test_parameters_come_as_argo_cd_sends_them(text: str, parameters: tuple[tuple[str, object], ...]) -> None:
    """Strings, arrays and maps; `null` where the plugin is named without parameters."""
    environment = BuildEnvironment.from_environ({"ARGOCD_APP_PARAMETERS": text, "PARAM_PATH": "ignored"})

    assert [(override.key, override.value) for override in environment.parameters] == list(parameters)
    assert all(override.origin == f"parameter `{override.key}`" for override in environment.parameters)


UNUSABLE = (
    "has no usable value: give it `string`, `array` (of texts) or `map` (of texts) in spec.source.plugin.parameters"
)
NAMELESS = "ARGOCD_APP_PARAMETERS: every parameter needs a `name`: add one in spec.source.plugin.parameters"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "{not json",
            (
                "ARGOCD_APP_PARAMETERS: is not JSON (Expecting property name enclosed in double quotes: "
                "line 1 column 2 (char 1)): set it as Argo CD does, or unset it"
            ),
        ),
        ("{}", "ARGOCD_APP_PARAMETERS: must be an array of parameters: set it as Argo CD does, or unset it"),
        ('"text"', "ARGOCD_APP_PARAMETERS: must be an array of parameters: set it as Argo CD does, or unset it"),
        ("[null]", NAMELESS),
        ('["path"]', NAMELESS),
        ('[{"string": "x"}]', NAMELESS),
        ('[{"name": "", "string": "x"}]', NAMELESS),
        ('[{"name": 5, "string": "x"}]', NAMELESS),
        ('[{"name": "path"}]', f"parameter `path`: {UNUSABLE}"),
        ('[{"name": "path", "string": 5}]', f"parameter `path`: {UNUSABLE}"),
        ('[{"name": "path", "string": false}]', f"parameter `path`: {UNUSABLE}"),
        ('[{"name": "path", "array": "x"}]', f"parameter `path`: {UNUSABLE}"),
        ('[{"name": "path", "array": ["x", 5]}]', f"parameter `path`: {UNUSABLE}"),
        ('[{"name": "path", "map": {"a": {"b": "c"}}}]', f"parameter `path`: {UNUSABLE}"),
    ],
)
def test_parameters_of_another_shape_are_refused(text: str, message: str) -> None:
    """The reader is told which parameter and what it may be."""
    told = refusal(text)

    assert told == message


def test_bottomless_parameters_are_refused() -> None:
    """Their author can nest as deep as a variable is long."""
    told = refusal("[" * 100_000)

    assert told.startswith("ARGOCD_APP_PARAMETERS: is not JSON (")


KEYS = st.text() | st.sampled_from(["name", "string", "array", "map"])


@given(st.recursive(st.none() | st.integers() | st.text(), lambda all_: st.lists(all_) | st.dictionaries(KEYS, all_)))
def test_any_json_gives_parameters_or_one_error(value: object) -> None:
    """Nothing that an author writes is a defect of ours."""
    try:
        environment = BuildEnvironment.from_environ({"ARGOCD_APP_PARAMETERS": json.dumps(value)})
    except SourceValidationError as error:
        told = str(error)
    else:
        told = "parameter"
        assert all(isinstance(override, Override) for override in environment.parameters)

    assert told.startswith(("ARGOCD_APP_PARAMETERS: ", "parameter"))


@pytest.mark.parametrize("unset", [{}, {"ARGOCD_APP_PARAMETERS": ""}])
def test_param_variables_stand_in_where_there_is_no_json(unset: dict[str, str]) -> None:
    """Strings only, under their variables' own names; others' variables are left alone."""
    environ = {"PARAM_BUCKET": "b", "PARAM_": "x", "PARAM_lower": "x", "PARAMETER": "x"} | unset

    environment = BuildEnvironment.from_environ(environ)

    assert environment.parameters == (Override("BUCKET", "b", "PARAM_BUCKET"),)


def test_only_prefixed_variables_override() -> None:
    """`ARGOCD_ENV_CMP_*` and no other `ARGOCD_ENV_*`, empty ones included."""
    environ = {"ARGOCD_ENV_CMP_PATH": "", "ARGOCD_ENV_CMP_BUCKET": "b", "ARGOCD_ENV_OTHER": "x", "CMP_TIMEOUT": "9"}

    environment = BuildEnvironment.from_environ(environ)

    assert environment.variable_overrides == (
        Override("BUCKET", "b", "ARGOCD_ENV_CMP_BUCKET"),
        Override("PATH", "", "ARGOCD_ENV_CMP_PATH"),
    )


def test_variables_hold_nothing_that_an_author_can_set() -> None:
    """A backend may believe them: neither plugin.env nor parameters nor what the Application says is in it."""
    authors = {
        "ARGOCD_ENV_AWS_ENDPOINT_URL": "https://evil.example.com",
        "ARGOCD_ENV_CMP_BUCKET": "b",
        "ARGOCD_APP_PARAMETERS": "[]",
        "ARGOCD_APP_SOURCE_PATH": "p",
        "ARGOCD_APP_NAME": "n",
        "PARAM_BUCKET": "b",
        "PARAM_INCLUDE_0": "i",
    }

    environment = BuildEnvironment.from_environ({"AWS_REGION": "eu-central-1", "HOME": "/tmp", **authors})  # noqa: S108  # never used

    assert environment.variables == {"AWS_REGION": "eu-central-1", "HOME": "/tmp"}  # noqa: S108  # as above


def test_variables_are_not_shown() -> None:
    """They hold credentials, and a dataclass shows its fields wherever it is printed."""
    environment = BuildEnvironment.from_environ({"AWS_SECRET_ACCESS_KEY": "made-up-secret"})

    assert "made-up-secret" not in repr(environment)


def test_the_identity_is_that_of_one_request() -> None:
    """It depends on every variable and setting, but for what a shell changes between two commands."""
    base = {"ARGOCD_APP_NAME": "demo", "AWS_REGION": "r"}
    same = [base, base | {"SHLVL": "2", "_": "/bin/x", "OLDPWD": "/x"}]
    others = [base | {"ARGOCD_APP_NAME": "x"}, base | {"ARGOCD_ENV_X": "1"}, base | {"CMP_TIMEOUT": "9"}, {}]

    identities = [BuildEnvironment.from_environ(environ).identity for environ in (*same, *others)]

    assert identities[0] == identities[1]
    assert len(set(identities)) == 5


def test_the_identity_depends_on_the_settings_file(no_settings_file: Path) -> None:
    """An operator may change it between two commands."""
    before = BuildEnvironment.from_environ({}).identity
    no_settings_file.write_text("timeout: 9\n", encoding="utf-8")

    after = BuildEnvironment.from_environ({}).identity

    assert before != after


def test_undecodable_bytes_in_a_variable_do_no_harm() -> None:
    """The system allows them; Python shows them as half characters."""
    environment = BuildEnvironment.from_environ({"ODD": "\udcff"})

    assert environment.variables["ODD"] == "\udcff"
    assert len(environment.identity) == 64


def test_bad_settings_stop_the_reading(no_settings_file: Path) -> None:
    """No command runs with settings that its operator did not mean."""
    no_settings_file.write_text("timeout: soon\n", encoding="utf-8")

    with pytest.raises(SettingsError, match=r"settings\.yaml:1: `timeout` must be a number"):
        BuildEnvironment.from_environ({})


def test_the_short_check_finds_the_same_mistakes(no_settings_file: Path) -> None:
    """`version` and `discover` check the settings without reading the rest of the environment."""
    check_settings({"ARGOCD_APP_PARAMETERS": "not JSON"})
    with pytest.raises(SettingsError, match="CMP_TIMEOT"):
        check_settings({"CMP_TIMEOT": "5"})
    no_settings_file.write_text("timeout: soon\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"settings\.yaml:1"):
        check_settings({})


def test_a_watcher_takes_the_place_of_another() -> None:
    """All else stays, the running deadline included."""
    environment = BuildEnvironment.from_environ({"A": "b"})
    watcher = NoProgress()

    watched = environment.watched_by(watcher)

    assert watched.progress is watcher
    assert (watched.deadline, watched.identity) == (environment.deadline, environment.identity)


def modules(*, without: set[str]) -> Iterator[tuple[str, ast.Module]]:
    """Yield every module that is part of a request, but those in `without`."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.name not in without and path.parent.name != "testing":
            yield path.name, ast.parse(path.read_text(encoding="utf-8"))


def attributes_and_names(tree: ast.Module) -> set[str]:
    """Return every name that a module uses, imports or reaches by a dot."""
    found = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    found |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return found | {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}


def test_nothing_else_in_the_package_reads_the_environment() -> None:
    """`os.environ` and what reads it in secret stand in `environment.py` only."""
    offenders = {
        name: used & READS_THE_ENVIRONMENT
        for name, tree in modules(without={"environment.py"})
        if (used := attributes_and_names(tree)) & READS_THE_ENVIRONMENT
    }

    assert offenders == {}
    assert "environ" in attributes_and_names(ast.parse((PACKAGE / "environment.py").read_text(encoding="utf-8")))


def test_only_the_command_line_writes_to_stdout() -> None:
    """One stray word there becomes a field of somebody's manifest."""
    offenders = {
        name: used & {"print", "stdout", "STDOUT", "__stdout__", "pprint"}
        for name, tree in modules(without={"cli.py"})
        if (used := attributes_and_names(tree)) & {"print", "stdout", "STDOUT", "__stdout__", "pprint"}
    }

    assert offenders.keys() <= {"programs.py"}  # which reads a child's stdout
