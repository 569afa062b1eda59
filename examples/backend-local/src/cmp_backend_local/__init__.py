"""The smallest backend of cmp-core: a folder on the sidecar's own disk, named by a `local-source.yaml`."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from cmp_core import Artifact, BuildEnvironment, Source, hookimpl
from cmp_core.transfer import copy_folder


def _check_path(path: str) -> str:
    if not path.startswith("/") or ".." in path.split("/") or not path.isprintable():
        raise ValueError("must be an absolute path without `..`: write it as in `path: /srv/manifests/demo`")
    return path


class LocalSource(Source):
    """The keys of a `local-source.yaml`, besides those that every source has."""

    path: Annotated[
        str,
        AfterValidator(_check_path),
        Field(description="The folder on the sidecar's disk, as an absolute path.", examples=["/srv/manifests/demo"]),
    ]

    @property
    def location(self) -> str:
        """Where the source lies, for messages."""
        return f"file://{self.path}"


@hookimpl
def source_model() -> type[Source]:
    """Return the model of `local-source.yaml`."""
    return LocalSource


@hookimpl
def fetch(source: LocalSource, destination: Path, environment: BuildEnvironment) -> Artifact:
    """Copy the folder into `destination`."""
    from fsspec.implementations.local import LocalFileSystem  # noqa: PLC0415  # what loads slowly is loaded where it is used

    return copy_folder(LocalFileSystem(), source.path, destination, source, environment)
