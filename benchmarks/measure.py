"""Own the measuring of whole processes: seconds on the clock, and the most memory that was resident."""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True, slots=True)
class Usage:
    """What one process took.

    Attributes:
        seconds: From its start to its end.
        peak_bytes: The most resident memory that it had at once.
    """

    seconds: float
    peak_bytes: int

    def __add__(self, other: "Usage") -> "Usage":
        """Return what two processes took, one after the other."""
        return Usage(self.seconds + other.seconds, max(self.peak_bytes, other.peak_bytes))


@dataclass(frozen=True, slots=True)
class Spread:
    """Several measurements of one thing."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle of the values."""
        return statistics.median(self.values)

    def text(self, unit: str, factor: float = 1.0, digits: int = 2) -> str:
        """Return the median with the least and the greatest value, each times the factor."""
        middle, least, most = (
            f"{value * factor:.{digits}f}" for value in (self.median, min(self.values), max(self.values))
        )
        return f"{middle} {unit} ({least} to {most})"


def run(command: Sequence[str | Path], variables: Mapping[str, str], folder: Path) -> Usage:
    """Run a command to its end, its output going nowhere; end the benchmark where it fails.

    A process also counts as its own what was resident in the one that started it, so the benchmark keeps small itself.
    """
    with tempfile.TemporaryFile() as stderr:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            stderr.seek(0)
            sys.exit(f"{' '.join(map(str, command))} exited {process.returncode}: {stderr.read().decode()}")
    return Usage(seconds, _peak_bytes(usage))


def compare(
    runs: int, *sides: Callable[[], Usage], between: Callable[[str], None] = lambda _: None
) -> tuple[tuple[Usage, ...], ...]:
    """Measure every side so many times, in turns, after one run of each that does not count.

    The first run writes bytecode and warms the caches; the turns let both sides share the machine's moods.
    """
    for side in sides:
        side()
    rounds = []
    for number in range(1, runs + 1):
        between(f"{number}/{runs}")
        rounds.append(tuple(side() for side in sides))
    return tuple(zip(*rounds, strict=True))


def seconds_of(usages: Sequence[Usage]) -> Spread:
    """Return the times of several runs."""
    return Spread(tuple(usage.seconds for usage in usages))


def peak_of(usages: Sequence[Usage]) -> Spread:
    """Return the memory of several runs, in bytes."""
    return Spread(tuple(float(usage.peak_bytes) for usage in usages))


def _peak_bytes(usage: resource.struct_rusage) -> int:
    return usage.ru_maxrss * _RSS_UNIT
