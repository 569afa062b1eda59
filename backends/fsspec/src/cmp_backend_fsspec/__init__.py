"""The fsspec backend of cmp-core: its hooks, and nothing that loads a filesystem before a fetch begins."""

from collections.abc import Iterable
from pathlib import Path

from cmp_backend_fsspec.settings import FsspecSettings
from cmp_backend_fsspec.source import FsspecSource
from cmp_core import Artifact, BuildEnvironment, Finding, hookimpl


@hookimpl
def source_model() -> type[FsspecSource]:
    """Return the model of ``fsspec-source.yaml``."""
    return FsspecSource


@hookimpl
def settings_model() -> type[FsspecSettings]:
    """Return the model of what the operator allows."""
    return FsspecSettings


@hookimpl
def fetch(source: FsspecSource, destination: Path, environment: BuildEnvironment) -> Artifact:
    """Bring the files that `source` names into `destination`, if the operator allows it."""
    from cmp_backend_fsspec.fetching import fetch_url  # noqa: PLC0415  # aiohttp takes its time to load

    return fetch_url(source, destination, environment)


@hookimpl
def diagnose(source: FsspecSource | None, environment: BuildEnvironment) -> Iterable[Finding]:
    """Check what the operator allows, and a listing of what `source` names."""
    from cmp_backend_fsspec.diagnosis import examine  # noqa: PLC0415  # as above

    return examine(source, environment)
