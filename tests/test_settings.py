"""The operator's settings: one file, overridden by variables, and a mistake in either is told with its place."""

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from cmp_core.errors import SettingsError
from cmp_core.models import StrictModel
from cmp_core.settings import Settings, load_settings, overriding_variables, setting_variables


class DemoSettings(StrictModel):
    """What an operator may set for a backend, here for one that is installed."""

    allow: Annotated[tuple[str, ...], Field(description="What may be read.")] = ()
    most_pages: Annotated[int, Field(gt=0, description="How far a listing goes.")] = 3


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the settings file lies, if there is one."""
    return tmp_path / "settings.yaml"


def load(file: Path, content: str | None = None, **variables: str) -> Settings:
    """Load the settings with `content` in the default file."""
    if content is not None:
        file.write_text(content, encoding="utf-8")
    return load_settings(variables, file)


def refusal(file: Path, content: str | None = None, **variables: str) -> str:
    """Return what the error says, with `FILE` for the file's path."""
    with pytest.raises(SettingsError) as caught:
        load(file, content, **variables)
    return str(caught.value).replace(str(file), "FILE")


def test_without_a_file_the_defaults_hold(file: Path) -> None:
    """No file is fine."""
    settings = load(file)

    assert settings == Settings()
    assert (settings.timeout, settings.limits.objects, settings.endpoint) == (45.0, 10_000, None)


@pytest.mark.parametrize("content", ["", "# nothing yet\n", "---\n"])
def test_an_empty_file_is_as_good_as_none(file: Path, content: str) -> None:
    """A file that says nothing changes nothing."""
    settings = load(file, content)

    assert settings == Settings()


def test_the_file_sets_every_kind_of_key(file: Path) -> None:
    """Numbers, quantities, nested limits, a URL, words and paths."""
    content = (
        "timeout: 30\nlimits:\n  objects: 5\n  totalBytes: 1Gi\nendpoint: https://minio.example.com:9000/s3\n"
        "logLevel: debug\nlogFormat: json\nstateDirectory: /var/lib/cmp-core\nstoreBytes: 0\n"
    )

    settings = load(file, content)

    assert (settings.timeout, settings.limits.objects, settings.limits.total_bytes) == (30, 5, 2**30)
    assert (settings.endpoint, settings.store_bytes) == ("https://minio.example.com:9000/s3", 0)
    assert (settings.log_level, settings.log_format) == ("debug", "json")
    assert settings.state_directory == Path("/var/lib/cmp-core")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("timeout: soon\n", "FILE:1: `timeout` must be a number, not `soon`"),
        ("timeout: 0\n", "FILE:1: `timeout` must be more than 0, not `0`"),
        ("timeout: 3601\n", "FILE:1: `timeout` must be at most 3600, not `3601`"),
        ("connectTimeout: inf\n", "FILE:1: `connectTimeout` must be at most 3600, not `inf`"),
        ("readTimeout: nan\n", "FILE:1: `readTimeout` must be at most 3600, not `nan`"),
        ("maxConcurrency: 0\n", "FILE:1: `maxConcurrency` must be at least 1, not `0`"),
        ("maxConcurrency: 1025\n", "FILE:1: `maxConcurrency` must be at most 1024, not `1025`"),
        ("maxAttempts: 11\n", "FILE:1: `maxAttempts` must be at most 10, not `11`"),
        ("# top\n\ntimeot: 5\n", "FILE:3: unknown key `timeot`: did you mean `timeout`?"),
        ("limits:\n  object: 5\n", "FILE:2: unknown key `object`: did you mean `objects`?"),
        ("limits:\n", "FILE:1: `limits` has no value: write `limits: …`, or remove the key"),
        ("limits: 5\n", "FILE:1: `limits` must be a mapping of keys to values, not `5`"),
        ("timeout: 5\ntimeout: 6\n", "FILE:2: `timeout` stands there twice: keep one"),
        ("timeout: 'x\n", "FILE:1: is not valid YAML (found unexpected end of stream while scanning a quoted scalar): mend the line, or put its value in quotes"),  # noqa: E501  # as told
        ("- timeout\n", "FILE:1: is not a mapping: write `key: value` lines"),
        ("timeout: &a 5\nreadTimeout: *a\n", "FILE:2: uses the alias `*a`: write the value out"),
        ("#" * 70_000, "FILE:1: is larger than 64 KiB: keep only the keys that it needs"),
        ("logLevel: loud\n", "FILE:1: `logLevel` must be `debug`, `info`, `warning` or `error`, not `loud`"),
        ("stateDirectory: state\n", "FILE:1: `stateDirectory` is no absolute path: begin it with `/`"),
        ("stateDirectory: ''\n", "FILE:1: `stateDirectory` is no absolute path: begin it with `/`"),
    ],
)  # fmt: skip  # one line a case
def test_a_bad_file_is_told_with_path_and_line(file: Path, content: str, message: str) -> None:
    """The operator reads which line of which file to mend, and how."""
    told = refusal(file, content)

    assert told == message


@pytest.mark.parametrize(
    "endpoint", ["minio:9000", "ftp://minio", "https://user:pass@minio", "https://minio?x=1", "https://a b", "''"]
)
def test_an_endpoint_is_a_plain_url(file: Path, endpoint: str) -> None:
    """No credentials, no query; what is wrong is not repeated, since it may hold a password."""
    told = refusal(file, f"endpoint: {endpoint}\n")

    assert told == (
        "FILE:1: `endpoint` is no URL of a service: write `https://HOST` or `https://HOST:PORT`, without user and query"
    )


def test_a_named_file_takes_the_place_of_the_default(file: Path, tmp_path: Path) -> None:
    """`CMP_SETTINGS` names the only file that is read."""
    named = tmp_path / "named.yaml"
    named.write_text("timeout: 7\n", encoding="utf-8")

    settings = load(file, "timeout: broken\n", CMP_SETTINGS=str(named))

    assert settings.timeout == 7


def test_a_named_file_must_exist(file: Path) -> None:
    """Only the default may be absent."""
    told = refusal(file, CMP_SETTINGS="/no/such/settings.yaml")

    assert told == "/no/such/settings.yaml: no such file: create it, or unset CMP_SETTINGS"


def test_a_relative_name_would_lead_into_the_repository(file: Path) -> None:
    """The working directory is the application's folder."""
    told = refusal(file, CMP_SETTINGS="settings.yaml")

    assert told == "CMP_SETTINGS: `settings.yaml` is no absolute path: begin it with `/`"


def test_a_folder_in_the_files_place_is_told(file: Path) -> None:
    """A mount that went wrong makes one."""
    file.mkdir()

    told = refusal(file)

    assert told == "FILE: cannot be read (Is a directory): make it a readable file"


def test_a_variable_overrides_the_file(file: Path) -> None:
    """Nested limits too, and without touching their neighbours."""
    content = "timeout: 30\nlimits: {objects: 5, totalBytes: 7}\n"

    settings = load(file, content, CMP_TIMEOUT="20", CMP_LIMITS_OBJECTS="6", CMP_LIMITS_OBJECT_BYTES="1Ki")

    assert settings.timeout == 20
    assert settings.limits.model_dump() == {"objects": 6, "object_bytes": 1024, "total_bytes": 7}


def test_a_variable_mends_a_bad_value_of_the_file(file: Path) -> None:
    """What is overridden does not count."""
    settings = load(file, "timeout: soon\n", CMP_TIMEOUT="20")

    assert settings.timeout == 20


def test_a_nested_variable_does_not_hide_a_bad_mapping(file: Path) -> None:
    """`limits: 5` is wrong whatever `CMP_LIMITS_OBJECTS` says."""
    told = refusal(file, "limits: 5\n", CMP_LIMITS_OBJECTS="6")

    assert told == "FILE:1: `limits` must be a mapping of keys to values, not `5`"


def test_a_list_is_written_with_commas_in_a_variable(file: Path) -> None:
    """A variable holds one text; the file holds a list as YAML has it."""
    from_file = load(file, "allowedBackends: [s3, tarball]\n")
    from_variable = load(file, CMP_ALLOWED_BACKENDS="s3, tarball")

    assert from_file.allowed_backends == from_variable.allowed_backends == ("s3", "tarball")


@pytest.mark.parametrize("names", ["[]", "['']", "[s3, '']", "{s3: yes}", "", "null"])
def test_a_list_that_allows_nothing_or_nobody_is_refused(file: Path, names: str) -> None:
    """An empty list would stop every application, or be taken for one that allows all."""
    assert "allowedBackends" in refusal(file, f"allowedBackends: {names}\n")


def test_every_setting_has_a_variable() -> None:
    """The names are made from the keys, one for each value that can be set."""
    names = setting_variables()

    assert names["CMP_CONNECT_TIMEOUT"] == ("connectTimeout",)
    assert names["CMP_LIMITS_OBJECT_BYTES"] == ("limits", "objectBytes")
    assert len(names) == len(Settings.model_fields) + len(type(Settings().limits).model_fields) - 2
    assert not [name for name in names if name.startswith("CMP_BACKENDS")]


def test_all_mistakes_of_file_and_variables_are_told_at_once(file: Path) -> None:
    """Each with its own place, and a fix where one can be guessed."""
    told = refusal(file, "timeot: 5\n", CMP_TIMEOT="5", CMP_READ_TIMEOUT="soon", CMP_LIMITS_OBJECTS="0")

    assert told == (
        "4 problems:\n"
        "  FILE:1: unknown key `timeot`: did you mean `timeout`?\n"
        "  CMP_LIMITS_OBJECTS: `limits.objects` must be more than 0, not `0`\n"
        "  CMP_READ_TIMEOUT: `readTimeout` must be a number, not `soon`\n"
        "  environment: unknown variable `CMP_TIMEOT`: did you mean `CMP_TIMEOUT`?"
    )


def test_an_unknown_variable_far_from_all_lists_them(file: Path) -> None:
    """Whoever wrote it meant something."""
    told = refusal(file, CMP_XYZZY="1")

    assert told.startswith("environment: unknown variable `CMP_XYZZY`: remove it; known are CMP_ALLOWED_BACKENDS, ")
    assert "CMP_SETTINGS" in told


@pytest.mark.parametrize("name", ["CMP_TIMEOUT", "CMP_ENDPOINT", "CMP_LIMITS_OBJECTS", "CMP_SETTINGS"])
def test_an_empty_variable_is_unset(file: Path, name: str) -> None:
    """Manifests set variables to nothing; an empty endpoint must not break real AWS."""
    settings = load(file, "timeout: 30\n", **{name: ""})

    assert (settings.timeout, settings.endpoint) == (30, None)


@pytest.mark.parametrize(
    "name",
    [
        "CMP_SERVICE_HOST",
        "CMP_SERVICE_PORT",
        "CMP_SERVICE_PORT_HTTP",
        "CMP_PORT",
        "CMP_PORT_80_TCP",
        "CMP_PORT_80_TCP_ADDR",
        "CMP_PORT_80_TCP_PORT",
        "CMP_PORT_53_UDP_PROTO",
        "CMP_CORE_METRICS_SERVICE_HOST",
        "CMP_CORE_METRICS_PORT_9090_TCP_ADDR",
    ],
)
def test_a_kubernetes_service_called_cmp_is_no_setting(file: Path, name: str) -> None:
    """Kubernetes puts a service's address into every pod's environment."""
    settings = load(file, **{name: "tcp://10.0.0.1:80"})

    assert settings == Settings()


@pytest.mark.parametrize("name", ["CMP_ENDPORT", "CMP_TIMEOUT_PORTS", "CMP_SERVICE", "CMP_HOST"])
def test_what_only_resembles_a_service_is_unknown(file: Path, name: str) -> None:
    """The exception for Kubernetes hides no slip."""
    told = refusal(file, **{name: "1"})

    assert told.startswith(f"environment: unknown variable `{name}`")


def test_a_backend_reads_its_own_settings(file: Path) -> None:
    """Each stands under the backend's name; what is not set has its default."""
    settings = load(file, "backends:\n  local:\n    allow: [a, b]\n")

    assert settings.of("local", DemoSettings) == DemoSettings(allow=("a", "b"))
    assert settings.of("s3", DemoSettings) == DemoSettings()


def test_a_variable_overrides_a_backends_setting(file: Path) -> None:
    """`CMP_BACKENDS_NAME_KEY`; a list is written with commas there."""
    content = "backends:\n  local:\n    allow: [a]\n    mostPages: 5\n"

    settings = load(file, content, CMP_BACKENDS_LOCAL_ALLOW="b, c", CMP_BACKENDS_S3_ALLOW="")

    assert settings.of("local", DemoSettings) == DemoSettings.model_validate({"allow": ["b", "c"], "mostPages": 5})
    assert overriding_variables({"CMP_BACKENDS_LOCAL_ALLOW": "b", "CMP_TIMEOUT": "5"}) == [
        "CMP_BACKENDS_LOCAL_ALLOW",
        "CMP_TIMEOUT",
    ]


@pytest.mark.parametrize(
    ("content", "variables", "message"),
    [
        ("backends:\n  local:\n    alow: [a]\n", {}, "FILE:3: `backends.local`: unknown key `alow`: did you mean `allow`?"),  # noqa: E501  # as told
        ("backends:\n  local:\n    allow: [a]\n    mostPages: 0\n", {}, "FILE:4: `backends.local`: `mostPages` must be more than 0, not `0`"),  # noqa: E501  # as told
        ("backends:\n  local: {allow: a}\n", {}, "FILE:2: `backends.local`: `allow` must be a list: write `[…]` or lines that begin with `- `, not `a`"),  # noqa: E501  # as told
        (None, {"CMP_BACKENDS_LOCAL_ALOW": "a"}, "CMP_BACKENDS_LOCAL_ALOW: `backends.local`: unknown key `alow`: did you mean `allow`?"),  # noqa: E501  # as told
        (None, {"CMP_BACKENDS_LOCAL_MOST_PAGES": "x"}, "CMP_BACKENDS_LOCAL_MOST_PAGES: `backends.local`: `mostPages` must be a whole number, not `x`"),  # noqa: E501  # as told
    ],
)  # fmt: skip  # one line a case
def test_a_bad_setting_of_a_backend_is_told_with_its_place(
    file: Path, content: str | None, variables: dict[str, str], message: str
) -> None:
    """As for the host's own, once the backend is asked for them."""
    settings = load(file, content, **variables)

    with pytest.raises(SettingsError) as caught:
        settings.of("local", DemoSettings)
    assert str(caught.value).replace(str(file), "FILE") == message


@pytest.mark.parametrize(
    ("content", "variables", "message"),
    [
        ("backends:\n  locl: {}\n", {}, "FILE:2: `backends`: unknown backend `locl`: did you mean `local`?"),
        ("backends: x\n", {}, "FILE:1: `backends` must be a mapping of keys to values, not `x`"),
        ("backends: {local: x}\n", {}, "FILE:1: `backends.local` must be a mapping of keys to values, not `x`"),
        (None, {"CMP_BACKENDS": "x"}, "environment: unknown variable `CMP_BACKENDS`: "),
        (None, {"CMP_BACKENDS_LOCL_ALLOW": "x"}, "environment: unknown variable `CMP_BACKENDS_LOCL_ALLOW`: "),
        (None, {"CMP_BACKENDS_LOCAL": "x"}, "environment: unknown variable `CMP_BACKENDS_LOCAL`: "),
        (None, {"CMP_BACKENDS_LOCAL_": "x"}, "environment: unknown variable `CMP_BACKENDS_LOCAL_`: "),
    ],
)  # fmt: skip  # one line a case
def test_settings_for_no_backend_stop_every_command(
    file: Path, content: str | None, variables: dict[str, str], message: str
) -> None:
    """A slip in a backend's name is found at once; one in a key of its own when it is asked for."""
    told = refusal(file, content, **variables)

    assert told.startswith(message)


def test_settings_for_a_backend_that_has_none_are_told(file: Path) -> None:
    """What would be passed over was meant for something."""
    settings = load(file, "backends:\n  s3:\n    allow: [a]\n")

    with pytest.raises(SettingsError, match="this backend has no settings: remove it") as caught:
        settings.check_unused("s3")
    assert str(caught.value).replace(str(file), "FILE").startswith("FILE:2: `backends.s3` is set")
