"""Own where things lie in the artifact: the chart in one folder, and each fetched file of values in one of its own."""

from pathlib import Path

from cmp_backend_helm.source import HelmSource
from cmp_core import Artifact, RenderError

CHART = "chart"
CHART_FILE = "Chart.yaml"


def values_folder(number: int) -> str:
    """Return the folder of the fetched file of values that stands at `number` in ``valueFiles``."""
    return f"values/{number}"


def find_chart(artifact: Artifact, source: HelmSource) -> Path:
    """Return the folder of the chart: what was fetched, or the only folder in it, as archives have one.

    Raises:
        RenderError: There is no ``Chart.yaml`` in either.
    """
    if f"{CHART}/{CHART_FILE}" in artifact.files:
        return artifact.root / CHART
    inner = {path.split("/")[1] for path in artifact.files if path.startswith(f"{CHART}/")}
    if len(inner) == 1 and f"{CHART}/{min(inner)}/{CHART_FILE}" in artifact.files:
        return artifact.root / CHART / min(inner)
    raise RenderError(f"{source.location} holds no {CHART_FILE}: name the folder of a chart, or a packed one")
