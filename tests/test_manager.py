"""The plugin manager: one backend is loaded, and what it does wrong is one line with its distribution and version."""

import time
from pathlib import Path

import pytest
from host_support import BACKEND, MANIFEST, MODEL, FakeSite

from cmp_core.artifact import Artifact
from cmp_core.deadline import Deadline
from cmp_core.documents import Document
from cmp_core.environment import BuildEnvironment
from cmp_core.errors import BackendLoadError, CmpError, DeadlineExceededError, SettingsError, SourceNotFoundError
from cmp_core.installed import InstalledBackend
from cmp_core.manager import Backend, load_backend
from cmp_core.models import Source, StrictModel
from cmp_core.nesting import NestedRender, Nesting
from cmp_core.settings import Settings

WHO = "backend `demo` (cmp-backend-demo 1.2)"


def load(fake_site: FakeSite, code: str = BACKEND) -> Backend:
    """Install a backend of this code and load it."""
    return load_backend(fake_site.install(code))


def refusal(fake_site: FakeSite, code: str) -> str:
    """Return the line that says why a backend of this code cannot be loaded."""
    with pytest.raises(BackendLoadError) as caught:
        load(fake_site, code)
    return str(caught.value)


def source_of(backend: Backend) -> Source:
    """Return a source of the made-up backend."""
    return backend.model.model_validate({"bucket": "b"})


def fetch(backend: Backend, destination: Path, environment: BuildEnvironment | None = None) -> Artifact:
    """Fetch with the made-up backend into a new folder."""
    destination.mkdir()

    source, environment = source_of(backend), environment or BuildEnvironment()
    return backend.fetch(source, destination, environment, Nesting(source, environment))


def render(backend: Backend, artifact: Artifact) -> list[Document]:
    """Render what the made-up backend has fetched."""
    environment = BuildEnvironment()
    return backend.render(artifact, source_of(backend), environment, NestedRender(artifact.root, environment))


def defect(backend: Backend, destination: Path) -> str:
    """Return the line that says what `fetch` did wrong."""
    with pytest.raises(CmpError) as caught:
        fetch(backend, destination)
    assert caught.value.exit_code == 70
    return str(caught.value)


def test_a_sound_backend_is_loaded(fake_site: FakeSite, tmp_path: Path) -> None:
    """Its model is known and its hooks answer; the host renders where it does not."""
    backend = load(fake_site)

    artifact = fetch(backend, tmp_path / "to")
    documents = render(backend, artifact)

    assert backend.model.__name__ == "DemoSource"
    assert [document.content.decode() for document in documents] == [MANIFEST]


def test_only_the_named_backend_is_imported(fake_site: FakeSite) -> None:
    """A broken neighbour does no harm."""
    fake_site.install("raise RuntimeError('broken')", name="broken", distribution="cmp-backend-broken")

    backend = load(fake_site)

    assert backend.installed.name == "demo"


def test_an_object_of_a_module_can_be_the_target(fake_site: FakeSite) -> None:
    """`module:attribute`, as entry points allow."""
    code = f"{BACKEND}\nimport types\nhooks = types.SimpleNamespace(source_model=source_model, fetch=fetch)\n"

    backend = load_backend(fake_site.install(code, target="{module}:hooks"))

    assert backend.model.__name__ == "DemoSource"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import no_such_sdk", "ModuleNotFoundError: No module named 'no_such_sdk'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def f(:", "SyntaxError: "),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("raise RuntimeError('two\\n  lines')", "RuntimeError: two lines"),
    ],
)
def test_a_broken_import_is_one_line(fake_site: FakeSite, code: str, reason: str) -> None:
    """Whatever a module raises, even an exit; with what to do."""
    told = refusal(fake_site, code)

    assert told.startswith(f"{WHO} cannot be imported from `made_up_backend_")
    assert f"`: {reason}" in told
    assert told.endswith(": install cmp-backend-demo again, or ask its authors")
    assert "\n" not in told


def test_a_missing_attribute_is_a_broken_import(fake_site: FakeSite) -> None:
    """The entry point names what is not there."""
    with pytest.raises(BackendLoadError) as caught:
        load_backend(fake_site.install(target="{module}:absent"))

    assert "has no attribute 'absent': install cmp-backend-demo again" in str(caught.value)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("fetsch", "there is no hook `fetsch`: did you mean `fetch`?"),
        ("source_modle", "there is no hook `source_modle`: did you mean `source_model`?"),
        ("zzz", "there is no hook `zzz`: the hooks are source_model, settings_model, fetch, render, diagnose"),
    ],
)
def test_a_misspelt_hook_fails(fake_site: FakeSite, written: str, told: str) -> None:
    """Without a word pluggy would never call it, and nobody would know."""
    code = f"{BACKEND}\n@hookimpl\ndef {written}():\n    pass\n"

    line = refusal(fake_site, code)

    assert line == f"{WHO}: {told}"


def test_wrong_arguments_fail(fake_site: FakeSite) -> None:
    """A hook takes those arguments that its spec has, by name."""
    code = f"{MODEL}\n@hookimpl\ndef fetch(source, target):\n    pass\n"

    line = refusal(fake_site, code)

    assert line == (
        f"{WHO}: `fetch(source, target)` does not fit its spec: Argument(s) {{'target'}} are declared in the hookimpl "
        "but can not be found in the hookspec: see the hook reference"
    )


@pytest.mark.parametrize(
    ("code", "hook"),
    [
        (MODEL, "fetch"),
        ("from cmp_core import hookimpl\n@hookimpl\ndef fetch(source):\n    pass\n", "source_model"),
        (f"{MODEL}\ndef fetch(source, destination):\n    pass\n", "fetch"),
    ],
)
def test_a_required_hook_that_is_missing_fails(fake_site: FakeSite, code: str, hook: str) -> None:
    """A function that is not marked is no hook either."""
    line = refusal(fake_site, code)

    assert line == f"{WHO} does not implement `{hook}`: mark the function with `@hookimpl`"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("return None", "`source_model` must return a subclass of Source, not `None`"),
        ("return 'text'", "`source_model` must return a subclass of Source, not `text`"),
        ("return dict", "`source_model` must return a subclass of Source, not `<class 'dict'>`"),
        ("1 / 0", "`source_model` failed: ZeroDivisionError: division by zero: ask the authors of cmp-backend-demo"),
        ("raise SystemExit", "`source_model` failed: SystemExit: : ask the authors of cmp-backend-demo"),
        ("return Nowhere", "`Nowhere` lacks `location`: define the property"),
    ],
)
def test_a_model_that_is_none_fails(fake_site: FakeSite, body: str, told: str) -> None:
    """It is found when the backend is loaded, not in the middle of a request."""
    code = (
        "from cmp_core import Source, hookimpl\nclass Nowhere(Source):\n    pass\n"
        f"@hookimpl\ndef source_model():\n    {body}\n@hookimpl\ndef fetch():\n    pass\n"
    )

    line = refusal(fake_site, code)

    assert line == f"{WHO}: {told}"


def test_a_backends_own_error_passes_as_it_is(fake_site: FakeSite, tmp_path: Path) -> None:
    """What a backend explains needs no further explanation."""
    code = f"{MODEL}\n@hookimpl\ndef fetch():\n    raise cmp_core.SourceNotFoundError('not there')\n"
    backend = load(fake_site, code)

    with pytest.raises(SourceNotFoundError, match=r"^not there$"):
        fetch(backend, tmp_path / "to")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("raise OSError(5, 'broken\\ndisk')", "OSError: [Errno 5] broken disk"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("raise KeyError('Contents')", "KeyError: 'Contents'"),
    ],
)
def test_a_foreign_error_is_a_defect_of_the_backend(fake_site: FakeSite, tmp_path: Path, body: str, told: str) -> None:
    """One line with distribution and version; an exit with code 0 must not pass for a success."""
    backend = load(fake_site, f"{MODEL}\n@hookimpl\ndef fetch():\n    {body}\n")

    line = defect(backend, tmp_path / "to")

    assert line == (
        f"{WHO}: defect in `fetch`: {told}: report it there, with the traceback that CMP_LOG_LEVEL=debug prints"
    )


@pytest.mark.parametrize(
    "body",
    [
        "return None",
        "return destination",
        "return Artifact.from_directory(destination.parent / 'elsewhere')",
        "return Artifact.from_directory(destination / '..' / 'elsewhere')",
        (
            "(destination / 'link').symlink_to(destination.parent / 'elsewhere')\n"
            "    return Artifact.from_directory(destination / 'link')"
        ),
        "return Artifact(root=str(destination), files=(), revision='', digest='', size=0)",
    ],
)
def test_rubbish_from_fetch_is_refused(fake_site: FakeSite, tmp_path: Path, body: str) -> None:
    """Only an artifact that lies below its destination is taken."""
    (tmp_path / "elsewhere").mkdir()
    backend = load(fake_site, f"{MODEL}\n@hookimpl\ndef fetch(destination):\n    {body}\n")

    line = defect(backend, tmp_path / "to")

    assert line == f"{WHO}: `fetch` must return an Artifact below its destination: report it there"


def test_a_subfolder_of_the_destination_may_be_the_artifact(fake_site: FakeSite, tmp_path: Path) -> None:
    """An archive often has one folder around everything."""
    body = "(destination / 'inner').mkdir()\n    return Artifact.from_directory(destination / 'inner')"
    backend = load(fake_site, f"{MODEL}\n@hookimpl\ndef fetch(destination):\n    {body}\n")

    artifact = fetch(backend, tmp_path / "to")

    assert artifact.root == tmp_path / "to" / "inner"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("return ['text']", "`render` must return Documents: report it there"),
        ("return None", "defect in `render`: TypeError: 'NoneType' object is not iterable: "),
        ("yield 1 / 0", "defect in `render`: ZeroDivisionError: division by zero: "),
    ],
)
def test_rubbish_from_render_is_refused(fake_site: FakeSite, tmp_path: Path, body: str, told: str) -> None:
    """A render that forgets to return is not replaced by the host's behind its back."""
    backend = load(fake_site, f"{BACKEND}\n@hookimpl\ndef render():\n    {body}\n")
    artifact = fetch(backend, tmp_path / "to")

    with pytest.raises(CmpError) as caught:
        render(backend, artifact)

    assert str(caught.value).startswith(f"{WHO}: {told}")


def test_a_backends_render_comes_before_the_hosts(fake_site: FakeSite, tmp_path: Path) -> None:
    """It decides alone what is rendered."""
    code = f"{BACKEND}\n@hookimpl\ndef render():\n    return [cmp_core.Document(b'x: 1\\n', 'made', 1)]\n"
    backend = load(fake_site, code)
    artifact = fetch(backend, tmp_path / "to")

    documents = render(backend, artifact)

    assert [document.content for document in documents] == [b"x: 1\n"]


def test_a_wrapper_alone_leaves_the_rendering_to_the_host(fake_site: FakeSite, tmp_path: Path) -> None:
    """It stands around a render; it is none."""
    code = f"{BACKEND}\n@hookimpl(wrapper=True)\ndef render():\n    return list((yield))\n"
    backend = load(fake_site, code)
    artifact = fetch(backend, tmp_path / "to")

    documents = render(backend, artifact)

    assert [document.content.decode() for document in documents] == [MANIFEST]


def test_a_foreign_error_past_the_deadline_is_the_deadlines(fake_site: FakeSite, tmp_path: Path) -> None:
    """A library that was interrupted tells it in its own words; the user reads ours."""
    backend = load(fake_site, f"{MODEL}\n@hookimpl\ndef fetch():\n    raise RuntimeError('interrupted')\n")
    deadline = Deadline(0.001)
    deadline.step = "fetching demo://b"
    while deadline.remaining():
        time.sleep(0)

    with pytest.raises(DeadlineExceededError, match="while fetching demo://b"):
        fetch(backend, tmp_path / "to", BuildEnvironment(deadline=deadline))


def test_a_backend_called_like_the_host_is_no_clash(fake_site: FakeSite) -> None:
    """Its name is its trigger file's prefix, whatever that is."""
    backend = load_backend(fake_site.install(name="cmp_core"))

    assert backend.installed == InstalledBackend("cmp_core", "cmp-backend-demo", "1.2", backend.installed.target)


SETTINGS = f"""{BACKEND}
from cmp_core import StrictModel

class DemoSettings(StrictModel):
    most: int = 3

@hookimpl
def settings_model():
    return DemoSettings
"""


def test_a_backends_settings_are_checked_before_it_fetches(fake_site: FakeSite, tmp_path: Path) -> None:
    """Whether it asks for them or not."""
    backend = load(fake_site, SETTINGS)
    environment = BuildEnvironment(settings=Settings(backends={"demo": {"most": "4"}}))
    wrong = BuildEnvironment(settings=Settings(backends={"demo": {"most": "x"}}))

    fetch(backend, tmp_path / "sound", environment)
    with pytest.raises(SettingsError, match=r"`backends.demo`: `most` must be a whole number"):
        fetch(backend, tmp_path / "wrong", wrong)

    assert environment.settings.of("demo", backend.settings_model or StrictModel).model_dump() == {"most": 4}
    assert list((tmp_path / "wrong").iterdir()) == []


def test_a_backend_without_settings_can_be_told_nothing(fake_site: FakeSite, tmp_path: Path) -> None:
    """The operator believes in something that nobody reads."""
    environment = BuildEnvironment(settings=Settings(backends={"demo": {"most": "4"}}))

    with pytest.raises(SettingsError, match="this backend has no settings"):
        fetch(load(fake_site), tmp_path / "to", environment)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (SETTINGS.replace("return DemoSettings", "return 5"), "`settings_model` must return a subclass of StrictModel"),
        (SETTINGS.replace("return DemoSettings", "1 / 0"), "`settings_model` failed: ZeroDivisionError"),
        (SETTINGS.replace("most: int = 3", "most: int"), "`DemoSettings.most` lacks a default: give it one"),
    ],
)
def test_a_malformed_model_of_settings_is_told(fake_site: FakeSite, code: str, told: str) -> None:
    """A sidecar whose operator has set nothing must run too, so every field has a default."""
    line = refusal(fake_site, code)

    assert line.startswith(f"{WHO}: {told}")
