"""Own the page of the documentation about the soak: the plot beside it, and the figures in it."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from e2e.soak.results import SUMMARY

from benchmarks.report import table

PAGE = Path("docs/explanation/soak.md")

_PLOT = Path(__file__).with_name("plot.py")
_BLOCK = re.compile(r"(?<=<!-- soak -->\n).*?(?=<!-- /soak -->)", re.DOTALL)
_OUTCOMES = {
    "right": "the right manifests, or the right answer to another question",
    "own error": "the error that the application deserves: an empty prefix, a missing bucket, a broken manifest, a "
    "file that is no manifest, a wrong trigger file",
    "excused error": "one clear error of a class that the faults met by this very request explain",
    "ended by client": "cancelled, or past a short deadline of the client's own",
    "wrong": "anything else",
}
_MB = 1e-6


def publish(matplotlib: Path, folder: Path, page: Path) -> None:
    """Draw the plot beside the page, and put the figures into it.

    Args:
        matplotlib: A Python that has matplotlib.
        folder: The results of a soak.
        page: A page with a place for the figures.
    """
    summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    fill(page, write_report(summary))
    subprocess.run([matplotlib, "-I", _PLOT, folder, page.with_suffix(".svg")], check=True)


def fill(page: Path, report: str) -> None:
    """Replace what stands between the two marks of the page; end with a sentence where it has none."""
    text = page.read_text(encoding="utf-8")
    if len(_BLOCK.findall(text)) != 1:
        sys.exit(f"{page} has no place for the figures: add the lines <!-- soak --> and <!-- /soak -->")
    page.write_text(_BLOCK.sub(lambda _: report, text), encoding="utf-8")


def write_report(summary: Mapping[str, Any]) -> str:
    """Return the tables as Markdown."""
    outcomes = summary["outcomes"]
    answers = [(name, f"{outcomes.get(name, 0):,}", what) for name, what in _OUTCOMES.items()]
    times = [
        (f"`{name}`", f"{one['answers']:,}", *(f"{one[key]:.1f} s" for key in ("p50", "p95", "most")))
        for name, one in summary["latency"].items()
        if "p50" in one
    ]
    tables = (
        table(("answers", "", "that were"), answers),
        table(("application", "right manifests", "median", "95th percentile", "longest"), times),
        table(("measured", "", "bound"), _measured(summary)),
        table(("fault", "times"), ((kind, f"{number:,}") for kind, number in summary["incidents"].items())),
    )
    description = "\n".join(f"- {line}" for line in _surroundings(summary))
    return "\n\n".join(tables) + f"\n\nMeasured on:\n\n{description}\n"


def _measured(summary: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    memory, peaks, idle = summary["memory"], summary["peaks"], summary["idle"]
    bounds = summary["bounds"]
    yield (
        "memory of argocd-cmp-server, median of the first and of the last third",
        f"{memory['first third'] * _MB:.0f} and {memory['last third'] * _MB:.0f} MB",
        f"at most {(bounds['growth'] - 1) * 100:.0f} % and {bounds['more bytes'] * _MB:.0f} MB more",
    )
    yield "memory of all processes of cmp-core at once (PSS), the most", f"{memory['plugins'] * _MB:.0f} MB", ""
    yield "processes of cmp-core at once, the most", str(peaks["processes"]), ""
    yield "waiting for a slot at once, the most", str(peaks["tickets"]), ""
    yield (
        "store, the most",
        f"{peaks['store_bytes'] * _MB:.1f} MB",
        f"{bounds['store'] * _MB:.1f} MB, and {(bounds['store margin'] - 1) * 100:.0f} % more for a while",
    )
    yield "afterwards: processes, zombies", f"{idle['processes']}, {idle['zombies']}", "none"
    yield "afterwards: files in the work folder, tickets", f"{idle['work_files']}, {idle['tickets']}", "none"
    yield "afterwards: files in TMPDIR beside the state folder", str(idle["temporary"]), "none"
    yield "afterwards: unfinished files of the store", str(idle["unfinished"]), "none older than ten minutes"
    yield (
        "afterwards: open files of argocd-cmp-server",
        str(idle["server_descriptors"]),
        f"at most {bounds['more descriptors']} more than before",
    )


def _surroundings(summary: Mapping[str, Any]) -> Iterator[str]:
    yield from summary["machine"]
    yield ", ".join(f"{name} {version}" for name, version in summary["versions"].items())
    yield f"{summary['seconds'] / 60:.0f} minutes, {summary['clients']} clients at once, seed {summary['seed']}"
    yield f"load of the machine while it ran, from others too: {summary['load']}"
    yield f"{summary['releases']:,} releases into the floating prefix, which had {summary['states']:,} states"
    yield f"{summary['asked again']:,} requests brought the right manifests because a call was tried again"
