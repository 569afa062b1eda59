"""Own the plot of a soak: small multiples over the minutes, drawn from the CSV files by a Python that has matplotlib.

It runs by itself in the benchmark's environment, which has none of the rest: `python -I plot.py FOLDER FILE.svg`.
"""

import csv
import json
import re
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

Rows = Sequence[Mapping[str, str]]

_OUTCOMES = {
    "right": "#0072B2",
    "own error": "#56B4E9",
    "excused error": "#E69F00",
    "ended by client": "#999999",
    "wrong": "#D50000",
}
_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#666666"
_FAULTS, _OUTAGE = "#FFF3D6", "#F6C9C0"
_MB = 1e-6
_LONGEST_BIN = 60.0  # seconds
_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#888888",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "figure.facecolor": "white",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "grid.color": "#DDDDDD",
    "legend.fontsize": 8,
    "legend.frameon": False,
    "savefig.facecolor": "white",
    # The file shall be small and the same for the same figures.
    "svg.fonttype": "none",
    "svg.hashsalt": "soak",
}


def main(arguments: Sequence[str]) -> None:
    """Draw what lies in a folder into a file; its ending tells the format."""
    folder, target = map(Path, arguments)
    bounds = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["bounds"]
    draw(_read(folder / "requests.csv"), _read(folder / "samples.csv"), bounds["store"], target)


def draw(requests: Rows, samples: Rows, store_bytes: int, target: Path) -> None:
    """Draw the plot; `store_bytes` is the size of the store."""
    import matplotlib as mpl  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415  # as the module says

    mpl.use("agg")
    from matplotlib import pyplot as plt  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415  # as above

    with mpl.rc_context(_STYLE):
        figure, grid = plt.subplots(3, 2, figsize=(11, 8.5), sharex=True, layout="constrained")
        panels: tuple[Callable[[Any], None], ...] = (
            lambda axes: _draw_answers(axes, requests),
            lambda axes: _draw_times(axes, requests),
            lambda axes: _draw_memory(axes, samples),
            lambda axes: _draw_processes(axes, samples),
            lambda axes: _draw_work(axes, samples),
            lambda axes: _draw_store(axes, samples, store_bytes),
        )
        for axes, panel in zip(grid.flat, panels, strict=True):
            _shade(axes, samples)
            panel(axes)
            axes.set_ylim(0, 1.3 * axes.dataLim.ymax)
            axes.set_xlim(0, max(_minutes(samples)[-1], float(requests[-1]["finished"]) / 60))
            axes.legend(loc="upper left", ncols=3)
        for axes in grid[-1]:
            axes.set_xlabel("minutes")
        if target.suffix == ".svg":
            figure.savefig(target, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
            target.write_text(_shortened(target.read_text(encoding="utf-8")), encoding="utf-8")
        else:
            figure.savefig(target, dpi=100)


def _shortened(svg: str) -> str:
    """Return the file with one decimal, which is a tenth of a pixel, and without line ends inside of paths."""
    rounded = re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number[0]):.1f}".removesuffix(".0"), svg)
    return re.sub(r" ?\n(?=[MLz\"])", "", rounded)


def _draw_answers(axes: Any, requests: Rows) -> None:
    axes.set_title("Answers per minute, by outcome")
    size, bins = _bins(requests)
    bottoms = [0.0] * len(bins)
    for outcome, colour in _OUTCOMES.items():
        heights = [60 / size * sum(row["outcome"] == outcome for row in rows) for rows in bins]
        middles = [(number + 0.5) * size / 60 for number in range(len(bins))]
        axes.bar(middles, heights, width=0.86 * size / 60, bottom=bottoms, color=colour, label=outcome)
        bottoms = [bottom + height for bottom, height in zip(bottoms, heights, strict=True)]


def _draw_times(axes: Any, requests: Rows) -> None:
    axes.set_title("Seconds until the right manifests came")
    rendered = [row for row in requests if row["method"] == "generate" and row["outcome"] == "right"]
    size, bins = _bins(rendered)
    middles = [(number + 0.5) * size / 60 for number in range(len(bins))]
    times = [[float(row["seconds"]) for row in rows] or [float("nan")] for rows in bins]
    slow, usual = [_quantile(one, 0.95) for one in times], [statistics.median(one) for one in times]
    axes.plot(middles, slow, color=_ORANGE, marker="o", ms=3, label="95th percentile")
    axes.plot(middles, usual, color=_BLUE, marker="o", ms=3, label="median")


def _draw_memory(axes: Any, samples: Rows) -> None:
    axes.set_title("Memory, MB")
    _line(axes, samples, "plugin_pss", "all processes of cmp-core (PSS)", colour=_ORANGE, unit=_MB)
    _line(axes, samples, "server_rss", "argocd-cmp-server (RSS)", colour=_BLUE, unit=_MB)


def _draw_processes(axes: Any, samples: Rows) -> None:
    axes.set_title("Processes, and open files of the server")
    _line(axes, samples, "server_descriptors", "open files", colour=_GREY)
    _line(axes, samples, "processes", "processes of cmp-core", colour=_ORANGE)
    _line(axes, samples, "tickets", "waiting for a slot", colour=_BLUE)


def _draw_work(axes: Any, samples: Rows) -> None:
    axes.set_title("Files in the work folder")
    _line(axes, samples, "work_files", "of all requests that run", colour=_BLUE)


def _draw_store(axes: Any, samples: Rows, size: int) -> None:
    axes.set_title("Store, MB")
    axes.axhline(size * _MB, color=_GREY, lw=1.1, ls="--", label="its size")
    _line(axes, samples, "store_bytes", "on the disk", colour=_BLUE, unit=_MB)


def _line(axes: Any, samples: Rows, name: str, label: str, *, colour: str, unit: float = 1.0) -> None:
    values = [float(row[name]) * unit for row in samples]
    axes.plot(_minutes(samples), [round(value, 2) for value in values], color=colour, lw=1.1, label=label)


def _shade(axes: Any, samples: Rows) -> None:
    """Put the weather behind everything: a colour for faults and a stronger one for an outage."""
    spells: dict[str, list[tuple[float, float]]] = {_FAULTS: [], _OUTAGE: []}
    begin = 0.0
    for colour, rows in groupby(samples, _colour_of):
        end = float(list(rows)[-1]["seconds"]) / 60
        if colour:
            spells[colour].append((begin, end))
        begin = end
    for colour, those in spells.items():
        # One shape for all of them keeps the file small.
        x = [moment for begin, end in those for moment in (begin, begin, end, end)]
        y = [0, 1, 1, 0] * len(those)
        axes.fill(x, y, color=colour, lw=0, zorder=0, transform=axes.get_xaxis_transform())


def _colour_of(sample: Mapping[str, str]) -> str:
    weather = sample["weather"]
    return "" if weather == "calm" else _OUTAGE if weather == "outage" else _FAULTS


def _bins(rows: Rows) -> tuple[float, Sequence[Rows]]:
    """Return the length of a bin in seconds, and what lies in each: at least ten of them."""
    last = max(float(row["finished"]) for row in rows)
    size = min(_LONGEST_BIN, last / 10)
    return size, [list(_between(rows, number * size, size)) for number in range(int(last / size))]


def _between(rows: Rows, begin: float, size: float) -> Iterator[Mapping[str, str]]:
    return (row for row in rows if begin <= float(row["finished"]) < begin + size)


def _quantile(values: Sequence[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def _minutes(samples: Rows) -> list[float]:
    return [round(float(row["seconds"]) / 60, 3) for row in samples]


def _read(path: Path) -> Rows:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    main(sys.argv[1:])
