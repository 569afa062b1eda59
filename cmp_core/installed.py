"""Tell which backends are installed, without loading one.

Only the interpreter's own site directories are looked at: the working directory is somebody's Git
repository, and a ``x.dist-info`` lying in it must not become a plugin.
"""

import site
from collections.abc import Iterable
from dataclasses import dataclass
from email import message_from_string
from importlib.metadata import Distribution, distributions

from cmp_core.errors import BackendConflictError, BackendLoadError, BackendNotFoundError

GROUP = "cmp_core"
TRIGGER_SUFFIX = "-source.yaml"


@dataclass(frozen=True, slots=True, order=True)
class InstalledBackend:
    """One entry point of the group ``cmp_core``.

    Attributes:
        name: The backend's name, which is the prefix of its trigger file.
        distribution: The package that provides it.
        version: That package's version.
        target: The module that holds its hooks.
    """

    name: str
    distribution: str
    version: str
    target: str

    @property
    def trigger_file(self) -> str:
        """The name of the backend's trigger file."""
        return f"{self.name}{TRIGGER_SUFFIX}"

    def __str__(self) -> str:
        """Return the backend as a message names it."""
        return f"backend `{self.name}` ({self.distribution} {self.version})"


def installed_backends(directories: Iterable[str] | None = None) -> tuple[InstalledBackend, ...]:
    """Return every installed backend by name, those of one name side by side.

    Args:
        directories: Where to look; the interpreter's site directories by default.

    Raises:
        BackendLoadError: What a distribution says about its backends cannot be read.
    """
    directories = list(site.getsitepackages() if directories is None else directories)
    found: dict[tuple[str, str], InstalledBackend] = {}
    for distribution in distributions(path=directories):
        if f"[{GROUP}]" in (distribution.read_text("entry_points.txt") or ""):
            for backend in _backends_of(distribution):
                found.setdefault((backend.name, backend.distribution), backend)
    return tuple(sorted(found.values()))


def find_backend(name: str, backends: Iterable[InstalledBackend]) -> InstalledBackend:
    """Return the one backend called `name`.

    Raises:
        BackendNotFoundError: None is installed.
        BackendConflictError: Several distributions provide it.
    """
    backends = tuple(backends)
    candidates = [backend for backend in backends if backend.name == name]
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        owners = " and ".join(f"{c.distribution} {c.version}" for c in candidates)
        raise BackendConflictError(f"backend `{name}` is provided by {owners}: uninstall all but one of them")
    raise BackendNotFoundError(
        f"backend `{name}` is not installed; {describe(backends)}: "
        f"install the distribution that provides `{name}` into the sidecar's image, or rename the trigger file"
    )


def describe(backends: Iterable[InstalledBackend]) -> str:
    """Return a clause that lists the installed backends and their trigger files."""
    listed = ", ".join(f"{backend.name} ({backend.trigger_file})" for backend in backends)
    return f"installed are {listed}" if listed else "no backend is installed"


def _backends_of(distribution: Distribution) -> Iterable[InstalledBackend]:
    metadata = message_from_string(distribution.read_text("METADATA") or "")
    name, version = metadata.get("Name", "an unnamed distribution"), metadata.get("Version", "of unknown version")
    try:
        entry_points = distribution.entry_points.select(group=GROUP)
    except (TypeError, ValueError) as error:
        raise BackendLoadError(
            f"{name} {version}: its entry_points.txt is malformed: install it again, or uninstall it"
        ) from error
    for entry_point in entry_points:
        yield InstalledBackend(entry_point.name, name, version, entry_point.value)
