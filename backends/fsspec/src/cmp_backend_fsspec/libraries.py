"""Own what is read by a library of fsspec: which class it is, how it is opened, and what its failures mean."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cmp_backend_fsspec.failures import explain
from cmp_backend_fsspec.protocols import AZURE, PROTOCOLS, REFUSED_CLASSES, read_option
from cmp_backend_fsspec.source import FsspecSource
from cmp_core import (
    Artifact,
    BackendError,
    BuildEnvironment,
    CmpError,
    FetchError,
    IntegrityError,
    PolicyError,
    SourceNotFoundError,
)
from cmp_core.transfer import copy_folder, quote_path

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

CLOSE_SECONDS = 5
"""How long connections may take to close."""

_GCS = frozenset({"gcs", "gs"})


def fetch_with_library(source: FsspecSource, destination: Path, environment: BuildEnvironment) -> Artifact:
    """Bring what the URL names into `destination`, by the library that fsspec knows for its protocol.

    Raises:
        BackendError: The library is not installed.
        PolicyError: It would read the sidecar's disk.
        FetchError: As the hook says.
    """
    with _explained(source, environment), _opened(source, environment) as (filesystem, root):
        return copy_folder(filesystem, root, destination, source, environment)


def list_with_library(source: FsspecSource, environment: BuildEnvironment) -> int:
    """Return how many entries the source lists at its root; write nothing.

    Raises:
        CmpError: As for a fetch.
    """
    with _explained(source, environment), _opened(source, environment) as (filesystem, root):
        entries = len(filesystem.ls(root, detail=True))
        if not entries:
            raise SourceNotFoundError(f"{source.location} holds no file: put one there, or check its path")
        return entries


@contextmanager
def _explained(source: FsspecSource, environment: BuildEnvironment) -> Iterator[None]:
    """Turn whatever a library raises into one of cmp-core's errors; a defect stays one."""
    try:
        yield
    except CmpError as error:
        # What the host takes for a plain error of the system may be one of a library's that says more.
        meaning = explain(error.__cause__, source.location) if _is_vague(error) and error.__cause__ else None
        if meaning is None:
            raise
        raise meaning from error
    except Exception as error:
        environment.deadline.check()
        meaning = explain(error, source.location)
        if meaning is None:
            raise
        raise meaning from error


@contextmanager
def _opened(source: FsspecSource, environment: BuildEnvironment) -> "Iterator[tuple[AbstractFileSystem, str]]":
    """Open the filesystem, and let none of its connections outlive the fetch, however that ends."""
    filesystem, root = _open(source, environment)
    try:
        yield filesystem, root
    finally:
        if hasattr(filesystem, "close_connections"):
            filesystem.close_connections()


def _is_vague(error: CmpError) -> bool:
    return type(error) is FetchError


def _open(source: FsspecSource, environment: BuildEnvironment) -> "tuple[AbstractFileSystem, str]":
    """Return the filesystem, and the source's path on it."""
    address = source.address
    protocol = address.protocol
    options = {name: read_option(protocol, name, value) for name, value in source.options.items()}
    _require_library(protocol)
    configured = _without_own_configuration(protocol, environment)
    if protocol in _GCS:
        from cmp_backend_fsspec.gcs import open_gcs  # noqa: PLC0415  # gcsfs may be absent, and loads slowly

        return open_gcs(source, options, environment), f"{address.authority}/{address.path}".rstrip("/")
    if protocol in AZURE:
        from cmp_backend_fsspec.azure import open_azure  # noqa: PLC0415  # as above

        return open_azure(source, options, environment), address.blob_path.rstrip("/")
    filesystem_class = find_class(protocol)
    if protocol == "github":
        repository, _, path = address.path.partition("/")
        configured |= _github_options(address.authority, repository, address.reference, environment)
        root = path.rstrip("/")
    else:
        configured |= filesystem_class._get_kwargs_from_urls(str(address))  # noqa: SLF001  # the interface of every filesystem, in spite of its name
        root = filesystem_class._strip_protocol(str(address))  # noqa: SLF001  # as above
    options |= configured  # the operator's word counts
    return filesystem_class(**options, skip_instance_cache=True, use_listings_cache=False), root


def find_class(protocol: str) -> Any:
    """Return the class of a protocol's filesystem.

    Raises:
        BackendError: No installed library provides it.
        PolicyError: It is one that reads the sidecar's disk or wraps another, whatever its protocol is called.
    """
    from fsspec.registry import get_filesystem_class, known_implementations  # noqa: PLC0415  # loads slowly

    if protocol not in known_implementations:
        raise BackendError(
            f"no installed library reads `{protocol}://`: install one into the sidecar's image, or correct `url`"
        )
    try:
        found = get_filesystem_class(protocol)
    except (ImportError, AttributeError, TypeError) as error:
        library = known_implementations[protocol]["class"].partition(".")[0]
        missing = getattr(error.__cause__ or error, "name", None)
        needs = f" ({quote_path(missing)} is missing)" if missing else ""
        raise BackendError(
            f"the library that reads `{protocol}://` is not installed{needs}: install {quote_path(library)}, or what "
            "it needs, into the sidecar's image"
        ) from error
    refused = {f"{base.__module__}.{base.__qualname__}" for base in found.__mro__} & REFUSED_CLASSES
    if refused:
        raise PolicyError(
            f"`{protocol}://` is read by {min(refused)}, which can reach the sidecar's own disk or leads past the "
            "operator's settings: use another protocol"
        )
    return found


def _require_library(protocol: str) -> None:
    known = PROTOCOLS.get(protocol)
    if known is None:
        return
    try:
        import_module(known.library)
    except ImportError as error:
        raise BackendError(
            f"`{protocol}://` is read by {known.library}, which is not installed: install "
            f"`cmp-backend-fsspec[{known.extra}]` into the sidecar's image"
        ) from error


def _without_own_configuration(protocol: str, environment: BuildEnvironment) -> dict[str, Any]:
    """Let fsspec's own files and variables say nothing about what is read; return what is left of them.

    Whatever a protocol without a table here needs of an identity can only stand in the sidecar's FSSPEC_* variables.
    """
    from fsspec.config import conf, set_conf_env  # noqa: PLC0415  # loads slowly

    conf.clear()
    if protocol in PROTOCOLS:
        return {}
    prefix = f"FSSPEC_{protocol.upper()}"
    own = {name: value for name, value in environment.variables.items() if name.startswith(prefix)}
    configured: dict[str, dict[str, Any]] = {}
    set_conf_env(configured, own)
    return dict(configured.get(protocol, {}))


def _github_options(
    organisation: str, repository: str, reference: str, environment: BuildEnvironment
) -> dict[str, Any]:
    """Return which repository is meant, and who asks."""
    settings = environment.settings
    options: dict[str, Any] = {
        "org": organisation,
        "repo": repository,
        "sha": reference,
        "timeout": (settings.connect_timeout, settings.read_timeout),
    }
    if token := environment.variables.get("GITHUB_TOKEN"):
        options |= {"username": "x-access-token", "token": token}
    return options


def refuse_encoding(path: str, encoding: str) -> IntegrityError:
    """Return the error for an object that would come out otherwise than it is stored."""
    return IntegrityError(
        f"{quote_path(path)} is stored with the encoding {quote_path(encoding)}: store it as it is, or exclude it"
    )
