"""Own the fetch: whether the operator allows it, and which reader brings what the URL names."""

from pathlib import Path

from cmp_backend_fsspec.protocols import WEB
from cmp_backend_fsspec.settings import check_policy, read_settings
from cmp_backend_fsspec.source import FsspecSource
from cmp_core import Artifact, BuildEnvironment


def fetch_url(source: FsspecSource, destination: Path, environment: BuildEnvironment) -> Artifact:
    """Bring what the URL names into `destination`.

    Raises:
        PolicyError: The operator does not allow it.
        BackendError: The library that reads the protocol is not installed.
        FetchError: As the hook says.
    """
    settings = read_settings(environment)
    check_policy(source, settings)
    environment.deadline.step = f"fetching {source.location}"
    if source.address.protocol in WEB:
        from cmp_backend_fsspec.web import fetch_web  # noqa: PLC0415  # each reader has a library of its own

        return fetch_web(source, destination, environment, settings.allowances())
    from cmp_backend_fsspec.libraries import fetch_with_library  # noqa: PLC0415  # as above

    return fetch_with_library(source, destination, environment)


def list_source(source: FsspecSource, environment: BuildEnvironment) -> int:
    """Return how many entries the source lists, after a small read of it; write nothing.

    Raises:
        CmpError: What a fetch would raise.
    """
    if source.address.protocol in WEB:
        from cmp_backend_fsspec.web import list_web  # noqa: PLC0415  # as above

        return list_web(source, environment, read_settings(environment).allowances())
    from cmp_backend_fsspec.libraries import list_with_library  # noqa: PLC0415  # as above

    return list_with_library(source, environment)
