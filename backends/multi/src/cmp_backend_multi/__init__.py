"""The multi backend of cmp-core: its hooks."""

from collections.abc import Iterable
from pathlib import Path

from cmp_backend_multi.fetching import fetch_all
from cmp_backend_multi.rendering import render_all
from cmp_backend_multi.source import MultiSource
from cmp_core import Artifact, BuildEnvironment, Document, FetchNested, RenderNested, hookimpl


@hookimpl
def source_model() -> type[MultiSource]:
    """Return the model of ``multi-source.yaml``."""
    return MultiSource


@hookimpl
def fetch(source: MultiSource, destination: Path, environment: BuildEnvironment, fetch_nested: FetchNested) -> Artifact:
    """Bring every source into a folder of its own below `destination`."""
    return fetch_all(source, destination, environment, fetch_nested)


@hookimpl
def render(
    artifact: Artifact, source: MultiSource, environment: BuildEnvironment, render_nested: RenderNested
) -> Iterable[Document]:
    """Render every source by its own backend, in the order written."""
    return render_all(artifact, source, environment, render_nested)
