"""Own where things lie in the artifact: the chart in one folder, and each fetched file of values in one of its own."""

from pathlib import Path
from typing import NamedTuple

from cmp_backend_helm.source import HelmSource
from cmp_core import Artifact, RenderError

CHART = "chart"
CHART_FILE = "Chart.yaml"


class Chart(NamedTuple):
    """A chart as it lies on the disk.

    Attributes:
        folder: Where it lies.
        files: Every file's path below that folder.
    """

    folder: Path
    files: tuple[str, ...]


def values_folder(number: int) -> str:
    """Return the folder of the fetched file of values that stands at `number` in ``valueFiles``."""
    return f"values/{number}"


def find_chart(artifact: Artifact, source: HelmSource) -> Chart:
    """Return the chart: what was fetched, or the only folder in it, as archives have one.

    Raises:
        RenderError: There is no ``Chart.yaml`` in either.
    """
    if f"{CHART}/{CHART_FILE}" in artifact.files:
        return _chart_in(artifact, CHART)
    inner = {path.split("/")[1] for path in artifact.files if path.startswith(f"{CHART}/")}
    if len(inner) == 1 and f"{CHART}/{min(inner)}/{CHART_FILE}" in artifact.files:
        return _chart_in(artifact, f"{CHART}/{min(inner)}")
    raise RenderError(f"{source.location} holds no {CHART_FILE}: name the folder of a chart, or a packed one")


def _chart_in(artifact: Artifact, folder: str) -> Chart:
    prefix = f"{folder}/"
    below = (path.removeprefix(prefix) for path in artifact.files if path.startswith(prefix))
    return Chart(artifact.root / folder, tuple(below))
