"""Own what is measured while the soak runs: processes, memory and descriptors, and every file that is lying about."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e.cmp_server import CmpServer

INTERVAL = 3.0
"""The seconds between two samples."""

_LASTING = {("scratch.key",), ("eviction.lock",)}


@dataclass(frozen=True, slots=True)
class Sample:
    """What there was at one moment. All sizes are bytes.

    Attributes:
        seconds: Since the soak began.
        weather: What was on.
        processes: Of cmp-core, below the server.
        zombies: Those of them that have ended and are not reaped.
        server_rss: The resident memory of the server.
        server_descriptors: Its open files, but for deleted archives, which wait there for Go's garbage collector.
        server_threads: Its threads.
        plugin_pss: The memory of all processes of cmp-core, what they share counted once.
        work_files: In the work folder of the server.
        work_bytes: Of these files.
        store_objects: In the store.
        store_bytes: Of the store, as blocks on the disk.
        unfinished: Files of the store that a process is writing or was killed over.
        oldest_unfinished: The seconds since the oldest of them was written to.
        tickets: In the queue before the slots.
        slots: The files of the slots.
        other_state: Other files of the state folder.
        temporary: Other files of TMPDIR.
    """

    seconds: float
    weather: str
    processes: int
    zombies: int
    server_rss: int
    server_descriptors: int
    server_threads: int
    plugin_pss: int
    work_files: int
    work_bytes: int
    store_objects: int
    store_bytes: int
    unfinished: int
    oldest_unfinished: float
    tickets: int
    slots: int
    other_state: int
    temporary: int


@dataclass(slots=True)
class Sampler:
    """Takes a sample every few seconds.

    Attributes:
        server: What is looked at.
        weather: Tells the name of the weather.
        began: When the soak began, in seconds of the monotonic clock.
        samples: What was seen so far.
    """

    server: CmpServer
    weather: Callable[[], str]
    began: float = field(default_factory=time.monotonic)
    samples: list[Sample] = field(default_factory=list)

    def run(self, stopped: threading.Event) -> None:
        """Take samples until it is stopped."""
        while not stopped.wait(INTERVAL):
            self.samples.append(self.take())

    def take(self) -> Sample:
        """Take one sample."""
        pids = self.server.started_processes()
        status = _status(self.server.pid)
        work = list(_files(self.server.work))
        return Sample(
            seconds=round(time.monotonic() - self.began, 2),
            weather=self.weather(),
            processes=len(pids),
            zombies=sum(_is_zombie(pid) for pid in pids),
            server_rss=status["VmRSS"] * 1024,
            server_descriptors=sum(not name.endswith(" (deleted)") for name in _open_files(self.server.pid)),
            server_threads=status["Threads"],
            plugin_pss=sum(map(_pss, pids)),
            work_files=len(work),
            work_bytes=sum(size for _, size, _ in work),
            **_look_at_state(self.server),
        )


def _look_at_state(server: CmpServer) -> dict[str, Any]:
    """Sort the files of TMPDIR, the state folder among them, by their kinds."""
    state, now = server.temporary / f"cmp-core-{os.geteuid()}", time.time()
    in_store = list(_files(state / "objects"))
    unfinished = [now - changed for path, _, changed in in_store if path.suffix == ".tmp"]
    in_state = [path.relative_to(state).parts for path, _, _ in _files(state)]
    slots = [parts for parts in in_state if parts[0] == "slots"]
    known = sum(parts[0] in {"objects", "slots"} or parts in _LASTING for parts in in_state)
    return {
        "store_objects": len(in_store) - len(unfinished),
        "store_bytes": sum(blocks for _, blocks, _ in in_store),
        "unfinished": len(unfinished),
        "oldest_unfinished": round(max(unfinished, default=0.0), 1),
        "tickets": sum(parts[1] == "queue" for parts in slots),
        "slots": sum(parts[1] != "queue" for parts in slots),
        "other_state": len(in_state) - known,
        "temporary": sum(not path.is_relative_to(state) for path, _, _ in _files(server.temporary)),
    }


def _files(folder: Path) -> Iterator[tuple[Path, int, float]]:
    """Yield every file with its bytes on the disk and the time of its last change; others come and go meanwhile."""
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            try:
                status = path.lstat()
            except OSError:
                continue
            yield path, status.st_blocks * 512, status.st_mtime


def _open_files(pid: int) -> Iterator[str]:
    """Yield the name of whatever a process holds open."""
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            yield os.readlink(link)  # noqa: PTH115  # a socket's name is no path


def _status(pid: int) -> dict[str, int]:
    """Return the numbers that the kernel tells about a process."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    pairs = (line.split()[:2] for line in lines if len(line.split()) >= 2)
    return {name.rstrip(":"): int(value) for name, value in pairs if value.isdecimal()}


def _is_zombie(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] == "Z"


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
