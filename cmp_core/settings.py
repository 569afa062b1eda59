"""Own the operator's settings: one YAML file, and `CMP_*` variables that override it."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, PrivateAttr
from pydantic.alias_generators import to_camel

from cmp_core.bootstrap import (
    DEFAULT_TIMEOUT,
    LONGEST_TIMEOUT,
    MOST_CONCURRENCY,
    PATH_VARIABLE,
    PREFIX,
    LogFormat,
    LogLevel,
    read_settings_file,
    settings_path,
    variable_name,
    variable_of,
)
from cmp_core.errors import SettingsError
from cmp_core.installed import installed_backends
from cmp_core.models import Limits, Quantity, StrictModel
from cmp_core.strictyaml import KeyPath, YamlTree
from cmp_core.validation import Problem, alias_of, collection_type, raise_problems, unknown_key, validate

BACKENDS = "backends"
"""The key below which each backend has its own settings."""

BackendSettings = TypeVar("BackendSettings", bound=StrictModel)

_BACKENDS_PREFIX = f"{variable_of(BACKENDS)}_"

_KUBERNETES_SERVICE_LINK = re.compile(
    r"CMP_(\w+_)?(SERVICE_(HOST|PORT)|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)(_\w+)?"
)

_ENDPOINT = re.compile(r"https?://[^\s/?#@]+(/[^\s?#@]*)?")


def _check_endpoint(endpoint: str | None) -> str | None:
    if endpoint is not None and not _ENDPOINT.fullmatch(endpoint):
        raise ValueError("is no URL of a service: write `https://HOST` or `https://HOST:PORT`, without user and query")
    return endpoint


def _check_absolute(path: Path | None) -> Path | None:
    """Refuse a path that would lead into the working directory, which is somebody's repository."""
    if path is not None and not path.is_absolute():
        raise ValueError("is no absolute path: begin it with `/`")
    return path


def _split_names(value: object) -> object:
    """Return the names of a list that a variable holds as text, with commas between them; no value is no list."""
    if value is None:
        raise ValueError("names nobody")
    return [name.strip() for name in value.split(",")] if isinstance(value, str) else value


BackendName = Annotated[str, Field(min_length=1)]


class Settings(StrictModel):
    """What the operator of the sidecar decides for every application."""

    timeout: Annotated[
        float,
        Field(
            gt=0,
            le=LONGEST_TIMEOUT,
            description="The whole time of one request, `init` and `generate` together, in seconds. "
            "Keep it below Argo CD's own time-out (60 by default).",
        ),
    ] = DEFAULT_TIMEOUT
    connect_timeout: Annotated[float, Field(gt=0, le=3600, description="Time to open one connection, in seconds.")] = (
        5.0
    )
    read_timeout: Annotated[
        float, Field(gt=0, le=3600, description="Time without a byte on one connection, in seconds.")
    ] = 10.0
    max_attempts: Annotated[
        int, Field(ge=1, le=10, description="How often one call is tried where another try can help.")
    ] = 4
    max_connections: Annotated[
        int, Field(ge=1, le=64, description="How many transfers one request may run at once.")
    ] = 16
    max_concurrency: Annotated[
        int | None,
        Field(
            ge=1,
            le=MOST_CONCURRENCY,
            examples=[4],
            description="How many requests of one sidecar may fetch and render at once; the others wait for their "
            "turn. By default twice the cores that the sidecar may use.",
        ),
    ] = None
    limits: Annotated[Limits, Field(description="The most that any source may bring.")] = Limits()
    allowed_backends: Annotated[
        Annotated[tuple[BackendName, ...], Field(min_length=1)] | None,
        BeforeValidator(_split_names),
        Field(
            examples=[["s3", "tarball"]],
            description="The backends that applications may use, at the top of a trigger file and inside of other "
            "sources; in the variable with commas between them. By default all that are installed.",
        ),
    ] = None
    endpoint: Annotated[
        str | None,
        AfterValidator(_check_endpoint),
        Field(
            examples=["https://minio.example.com:9000"],
            description="The service that backends talk to, where it is not the provider's own.",
        ),
    ] = None
    state_directory: Annotated[
        Path | None,
        AfterValidator(_check_absolute),
        Field(
            examples=["/var/lib/cmp-core"],
            description="A private folder for the key of the scratch folders, the store and the slots. "
            "By default `cmp-core-UID` in the folder for temporary files.",
        ),
    ] = None
    store_bytes: Annotated[
        Quantity, Field(ge=0, description="The size of the store of fetched objects, in bytes; 0 turns it off.")
    ] = 256 * 2**20
    log_level: Annotated[
        LogLevel,
        Field(description="How much goes to stderr. `debug` adds the libraries' own messages and tracebacks."),
    ] = "info"
    log_format: Annotated[LogFormat, Field(description="How a line on stderr is written.")] = "text"
    backends: Annotated[
        dict[str, dict[str, Any]],
        Field(
            description="What single backends are told besides, each under its name. A backend's own page says which "
            "keys it has.",
            examples=[{"fsspec": {"allow": ["https://charts.example.com"]}}],
        ),
    ] = {}  # noqa: RUF012  # pydantic copies it for each instance
    _origins: dict[KeyPath, str] = PrivateAttr(default_factory=dict)

    def of(self, backend: str, model: type[BackendSettings]) -> BackendSettings:
        """Return what the operator has set for one backend.

        Args:
            backend: The backend's name.
            model: What `settings_model` of that backend returns.

        Raises:
            SettingsError: It is wrong; all problems at once, each with its place.
        """
        values = dict(self.backends.get(backend, {}))
        for name, field in model.model_fields.items():
            key = alias_of(name, field)
            if isinstance(values.get(key), str) and collection_type(field) == "array":
                values[key] = self._split(values[key], (BACKENDS, backend, key))
        settings, problems = validate(model, values, lambda keys: self._place_of((BACKENDS, backend, *keys)))
        raise_problems(
            [Problem(place, f"`{BACKENDS}.{backend}`: {message}") for place, message in problems], SettingsError
        )
        assert settings is not None  # noqa: S101  # validate() returns a model where it returns no problem
        return settings

    def check_unused(self, backend: str) -> None:
        """Raise `SettingsError` if the operator has set something for a backend that has no settings."""
        if self.backends.get(backend):
            raise SettingsError(
                f"{self._place_of((BACKENDS, backend))}: `{BACKENDS}.{backend}` is set, but this backend has no "
                "settings: remove it"
            )

    def _split(self, text: str, keys: KeyPath) -> object:
        """Return the list that a variable holds, with commas between its items; in the file a list is a list."""
        if not self._origins.get(keys, "").startswith(PREFIX):
            return text
        return [item for item in map(str.strip, text.split(",")) if item]

    def _place_of(self, keys: KeyPath) -> str:
        while keys and keys not in self._origins:
            keys = keys[:-1]
        return self._origins.get(keys, "settings")


def load_settings(variables: Mapping[str, str], default_path: Path) -> Settings:
    """Read the settings file that the variables name, and let `CMP_*` variables override its keys.

    Args:
        variables: The environment of the process.
        default_path: The file that is read, where there is one, unless ``CMP_SETTINGS`` names another.

    Raises:
        SettingsError: The file or a variable is wrong; all problems at once, each with its place.
    """
    path = settings_path(variables, default_path)
    tree = read_settings_file(path, required=bool(variables.get(PATH_VARIABLE))) or YamlTree()
    overrides, problems = _read_variables(variables)
    problems += [
        Problem(f"{path}:{line}", f"`{'.'.join(map(str, keys))}` stands there twice: keep one")
        for keys, line in tree.duplicates
    ]

    values = tree.values
    for keys, name in overrides.items():
        values = _with_value(values, keys, variables[name])

    def place_of(keys: KeyPath) -> str:
        return overrides.get(keys) or f"{path}:{tree.line(keys)}"

    settings, complaints = validate(Settings, values, place_of)
    raise_problems([*problems, *complaints, *_unknown_backends(values, place_of)], SettingsError)
    assert settings is not None  # noqa: S101  # validate() returns a model where it returns no problem
    origins = {keys: f"{path}:{line}" for keys, line in tree.lines.items() if keys[0] == BACKENDS}
    settings._origins.update(origins)  # noqa: SLF001  # our own class
    settings._origins.update({keys: name for keys, name in overrides.items() if keys[0] == BACKENDS})  # noqa: SLF001  # as above
    return settings


def overriding_variables(variables: Mapping[str, str]) -> list[str]:
    """Return the names of the `CMP_*` variables that set something."""
    return list(_read_variables(variables)[0].values())


def setting_variables() -> dict[str, KeyPath]:
    """Return every `CMP_*` variable that sets something of the host's, with the key it stands for."""
    names: dict[str, KeyPath] = {}
    for name, field in Settings.model_fields.items():
        key = alias_of(name, field)
        if key == BACKENDS:
            continue
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            for inner_name, inner in field.annotation.model_fields.items():
                inner_key = alias_of(inner_name, inner)
                names[variable_of(key, inner_key)] = (key, inner_key)
        else:
            names[variable_of(key)] = (key,)
    return names


def _read_variables(variables: Mapping[str, str]) -> tuple[dict[KeyPath, str], list[Problem]]:
    """Return which variable overrides which key, and the variables that nobody knows."""
    known = setting_variables()
    overrides: dict[KeyPath, str] = {}
    problems: list[Problem] = []
    for name, value in variables.items():
        if not name.startswith(PREFIX) or name == PATH_VARIABLE or _KUBERNETES_SERVICE_LINK.fullmatch(name):
            continue
        if keys := _backend_key(name):
            if value:
                overrides[keys] = name
        elif name not in known:
            problems.append(Problem("environment", unknown_key(name, [*known, PATH_VARIABLE], "variable")))
        elif value:
            overrides[known[name]] = name
    return overrides, problems


def _backend_key(variable: str) -> KeyPath | None:
    """Return what ``CMP_BACKENDS_NAME_KEY`` stands for; only the backend itself knows whether it has such a key."""
    if not variable.startswith(_BACKENDS_PREFIX):
        return None
    names = {variable_name(name.replace("-", "_")): name for name in _backend_names()}
    for start in sorted(names, key=len, reverse=True):
        key = variable.removeprefix(f"{_BACKENDS_PREFIX}{start}_")
        if key and key != variable:
            return BACKENDS, names[start], to_camel(key.lower())
    return None


def _backend_names() -> Iterator[str]:
    return (backend.name for backend in installed_backends())


def _unknown_backends(values: Mapping[str, object], place_of: Callable[[KeyPath], str]) -> Iterator[Problem]:
    """Yield the names below `backends` that no installed backend has: a slip in one must not be passed over."""
    written = values.get(BACKENDS)
    if not isinstance(written, dict) or not written:
        return
    known = set(_backend_names())
    for name in written:
        if name not in known:
            yield Problem(place_of((BACKENDS, name)), f"`{BACKENDS}`: {unknown_key(name, known, 'backend')}")


def _with_value(values: Mapping[str, object], keys: KeyPath, value: str) -> dict[str, object]:
    """Return `values` with `value` at `keys`, some levels deep; what is no mapping stays, to be refused."""
    key, *rest = keys
    if not rest:
        return {**values, str(key): value}
    inner = values.get(str(key), {})
    return {**values, str(key): _with_value(inner, tuple(rest), value)} if isinstance(inner, dict) else {**values}
