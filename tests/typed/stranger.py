"""A stranger's backend with every hook: `make types` expects the strict type checkers to find nothing here."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field

from cmp_core import (
    Artifact,
    BuildEnvironment,
    Document,
    FetchNested,
    Finding,
    NestedSource,
    RenderError,
    RenderNested,
    Source,
    SourceNotFoundError,
    TransientFetchError,
    combine_revisions,
    hookimpl,
    identify_objects,
    location_of,
    split_documents,
)
from cmp_core.transfer import RemoteFile, check_path, copy_files, filter_paths, revision_of, select_files


class StrangerSource(Source):
    """A source around another one."""

    inner: Annotated[NestedSource, Field(description="The source inside.")]
    names: Annotated[tuple[str, ...], Field(description="Which files.")] = ()

    @property
    def location(self) -> str:
        """Where the source lies."""
        return location_of(self.inner)


@hookimpl
def source_model() -> type[Source]:
    """Return the model."""
    return StrangerSource


@hookimpl
def fetch(
    source: StrangerSource, destination: Path, environment: BuildEnvironment, fetch_nested: FetchNested
) -> Artifact:
    """Fetch the source inside."""
    environment.deadline.check()
    inner = fetch_nested(source.inner, destination / "inner", key="inner")
    again = fetch_nested({"backend": "s3", "bucket": "b"}, destination / "again")
    if not filter_paths(list(inner.files), source):
        raise SourceNotFoundError(f"{source.location} holds none of the files: correct `names`")
    if environment.deadline.remaining() < 1:
        raise TransientFetchError(f"{source.location} was too slow: try again")
    return Artifact.from_directory(destination, revision=combine_revisions([inner.revision, again.revision]))


@hookimpl
def render(
    artifact: Artifact, source: StrangerSource, environment: BuildEnvironment, render_nested: RenderNested
) -> Iterator[Document]:
    """Render what is there."""
    yield from render_nested(source.inner, artifact, key="inner")
    for path in artifact.files:
        for document in split_documents((artifact.root / path).read_bytes(), path):
            if not identify_objects(document, environment.application):
                raise RenderError(f"{path}: holds no object: remove it")
            yield document


@hookimpl
def diagnose(source: StrangerSource | None, environment: BuildEnvironment) -> Iterator[Finding]:
    """Tell what is there."""
    yield Finding("stranger", "ok", f"{environment.application.name} asks")
    yield Finding.of_error("stranger", SourceNotFoundError("nothing is there: look elsewhere"))


async def copy(source: StrangerSource, destination: Path, environment: BuildEnvironment) -> str:
    """Copy from a service without fsspec."""
    limits = source.limits.under(environment.settings.limits)
    files = select_files([RemoteFile("a.yaml", 1, "etag")], source, limits)
    for file in files:
        check_path(file.path)
    await copy_files(files, read, destination, environment)
    return revision_of(files)


async def read(file: RemoteFile) -> AsyncIterator[bytes]:
    """Yield the bytes of one file."""
    yield file.path.encode()
