"""Own the diagnosis of a sidecar and a folder: which checks there are, in which order, and what the host itself checks.

The checks go from the sidecar's own settings to the very source, so that the first that failed is the one to begin
with. A check that fails hides neither those before it nor those that do without it.
"""

import platform
import re
import shutil
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from itertools import chain
from pathlib import Path
from tempfile import NamedTemporaryFile

from cmp_core import environment as host
from cmp_core.bootstrap import settings_path
from cmp_core.environment import BuildEnvironment, process_variables
from cmp_core.errors import (
    BackendError,
    BackendNotFoundError,
    CmpError,
    DeadlineExceededError,
    OutputError,
    SettingsError,
    SourceValidationError,
)
from cmp_core.finding import Finding
from cmp_core.installed import InstalledBackend, find_backend, installed_backends
from cmp_core.manager import Backend, load_backend
from cmp_core.models import Source
from cmp_core.policy import is_allowed
from cmp_core.redact import Redactor, secret_values
from cmp_core.report import Report
from cmp_core.request import Request, read_request
from cmp_core.scratch import Scratch
from cmp_core.settings import Settings, load_settings, overriding_variables
from cmp_core.store import NoStateError, require_state_directory

MOST_FINDINGS = 100
"""How many findings one backend may make: a hook without an end must not fill the memory."""

_OVERRIDE_PREFIXES = ("ARGOCD_", "PARAM_")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known before anything is checked.

    Attributes:
        environment: With the operator's settings, or with the defaults where those are wrong.
        settings: What there is to say about the settings.
        overrides: What is wrong with the Application's parameters, or None.
    """

    environment: BuildEnvironment
    settings: Finding
    overrides: SourceValidationError | None = None

    @classmethod
    def from_environ(cls, variables: Mapping[str, str] | None = None) -> "Surroundings":
        """Read the process environment as every command does, and go on where something in it is wrong."""
        variables = process_variables() if variables is None else variables
        try:
            settings = load_settings(variables, host.SETTINGS_PATH)
            finding = Finding("settings", "ok", _describe_settings(variables))
        except SettingsError as error:
            settings = Settings()
            finding = Finding.of_error("settings", error)
        try:
            return cls(BuildEnvironment.from_environ(variables, settings), finding)
        except SourceValidationError as error:
            own = {name: value for name, value in variables.items() if not name.startswith(_OVERRIDE_PREFIXES)}
            return cls(BuildEnvironment.from_environ(own, settings), finding, error)

    @property
    def has_settings(self) -> bool:
        """Whether the operator's settings are in force."""
        return self.settings.outcome == "ok"


def open_report() -> Report:
    """Return an empty report that tells no secret of the process environment."""
    return Report(Redactor(secret_values(process_variables())))


def diagnose(path: Path | None, surroundings: Surroundings, report: Report, last_words: Callable[[], None]) -> None:
    """Check everything within the deadline, and put each finding into the report as soon as it is made.

    Args:
        path: The application's folder, or its trigger file. None stands for the working directory, which need
            not hold a trigger file: without one only the sidecar is checked.
        surroundings: What was read before.
        report: Takes the findings.
        last_words: Tells the report where a check hangs so that the process must be ended.
    """
    deadline = surroundings.environment.deadline
    deadline.remedy = "look for what holds this check up, or raise `timeout` in the operator's settings (CMP_TIMEOUT)"

    def give_up(error: DeadlineExceededError) -> None:
        report.add(Finding.of_error("deadline", error))
        last_words()

    try:
        with deadline.enforced(give_up):
            for finding in _examine(path, surroundings):
                report.add(finding)
    except DeadlineExceededError as error:
        report.add(Finding.of_error("deadline", error))


def _examine(path: Path | None, surroundings: Surroundings) -> Iterator[Finding]:
    yield surroundings.settings
    backends = yield from _check_backends(surroundings.environment.settings)
    if surroundings.has_settings:
        yield from _check_backend_settings(backends, surroundings.environment)
    yield from _check_tools(backend.installed for backend in backends)
    yield _check_state(surroundings)
    request = yield from _check_trigger_file(path, surroundings)
    if request:
        yield _check_folder(path or Path(), surroundings.environment)
        yield from _ask_backend(request.backend, request.source, surroundings)
        return
    for backend in backends:
        yield from _ask_backend(backend, None, surroundings)


def _describe_settings(variables: Mapping[str, str]) -> str:
    """Tell where valid settings come from."""
    path = settings_path(variables, host.SETTINGS_PATH)
    origins = [*([str(path)] if path.exists() else []), *overriding_variables(variables)]
    if not origins:
        return f"the defaults, since there is neither {path} nor a CMP_* variable"
    return f"valid, from {', '.join(origins)}; the defaults for the rest"


def _check_state(surroundings: Surroundings) -> Finding:
    """Check the private folder, which requests can do without at the price of fetching again."""
    if not surroundings.has_settings:
        return Finding("state", "skipped", "the state folder is not looked at, since the settings may name it")
    environment = surroundings.environment
    settings = environment.settings
    try:
        folder = require_state_directory(settings.state_directory, environment.variables)
        with NamedTemporaryFile(dir=folder, prefix="doctor-") as probe:
            probe.write(b"x")
        free = shutil.disk_usage(folder).free
        stored = sum(map(_file_size, folder.rglob("*")))
    except NoStateError as error:
        return _without_state(str(error))
    except OSError as error:
        return _without_state(f"the state folder cannot be used ({error.strerror})")
    if free < settings.store_bytes - stored:
        return Finding(
            "state",
            "warning",
            f"{folder} has room for {_size(free)}, and the store may grow to {_size(settings.store_bytes)}",
            "give its disk more room, or lower `storeBytes` in the operator's settings (CMP_STORE_BYTES)",
        )
    return Finding(
        "state", "ok", f"{folder} is private and writable, holds {_size(stored)} and has room for {_size(free)}"
    )


def _file_size(path: Path) -> int:
    """Return the size of what may be evicted from the store this very moment."""
    try:
        return path.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0


def _without_state(reason: str) -> Finding:
    return Finding(
        "state",
        "warning",
        f"{reason}, so that `generate` fetches again what `init` has fetched, and nothing is stored",
        "give the sidecar a folder of its own user with mode 0700, and name it in `stateDirectory` of the operator's "
        "settings (CMP_STATE_DIRECTORY)",
    )


def _check_backends(settings: Settings) -> Generator[Finding, None, list[Backend]]:
    """Load every installed backend that is allowed, and return those that are sound."""
    loaded: list[Backend] = []
    try:
        installed = installed_backends()
    except BackendError as error:
        yield Finding.of_error("backends", error)
        return loaded
    if not installed:
        none = "no backend is installed: install the distribution of one into the sidecar's image"
        yield Finding.of_error("backends", BackendNotFoundError(none))
    for name in sorted({backend.name for backend in installed}):
        if not is_allowed(name, settings):
            why = "since `allowedBackends` of the operator's settings does not name it"
            yield Finding("backends", "skipped", f"backend `{name}` is not loaded, {why}")
            continue
        try:
            backend = load_backend(find_backend(name, installed))
        except BackendError as error:
            yield Finding.of_error("backends", error)
        else:
            loaded.append(backend)
            yield Finding("backends", "ok", f"{backend.installed} reads `{backend.installed.trigger_file}`")
    return loaded


def _check_backend_settings(backends: Iterable[Backend], environment: BuildEnvironment) -> Iterator[Finding]:
    """Check what the operator has set for single backends; there is nothing to say where it is in order."""
    for backend in backends:
        try:
            backend.check_settings(environment)
        except SettingsError as error:
            yield Finding.of_error("settings", error)


def _check_tools(backends: Iterator[InstalledBackend]) -> Iterator[Finding]:
    """Check that everything is there which cmp-core and the backends say that they need."""
    owners = dict.fromkeys(["cmp-core", *(backend.distribution for backend in backends)])
    missing = [(owner, name) for owner in owners for name in _requirements(owner) if not _is_installed(name)]
    for owner, name in missing:
        yield Finding(
            "tools",
            "failed",
            f"{owner} needs {name}, which is not installed",
            f"install {owner} again, with all that it needs",
            BackendError,
        )
    if not missing:
        running = f"cmp-core {version('cmp-core')} runs on Python {platform.python_version()} ({sys.executable})"
        yield Finding("tools", "ok", f"{running}, and all that it and its backends need is installed")


def _requirements(distribution: str) -> Iterator[str]:
    """Yield the names of what a distribution needs everywhere; what has a condition may rightly be absent."""
    try:
        needed = requires(distribution) or []
    except PackageNotFoundError:
        needed = []
    for requirement in needed:
        if ";" not in requirement and (name := re.match(r"[\w.-]+", requirement)):
            yield name[0]


def _is_installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


def _check_trigger_file(path: Path | None, surroundings: Surroundings) -> Generator[Finding, None, Request | None]:
    """Read the trigger file, if there must be one or is one, and return what it asks for."""
    folder = path or Path()
    if path is None and not any(chain(folder.glob("*-source.yaml"), folder.glob("*-source.yml"))):
        yield Finding(
            "trigger",
            "skipped",
            f"{folder.resolve()} holds no trigger file, so only the sidecar is checked: `cmp-core doctor DIR` checks "
            "an application's folder as well",
        )
        return None
    try:
        if surroundings.overrides:
            raise surroundings.overrides
        request = read_request(folder, surroundings.environment)
    except DeadlineExceededError:
        raise
    except CmpError as error:
        yield Finding.of_error("trigger", error)
        return None
    yield Finding("trigger", "ok", f"`{request.trigger.name}` is valid and names {request.source.location}")
    return request


def _check_folder(path: Path, environment: BuildEnvironment) -> Finding:
    """Make and remove a scratch folder where `init` makes one."""
    folder = path if path.is_dir() else path.parent
    needed = environment.settings.limits.total_bytes
    try:
        with Scratch(folder, None).workspace() as files:
            free = shutil.disk_usage(files).free
    except OutputError as error:
        return Finding.of_error("folder", error)
    if free < needed:
        return Finding(
            "folder",
            "warning",
            f"{folder.resolve()} has room for {_size(free)}, and a source may bring {_size(needed)}",
            "give its disk more room, or lower `limits.totalBytes` in the operator's settings (CMP_LIMITS_TOTAL_BYTES)",
        )
    return Finding("folder", "ok", f"{folder.resolve()} takes a scratch folder and has room for {_size(free)}")


def _ask_backend(backend: Backend, source: Source | None, surroundings: Surroundings) -> Iterator[Finding]:
    """Yield what the backend finds; whatever is wrong with its hook is a finding too."""
    installed = backend.installed
    if not surroundings.has_settings:
        yield Finding("source", "skipped", f"{installed} is not asked, since it goes by the settings")
        return
    environment = surroundings.environment
    environment.deadline.step = f"asking {installed} for its checks"
    count = 0
    try:
        for count, finding in enumerate(backend.diagnose(source, environment), start=1):
            if count > MOST_FINDINGS:
                raise CmpError(f"{installed}: `diagnose` yields more than {MOST_FINDINGS} findings: report it there")
            yield finding
    except DeadlineExceededError:
        raise
    except CmpError as error:
        yield Finding.of_error("source", error)
        return
    if not count:
        yield Finding(
            "source",
            "skipped",
            f"{installed} has no checks of its own: `cmp-core generate` shows whether a source can be fetched",
        )


def _size(size: int) -> str:
    """Return a number of bytes as people read it."""
    value, units = float(size), iter(("bytes", "KiB", "MiB", "GiB", "TiB"))
    unit = next(units)
    while value >= 1024 and unit != "TiB":
        value, unit = value / 1024, next(units)
    return f"{value:.4g} {unit}"
