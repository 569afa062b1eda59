"""A sound backend that is small enough to read: shelves of files in a folder, in which the tests plant their defects.

`SHELVES` names the folder, `SHELVES_TOKEN` is a secret, and `SHELVES_LOCKED` the one shelf that the operator keeps to
himself. A file `NAME.state` beside a shelf lets it be `denied`, `down` or `silent`.
"""

import hashlib
import logging
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field

from cmp_core import (
    Artifact,
    BuildEnvironment,
    FetchNested,
    Finding,
    NestedSource,
    PolicyError,
    Source,
    SourceAccessError,
    SourceNotFoundError,
    TransientFetchError,
    hookimpl,
)
from cmp_core.errors import CmpError
from cmp_core.transfer import RemoteFile, check_path, revision_of, select_files

log = logging.getLogger(__name__)


class ShelfSource(Source):
    """One shelf."""

    name: Annotated[str, Field(description="The shelf's name.", min_length=1, examples=["demo"])]
    base: Annotated[NestedSource | None, Field(description="A source that is taken in place of the shelf.")] = None

    @property
    def location(self) -> str:
        """Where the source lies, for messages."""
        return f"shelf:{self.name}"


@hookimpl
def source_model() -> type[ShelfSource]:
    """Return the model of the trigger file."""
    return ShelfSource


@hookimpl
def fetch(source: ShelfSource, destination: Path, environment: BuildEnvironment, fetch_nested: FetchNested) -> Artifact:
    """Copy the shelf."""
    if source.base:
        return fetch_nested(source.base, destination, key="base")
    shelf = open_shelf(source, environment)
    limits = source.limits.under(environment.settings.limits)
    files = select_files(list_shelf(shelf, environment), source, limits)
    for file in files:
        check_path(file.path)
        target = destination / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        content = (shelf / file.path).read_bytes()
        environment.deadline.check()
        target.write_bytes(content)
    log.debug("copied %d files", len(files))
    return Artifact.from_directory(destination, revision=revision_of(files))


@hookimpl
def diagnose(source: ShelfSource | None, environment: BuildEnvironment) -> Iterable[Finding]:
    """Look at the folder, and at the shelf."""
    yield Finding("folder", "ok", f"{environment.variables['SHELVES']} is there")
    if source:
        try:
            open_shelf(source, environment)
        except CmpError as error:
            yield Finding.of_error("shelf", error)


def open_shelf(source: ShelfSource, environment: BuildEnvironment) -> Path:
    """Return the shelf's folder, if it is there and may be read."""
    environment.deadline.check()
    environment.deadline.step = f"opening {source.location}"
    root = Path(environment.variables["SHELVES"])
    if source.name == environment.variables.get("SHELVES_LOCKED"):
        raise PolicyError(f"{source.location} is locked: ask the operator to unlock it (SHELVES_LOCKED)")
    state = root / f"{source.name}.state"
    word = state.read_text(encoding="utf-8") if state.exists() else ""
    if word == "denied":
        raise SourceAccessError(f"{source.location} may not be read: ask the librarian for the right to read it")
    if word == "down":
        raise TransientFetchError(f"{source.location} is out of reach: try again when the library is open")
    while word == "silent":
        environment.deadline.check()
        time.sleep(0.02)
    if not (root / source.name).is_dir():
        raise SourceNotFoundError(f"{source.location} does not exist: check its name")
    return root / source.name


def list_shelf(shelf: Path, environment: BuildEnvironment) -> Iterator[RemoteFile]:
    """Yield what lies on the shelf."""
    for folder, _, names in os.walk(shelf):
        for name in names:
            environment.deadline.check()
            path = Path(folder, name)
            tag = hashlib.sha256(path.read_bytes()).hexdigest()
            yield RemoteFile(path.relative_to(shelf).as_posix(), path.stat().st_size, tag)
