"""The helm backend of cmp-core: its hooks."""

from collections.abc import Iterable
from pathlib import Path

from cmp_backend_helm.fetching import fetch_chart
from cmp_backend_helm.rendering import render_chart
from cmp_backend_helm.source import HelmSource
from cmp_core import Artifact, BuildEnvironment, Document, FetchNested, hookimpl


@hookimpl
def source_model() -> type[HelmSource]:
    """Return the model of ``helm-source.yaml``."""
    return HelmSource


@hookimpl
def fetch(source: HelmSource, destination: Path, environment: BuildEnvironment, fetch_nested: FetchNested) -> Artifact:
    """Bring the chart and its files of values into `destination`."""
    return fetch_chart(source, destination, environment, fetch_nested)


@hookimpl
def render(artifact: Artifact, source: HelmSource, environment: BuildEnvironment) -> Iterable[Document]:
    """Let Helm render the chart."""
    return render_chart(artifact, source, environment)
