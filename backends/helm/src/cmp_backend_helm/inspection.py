"""Own the look at a chart before Helm sees it: whether it is complete, and that nothing in it reaches outside.

A chart's schema may name other schemas, and Helm reads them from wherever they lie: from the sidecar's disk
(``file:`` and paths) or from the network. So a schema that names one is refused, also in the archives of subcharts,
which Helm unpacks by itself.
"""

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from cmp_backend_helm.fetching import unpack
from cmp_backend_helm.layout import CHART_FILE, Chart
from cmp_backend_helm.source import HelmSource
from cmp_core import Artifact, BuildEnvironment, LimitExceededError, RenderError

SCHEMA = "values.schema.json"
MOST_PACKED = 4
"""How deep archives of subcharts may lie in each other."""

_DIALECTS = ("http://json-schema.org/", "https://json-schema.org/")
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_VENDOR = "run `helm dependency build` before you publish the chart"


def inspect_chart(chart: Chart, source: HelmSource, environment: BuildEnvironment) -> None:
    """Refuse a chart that is not complete, or of which a schema names another one.

    Raises:
        RenderError: Names the file and what is wrong with it.
        LimitExceededError: The subcharts' archives hold more than the limits allow.
        IntegrityError: The archive of a subchart is damaged or hostile.
    """
    limits = source.limits.under(environment.settings.limits)
    inspection = _Inspection(source, environment, limits.total_bytes)
    inspection.inspect(chart, f"{source.location}: ", MOST_PACKED)
    _check_dependencies(chart.folder, source.location)


class _Inspection:
    """The look at one chart and all archives in it, which together may hold no more than one source."""

    def __init__(self, source: HelmSource, environment: BuildEnvironment, most_bytes: int) -> None:
        self._source = source
        self._environment = environment
        self._most_bytes = most_bytes
        self._bytes = 0

    def inspect(self, chart: Chart, place: str, depth: int) -> None:
        """Look at all files of a chart.

        Args:
            chart: The chart, unpacked.
            place: What stands before a path in messages.
            depth: How deep archives may still lie in it.
        """
        self._bytes += sum((chart.folder / path).stat().st_size for path in chart.files)
        if self._bytes > self._most_bytes:
            raise LimitExceededError(
                f"{self._source.location}: the chart's own archives hold more than {self._most_bytes} bytes: raise "
                "`limits.totalBytes`, or make the chart smaller"
            )
        for path in chart.files:
            self._environment.deadline.check()
            if "\\" in path:
                raise RenderError(f"{place}{path}: Helm would take `\\` for a separator: rename it")
            if path.rpartition("/")[2] == SCHEMA:
                _check_schema((chart.folder / path).read_bytes(), f"{place}{path}")
            elif path.endswith(".tgz") and path.rpartition("/")[0].endswith("charts"):
                self._inspect_packed(chart.folder / path, f"{place}{path}", depth)

    def _inspect_packed(self, archive: Path, place: str, depth: int) -> None:
        if not depth:
            raise RenderError(f"{place}: archives lie in each other deeper than {MOST_PACKED}: unpack them")
        with tempfile.TemporaryDirectory(dir=archive.parent) as scratch:
            alone, unpacked = Path(scratch, "packed"), Path(scratch, "unpacked")
            alone.mkdir()
            unpacked.mkdir()
            (alone / archive.name).hardlink_to(archive)
            there = Artifact.from_directory(alone)
            files = unpack(there, unpacked, {}, self._source, self._environment).files
            self.inspect(Chart(unpacked, files), f"{place}: ", depth - 1)


def _check_schema(content: bytes, place: str) -> None:
    try:
        schema = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RenderError(f"{place}: is no JSON: mend it") from error
    for key, value in _texts(schema):
        if (key in _REFERENCES and not value.startswith("#")) or (key == "$schema" and not value.startswith(_DIALECTS)):
            raise RenderError(
                f"{place}: `{key}: {value[:200]}` names another schema, and Helm may fetch nothing: put that one into "
                "`$defs` of this file"
            )


def _texts(schema: Any) -> Iterator[tuple[str, str]]:
    """Yield every text that is the value of a key, with the key."""
    waiting: list[Any] = [schema]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Mapping):
            yield from ((key, value) for key, value in item.items() if isinstance(value, str))
        waiting.extend(item.values() if isinstance(item, Mapping) else item if isinstance(item, list) else ())


def _check_dependencies(folder: Path, location: str) -> None:
    """Refuse a chart that names a subchart which does not lie in it: Helm would have to fetch it."""
    there = list(_subcharts(folder / "charts"))
    for file in (CHART_FILE, "requirements.yaml"):
        for name in _named_dependencies(folder / file):
            if not any(subchart == name or subchart.startswith(f"{name}-") for subchart in there):
                raise RenderError(
                    f"{location}: {file}: the chart needs the subchart `{name[:100]}`, which is not in its folder "
                    f"`charts`, and Helm may fetch nothing: {_VENDOR}"
                )


def _subcharts(folder: Path) -> Iterator[str]:
    """Yield what subcharts are called: by their own word where they are folders, else by their file."""
    for entry in folder.iterdir() if folder.is_dir() else ():
        yield entry.name
        if (entry / CHART_FILE).is_file():
            yield str(_read(entry / CHART_FILE).get("name"))


def _named_dependencies(file: Path) -> Iterable[str]:
    dependencies = _read(file).get("dependencies") if file.is_file() else None
    items = dependencies if isinstance(dependencies, list) else ()
    return [str(item.get("name")) for item in items if isinstance(item, Mapping)]


def _read(file: Path) -> Mapping[str, Any]:
    """Return what stands in a chart's own file; what is no YAML is for Helm to refuse."""
    try:
        content = yaml.load(file.read_bytes(), Loader=yaml.CSafeLoader)  # the safe loader, in C
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, Mapping) else {}
