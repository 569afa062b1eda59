"""Own the measuring of many requests at once in one sidecar: the memory of all together, and how long each took."""

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmarks.measure import Spread

IN_TIME_SECONDS = 45
"""What a request has by default; the measured ones have as long as they need."""

_SAMPLE_SECONDS = 0.1
_KIB = 1024


class Memory(NamedTuple):
    """What several processes hold together.

    Attributes:
        resident: Every process's resident pages, those that are shared counted as often as they are shared.
        proportional: The same with shared pages divided among those that share them: what the machine really gives.
    """

    resident: int
    proportional: int


@dataclass(frozen=True, slots=True)
class Crowd:
    """What so many requests took that came at once.

    Attributes:
        what: How they were bounded.
        requests: How many there were.
        seconds: From the first start to the last end.
        latencies: What each of them took, its waiting included.
        peak: The most memory at once.
    """

    what: str
    requests: int
    seconds: float
    latencies: Spread
    peak: Memory

    def row(self) -> tuple[str, ...]:
        """Return it as a row of a table."""
        memory = (f"{each / 1e6:.0f} MB" for each in (self.peak.proportional, self.peak.resident))
        in_time = sum(latency <= IN_TIME_SECONDS for latency in self.latencies.values)
        times = (f"{self.seconds:.1f} s", self.latencies.text("s", digits=1))
        return (self.what, *memory, *times, f"{in_time} of {self.requests}")


def measure_crowd(
    what: str, start: Callable[[str, Path], "subprocess.Popen[bytes]"], applications: Sequence[Path]
) -> Crowd:
    """Start `init` and then `generate` in every folder, all folders at once, as Argo CD does.

    Args:
        what: How they are bounded.
        start: Starts a command in a folder.
        applications: A folder for each request.
    """
    running: set[int] = set()
    peaks: list[Memory] = []
    is_over = threading.Event()
    sampler = threading.Thread(target=_sample, args=(running, peaks, is_over))
    sampler.start()
    started = time.perf_counter()
    try:
        with ThreadPoolExecutor(len(applications)) as pool:
            latencies = tuple(pool.map(lambda folder: _run_request(start, folder, running), applications))
        seconds = time.perf_counter() - started
    finally:
        is_over.set()
        sampler.join()
    most = Memory(max(each.resident for each in peaks), max(each.proportional for each in peaks))
    return Crowd(what, len(applications), seconds, Spread(latencies), most)


def read_memory(pid: int) -> Memory:
    """Return what a process holds, in bytes; nothing where it has ended."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return Memory(0, 0)
    found = dict(re.findall(r"^(Rss|Pss):\s+(\d+) kB$", rollup, re.MULTILINE))
    return Memory(int(found.get("Rss", 0)) * _KIB, int(found.get("Pss", 0)) * _KIB)


def _run_request(start: Callable[[str, Path], "subprocess.Popen[bytes]"], folder: Path, running: set[int]) -> float:
    started = time.perf_counter()
    for command in ("init", "generate"):
        with start(command, folder) as process:
            running.add(process.pid)
            _, stderr = process.communicate()
            running.discard(process.pid)
        if process.returncode:
            sys.exit(f"{command} exited {process.returncode}: {stderr.decode()}")
    return time.perf_counter() - started


def _sample(running: set[int], peaks: list[Memory], is_over: threading.Event) -> None:
    while not is_over.wait(_SAMPLE_SECONDS):
        parts = [read_memory(pid) for pid in list(running)]
        peaks.append(Memory(sum(part.resident for part in parts), sum(part.proportional for part in parts)))
