"""The shelf backend of cmp-core: folders on a volume that the operator shares."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from cmp_core import (
    Artifact,
    BuildEnvironment,
    Finding,
    Source,
    SourceAccessError,
    SourceNotFoundError,
    TransientFetchError,
    hookimpl,
)
from cmp_core.transfer import copy_folder
from pydantic import AfterValidator, Field

VARIABLE = "SHARED_SHELF"
"""The sidecar's variable that says where the volume is mounted."""

MOUNT = "/srv/shelf"
"""Where the volume is mounted unless the variable says otherwise."""


def _check_path(path: str) -> str:
    if path.startswith("/") or ".." in path.split("/") or not path.isprintable():
        raise ValueError("must lie below the shared volume: write it as in `path: apps/demo`")
    return path


class ShelfSource(Source):
    """The keys of a `shelf-source.yaml`, besides those that every source has."""

    path: Annotated[
        str,
        Field(description="The folder, below the shared volume.", min_length=1, examples=["apps/demo"]),
        AfterValidator(_check_path),
    ]

    @property
    def location(self) -> str:
        """Where the source lies, for messages."""
        return f"shelf:{self.path}"


@hookimpl
def source_model() -> type[Source]:
    """Return the model of `shelf-source.yaml`."""
    return ShelfSource


@hookimpl
def fetch(source: ShelfSource, destination: Path, environment: BuildEnvironment) -> Artifact:
    """Copy the folder that `source` names into `destination`."""
    from fsspec.implementations.local import LocalFileSystem  # loads slowly, and only a fetch needs it

    folder = find_folder(source, find_volume(environment))
    return copy_folder(LocalFileSystem(), str(folder), destination, source, environment)


@hookimpl
def diagnose(source: ShelfSource | None, environment: BuildEnvironment) -> Iterator[Finding]:
    """Tell whether the volume is mounted, and whether the folder that `source` names can be read."""
    try:
        volume = find_volume(environment)
    except TransientFetchError as error:
        yield Finding.of_error("volume", error)
        return
    yield Finding("volume", "ok", f"{volume} is mounted")
    if source is None:
        return
    try:
        folder = find_folder(source, volume)
    except (SourceAccessError, SourceNotFoundError) as error:
        yield Finding.of_error("folder", error)
        return
    yield Finding("folder", "ok", f"{folder} can be read")


def find_volume(environment: BuildEnvironment) -> Path:
    """Return the folder where the shared volume is mounted, without links.

    Raises:
        TransientFetchError: It is not mounted. That is no missing source: the folder may well exist.
    """
    volume = Path(environment.variables.get(VARIABLE) or MOUNT).resolve()
    if not volume.is_dir():
        raise TransientFetchError(
            f"{volume} is not there: mount the shared volume into the sidecar, or say in {VARIABLE} where it is"
        )
    return volume


def find_folder(source: ShelfSource, volume: Path) -> Path:
    """Return the folder that `source` names, without links.

    Raises:
        SourceNotFoundError: There is none.
        SourceAccessError: It lies outside of the volume, as a link may do, or may not be listed.
    """
    folder = (volume / source.path).resolve()
    if not folder.is_relative_to(volume):
        raise SourceAccessError(f"{source.location} leads out of {volume}: name a folder below it")
    if not folder.exists():
        raise SourceNotFoundError(f"{source.location} does not exist below {volume}: correct `path`")
    if not os.access(folder, os.R_OK):
        raise SourceAccessError(f"{source.location} may not be read: let the sidecar's user read {folder}")
    return folder
