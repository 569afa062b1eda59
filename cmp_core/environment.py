"""Own what surrounds one request: Argo CD's build environment, the author's overrides, the operator's settings."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from cmp_core.appfolder import read_regular_file
from cmp_core.bootstrap import Bootstrap, read_bootstrap
from cmp_core.deadline import Deadline
from cmp_core.errors import SourceValidationError
from cmp_core.summary import Summary

if TYPE_CHECKING:
    from cmp_core.settings import Settings

SETTINGS_PATH = Path("/etc/cmp-core/settings.yaml")

_OVERRIDE_PREFIX = "ARGOCD_ENV_CMP_"
_AUTHOR_PREFIXES = ("ARGOCD_ENV_", "ARGOCD_APP_", "PARAM_")
_PARAMETERS = "ARGOCD_APP_PARAMETERS"
_KINDS: dict[str, type[Any]] = {"string": str, "array": list, "map": dict}
_VOLATILE = frozenset({"_", "SHLVL", "OLDPWD"})
"""What a shell changes between two commands of one script."""


class Progress(Protocol):
    """Where a backend tells how far a fetch is; the methods are those of an fsspec callback."""

    def set_size(self, size: int) -> None:
        """Tell how many objects there will be."""

    def relative_update(self, inc: int = 1) -> None:
        """Tell that `inc` more objects have arrived."""


class NoProgress:
    """Progress that nobody watches."""

    def set_size(self, size: int) -> None:
        """Do nothing."""

    def relative_update(self, inc: int = 1) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class Application:
    """The Argo CD application that asks, as the controller describes it.

    Its author cannot choose these freely, so a rule may rely on them; all are empty outside Argo CD.

    Attributes:
        name: ``ARGOCD_APP_NAME``; ``<namespace>_<name>`` for an application outside Argo CD's namespace.
        namespace: ``ARGOCD_APP_NAMESPACE``, the destination namespace.
        project: ``ARGOCD_APP_PROJECT_NAME`` (Argo CD 3.0 and later).
        revision: ``ARGOCD_APP_REVISION``, the Git commit.
        repository: ``ARGOCD_APP_SOURCE_REPO_URL``.
        path: ``ARGOCD_APP_SOURCE_PATH``, the application's folder in the repository.
        target_revision: ``ARGOCD_APP_SOURCE_TARGET_REVISION``.
    """

    name: str = ""
    namespace: str = ""
    project: str = ""
    revision: str = ""
    repository: str = ""
    path: str = ""
    target_revision: str = ""


class Override(NamedTuple):
    """A value that the Application sets over the trigger file's.

    Attributes:
        key: The top-level key as it was written: a parameter's name or the rest of a variable's name.
        value: Text, a list of texts or a map of texts.
        origin: Where it comes from, for messages.
    """

    key: str
    value: str | list[str] | dict[str, str]
    origin: str


@dataclass(frozen=True, slots=True)
class BuildEnvironment:
    """Everything about a request that is not in the application's folder.

    Attributes:
        application: Who asks.
        kube_version: ``KUBE_VERSION``, as ``1.34`` or ``1.34.2``.
        kube_api_versions: ``KUBE_API_VERSIONS``, each ``group/version`` or ``group/version/Kind``.
        parameters: The parameters of ``spec.source.plugin``, with ``PARAM_*`` where Argo CD sends no JSON.
        variable_overrides: What ``ARGOCD_ENV_CMP_*`` sets.
        variables: The sidecar's own environment without anything that an author can set.
        settings: The operator's settings.
        folder: The application's folder, in which anything may lie: read from it by `read_file` only.
        deadline: The end of the request; a backend bounds its waiting by ``deadline.remaining()``.
        progress: Where a backend tells how many objects there are and have arrived.
        summary: What the host's log will say about the request.
        identity: A hash over every variable and setting; equal only for two processes of one request.
    """

    application: Application = field(default_factory=Application)
    kube_version: str = ""
    kube_api_versions: tuple[str, ...] = ()
    parameters: tuple[Override, ...] = ()
    variable_overrides: tuple[Override, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    settings: "Settings" = field(default_factory=lambda: _load_settings({}))
    folder: Path = Path()
    deadline: Deadline = field(default_factory=lambda: Deadline(_load_settings({}).timeout))
    progress: Progress = field(default_factory=NoProgress)
    summary: Summary = field(default_factory=Summary)
    identity: str = ""

    @classmethod
    def from_environ(
        cls,
        environ: Mapping[str, str] | None = None,
        settings: "Settings | None" = None,
        *,
        deadline: Deadline | None = None,
        summary: Summary | None = None,
    ) -> "BuildEnvironment":
        """Read the process environment; nothing else in the package does.

        Args:
            environ: The environment; the process's own by default.
            settings: The operator's settings; those that the environment and the settings file hold by default.
            deadline: One that runs already; it is set to the time that the settings allow.
            summary: One that is begun already.

        Raises:
            SettingsError: The operator's settings are wrong.
            SourceValidationError: ``ARGOCD_APP_PARAMETERS`` is not what Argo CD sends.
        """
        environ = process_variables() if environ is None else environ
        settings = settings or _load_settings(environ)
        deadline = deadline or Deadline(settings.timeout)
        deadline.allow(settings.timeout)
        return cls(
            application=read_application(environ),
            kube_version=environ.get("KUBE_VERSION", ""),
            kube_api_versions=tuple(filter(None, environ.get("KUBE_API_VERSIONS", "").split(","))),
            parameters=_read_parameters(environ),
            variable_overrides=_read_variable_overrides(environ),
            variables={name: value for name, value in environ.items() if not _is_authors(name)},
            settings=settings,
            deadline=deadline,
            summary=summary or Summary(),
            identity=_identity(environ, settings),
        )

    def read_file(self, path: str, *, max_bytes: int) -> bytes:
        """Return a file of the application's folder, as it lies in Git: a regular one to which no link leads.

        Args:
            path: A path below the folder, as the trigger file has it; not to be trusted.
            max_bytes: The most that it may have.

        Raises:
            SourceValidationError: It is not there, is no such file, or is larger.
        """
        if "\0" in path or not all(part.strip(".") for part in path.split("/")):
            raise SourceValidationError(f"{path}: lies outside of the application's folder: name a file below it")
        content = read_regular_file(self.folder, path, max_bytes=max_bytes + 1, error_class=SourceValidationError)
        if len(content) > max_bytes:
            raise SourceValidationError(f"{path}: is larger than {max_bytes} bytes: make it smaller")
        return content

    def watched_by(self, progress: Progress) -> "BuildEnvironment":
        """Return the same environment with another watcher of the progress."""
        return replace(self, progress=progress)


def process_variables() -> dict[str, str]:
    """Return the environment of the process; this is the only place that reads it."""
    return dict(os.environ)


def bootstrap_settings(variables: Mapping[str, str]) -> Bootstrap:
    """Return the settings that a request needs before anything heavy is loaded."""
    return read_bootstrap(variables, SETTINGS_PATH)


def check_settings(environ: Mapping[str, str] | None = None) -> None:
    """Check what the operator has set, for commands that need no setting; where there is none, pydantic stays away.

    Raises:
        SettingsError: The operator's settings are wrong.
    """
    environ = process_variables() if environ is None else environ
    if os.path.lexists(SETTINGS_PATH) or any(name.startswith("CMP_") for name in environ):
        _load_settings(environ)


def _load_settings(environ: Mapping[str, str]) -> "Settings":
    """Load the settings; pydantic is imported only here, since ``discover`` and ``version`` answer without it."""
    from cmp_core.settings import load_settings  # noqa: PLC0415  # see the docstring

    return load_settings(environ, SETTINGS_PATH)


def _identity(environ: Mapping[str, str], settings: "Settings") -> str:
    variables = sorted((name, value) for name, value in environ.items() if name not in _VOLATILE)
    return hashlib.sha256(json.dumps([variables, settings.model_dump_json()]).encode()).hexdigest()


def _is_authors(name: str) -> bool:
    """Tell whether an Application's author has a say in the variable; what Argo CD sets is in `Application`."""
    return name.startswith(_AUTHOR_PREFIXES)


def read_application(environ: Mapping[str, str]) -> Application:
    """Return who asks, by what Argo CD says."""
    return Application(
        name=environ.get("ARGOCD_APP_NAME", ""),
        namespace=environ.get("ARGOCD_APP_NAMESPACE", ""),
        project=environ.get("ARGOCD_APP_PROJECT_NAME", ""),
        revision=environ.get("ARGOCD_APP_REVISION", ""),
        repository=environ.get("ARGOCD_APP_SOURCE_REPO_URL", ""),
        path=environ.get("ARGOCD_APP_SOURCE_PATH", ""),
        target_revision=environ.get("ARGOCD_APP_SOURCE_TARGET_REVISION", ""),
    )


def _read_variable_overrides(environ: Mapping[str, str]) -> tuple[Override, ...]:
    return tuple(
        Override(name.removeprefix(_OVERRIDE_PREFIX), value, name)
        for name, value in sorted(environ.items())
        if name.startswith(_OVERRIDE_PREFIX)
    )


def _read_parameters(environ: Mapping[str, str]) -> tuple[Override, ...]:
    """Read ``ARGOCD_APP_PARAMETERS``: absent, ``null``, or an array of objects with a name and one value.

    Argo CD sends ``null`` where an application names the plugin without parameters
    (``docs/explanation/contract.md``).
    """
    text = environ.get(_PARAMETERS, "")
    if not text:
        return _read_parameter_variables(environ)
    try:
        announced = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SourceValidationError(
            f"{_PARAMETERS}: is not JSON ({error}): set it as Argo CD does, or unset it"
        ) from error
    if announced is None:
        return ()
    if not isinstance(announced, list):
        raise SourceValidationError(
            f"{_PARAMETERS}: must be an array of parameters: set it as Argo CD does, or unset it"
        )
    return tuple(_read_parameter(item) for item in announced)


def _read_parameter(item: Any) -> Override:
    name = item.get("name") if isinstance(item, dict) else None
    if not isinstance(name, str) or not name:
        raise SourceValidationError(
            f"{_PARAMETERS}: every parameter needs a `name`: add one in spec.source.plugin.parameters"
        )
    origin = f"parameter `{name}`"
    kind = next((kind for kind in _KINDS if item.get(kind) is not None), "")
    value = item.get(kind)
    texts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
    if kind and isinstance(value, _KINDS[kind]) and all(isinstance(text, str) for text in texts):
        return Override(name, value, origin)
    raise SourceValidationError(
        f"{origin}: has no usable value: give it `string`, `array` (of texts) or `map` (of texts) "
        "in spec.source.plugin.parameters"
    )


def _read_parameter_variables(environ: Mapping[str, str]) -> tuple[Override, ...]:
    """Read ``PARAM_<NAME>`` where there is no JSON: strings only, since the other kinds' names are ambiguous."""
    return tuple(
        Override(name.removeprefix("PARAM_"), value, name)
        for name, value in sorted(environ.items())
        if re.fullmatch(r"PARAM_[A-Z0-9_]+", name)
    )
