"""Own the table of figures, and its place in the documentation."""

import os
import platform
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from benchmarks.crowd import IN_TIME_SECONDS, Crowd
from benchmarks.measure import Usage, peak_of, seconds_of

BEGIN = "<!-- benchmark -->"
END = "<!-- /benchmark -->"


class Comparison(NamedTuple):
    """Two sides that did the same.

    Attributes:
        what: What was done.
        ours: What cmp-core took.
        theirs: What the AWS CLI took.
        target: The greatest ratio of the medians that is acceptable.
    """

    what: str
    ours: Sequence[Usage]
    theirs: Sequence[Usage]
    target: float

    @property
    def ratio(self) -> float:
        """The median of ours over the median of theirs."""
        return seconds_of(self.ours).median / seconds_of(self.theirs).median

    def row(self) -> tuple[str, ...]:
        """Return the comparison as a row of a table."""
        verdict = "held" if self.ratio <= self.target else "missed"
        times = (seconds_of(side).text("s") for side in (self.ours, self.theirs))
        return (self.what, *times, f"{self.ratio:.2f}", f"≤ {self.target}: {verdict}")


class Footprint(NamedTuple):
    """What a number of objects takes.

    Attributes:
        objects: How many there are.
        init: What `init` took.
        generate: What `generate` took.
    """

    objects: int
    init: Sequence[Usage]
    generate: Sequence[Usage]

    def row(self) -> tuple[str, ...]:
        """Return the footprint as a row of a table."""
        memory = (peak_of(side).text("MB", 1e-6, 0) for side in (self.init, self.generate))
        times = (seconds_of(side).text("s", digits=1) for side in (self.init, self.generate))
        return (f"{self.objects:,}", *memory, *times)


def write_report(
    comparisons: Iterable[Comparison],
    footprints: Iterable[Footprint],
    crowds: Iterable[Crowd],
    surroundings: Sequence[str],
) -> str:
    """Return the tables as Markdown, with what they were measured on."""
    compared = table(("", "cmp-core", "AWS CLI", "ratio", "target"), (one.row() for one in comparisons))
    sizes = table(
        ("objects", "`init`, peak", "`generate`, peak", "`init`", "`generate`"), (one.row() for one in footprints)
    )
    together = table(
        ("work at once", "memory (PSS)", "memory (RSS)", "all answered", "each", f"within {IN_TIME_SECONDS} s"),
        (one.row() for one in crowds),
    )
    description = "\n".join(f"- {line}" for line in surroundings)
    return f"{compared}\n\n{sizes}\n\n{together}\n\nMeasured on:\n\n{description}\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def describe_machine() -> list[str]:
    """Return what the figures depend on: processor, memory, operating system, Python, day."""
    pages, page_bytes = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return [
        f"{os.cpu_count()} cores of {processor()}, {pages * page_bytes / 2**30:.0f} GiB of memory",
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        f"{datetime.now(UTC):%Y-%m-%d}",
    ]


def processor() -> str:
    """Return the processor's name, as Linux knows it, or the kind of machine."""
    try:
        names = re.findall(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        names = []
    return names[0] if names else platform.machine()


def put_into_page(page: Path, report: str) -> None:
    """Replace what stands between the two marks of the page; end the benchmark where it has none."""
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        sys.exit(f"{page} has no place for the figures: add the lines {BEGIN} and {END}")
    page.write_text(f"{before}{begin}\n{report}{end}{after}", encoding="utf-8")
