"""The tarball backend of cmp-core: its hooks, and nothing that opens an archive before a fetch begins."""

from pathlib import Path

from cmp_backend_tarball.source import TarballSource
from cmp_core import Artifact, BackendError, BuildEnvironment, FetchNested, hookimpl


@hookimpl
def source_model() -> type[TarballSource]:
    """Return the model of ``tarball-source.yaml``."""
    return TarballSource


@hookimpl
def fetch(
    source: TarballSource, destination: Path, environment: BuildEnvironment, fetch_nested: FetchNested
) -> Artifact:
    """Bring the files of the archive that `source` names into `destination`."""
    import tarfile  # noqa: PLC0415  # as below

    if not hasattr(tarfile, "data_filter"):
        raise BackendError("Python before 3.11.4 cannot unpack archives safely: use a newer one in the sidecar's image")
    from cmp_backend_tarball.fetching import fetch_archive  # noqa: PLC0415  # four decoders, which validation needs not

    return fetch_archive(source, destination, environment, fetch_nested)
