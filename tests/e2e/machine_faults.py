"""Own the rows of the table in which the machine fails: disks, open files, memory, signals, the clock."""

import mmap
import random
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from e2e.machine_stage import MIB, PREFIX, Machine

from cmp_core import CmpError, OutputError, ResourceError
from cmp_core.deadline import INTERRUPTED, TERMINATED
from tools.fault_server import Fault, is_get

SETTINGS = {"CMP_TIMEOUT": "120"}
"""What every row runs with, unless it says otherwise."""

FEW = {f"{number:02d}.yaml": 200 for number in range(12)}
MANY = {f"{number:05d}.yaml": 1000 for number in range(1000)}
LARGE = {f"{number:03d}.yaml": MIB // 4 for number in range(400)}
"""Sizes of objects in bytes by their names; together a little less than a megabyte, and exactly a hundred."""

PAGE = mmap.PAGESIZE
"""The bytes of a disk that a small file takes."""

TWO_LISTINGS = 2
"""What a request asks that knows all of its objects already."""

ALL_OF_FEW = TWO_LISTINGS + len(FEW)

NO_STATE = (
    "the requests that run at once are not bounded (there is no private state folder): set a private `stateDirectory` "
    "on a disk that knows file locks and has room"
)
NO_SCRATCH_KEY = "nothing can be kept for `generate`, which will fetch again: set a private `stateDirectory`"
NO_FILES = (
    "this process may open no more files: allow the sidecar more of them (ulimit -n), or lower `maxConnections` in the "
    "operator's settings (CMP_MAX_CONNECTIONS)"
)
NO_MEMORY = (
    "this process got no more memory: give the sidecar's container more of it, or let the process hold less at once: "
    "lower `maxConnections` in the operator's settings (CMP_MAX_CONNECTIONS), or make the source smaller"
)

Arrange = Callable[[Machine], None]


@dataclass(frozen=True)
class Row:
    """One row of the table, and one test: a request as Argo CD makes it, `init` and after it `generate`.

    Attributes:
        name: The test's id.
        what: What happens, for the table.
        arrange: Makes it happen.
        error: The class of the error; None where the manifests come out.
        text: The whole text of the error, or the lines that are said besides what is always said.
        sizes: The sizes of the objects in bytes, by their names.
        asked: How many requests are made in all; None where nobody can count them.
        settings: The settings that differ from `SETTINGS`.
        seconds: Within how many seconds both commands have ended.
        needs_disk: Whether it needs a small disk, which only root can mount, or who may have user namespaces.
    """

    name: str
    what: str
    arrange: Arrange
    error: type[CmpError] | None = None
    text: str = ""
    sizes: Mapping[str, int] = field(default_factory=lambda: FEW)
    asked: int | None = ALL_OF_FEW
    settings: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 5.0
    needs_disk: bool = False


def _full_state(machine: Machine) -> None:
    machine.put_state_on(f"size={16 * PAGE}", is_full=True)


def _set_back_between(machine: Machine) -> None:
    machine.watch_clock()
    machine.between = machine.set_clock_back


def _set_back_during_fetch(machine: Machine) -> None:
    machine.watch_clock()
    machine.faults.on(is_get, Fault(act=machine.set_clock_back), skip=len(FEW) // 2, times=1)


def _set_back_after_a_request(machine: Machine) -> None:
    machine.watch_clock()
    for command in ("init", "generate"):
        assert machine.sidecar.run(command).returncode == 0
    machine.set_clock_back()
    machine.faults.reset()


ROWS = (
    Row(
        "disk-full",
        "the disk of the application's folder is full in the middle of an object (a tmpfs of 1 MiB)",
        lambda machine: machine.put_application_on("size=1m"),
        OutputError,
        "the scratch folder did not take `a.yaml` (No space left on device): give the sidecar's disk more room, and "
        "its user the right to write there",
        sizes={"a.yaml": 2 * MIB},
        asked=2,
        needs_disk=True,
    ),
    Row(
        "disk-full-at-the-end",
        "... when all objects are there, before the record of them (a tmpfs of four pages)",
        lambda machine: machine.put_application_on(f"size={4 * PAGE}"),
        OutputError,
        "DIRECTORY: cannot keep there what was fetched (No space left on device): leave room on its disk",
        sizes={"a.yaml": 200, "b.yaml": 200},
        asked=4,
        needs_disk=True,
    ),
    Row(
        "disk-without-inodes",
        "... has room, and no inode for a folder",
        lambda machine: machine.put_application_on("nr_inodes=2"),
        OutputError,
        "DIRECTORY: cannot make a scratch folder there (No space left on device): make the folder writable and leave "
        "room on its disk",
        asked=0,
        needs_disk=True,
    ),
    Row(
        "state-full",
        "the disk of the state folder is full: nothing is kept, and everything is fetched twice",
        _full_state,
        text=NO_SCRATCH_KEY,
        asked=2 * ALL_OF_FEW,
        seconds=8.0,
        needs_disk=True,
    ),
    Row(
        "state-without-inodes",
        "... has no inode for a folder, so there are no slots either",
        lambda machine: machine.put_state_on("nr_inodes=1"),
        text=f"{NO_STATE}\n{NO_SCRATCH_KEY}\n{NO_STATE}",
        asked=2 * ALL_OF_FEW,
        seconds=8.0,
        needs_disk=True,
    ),
    Row(
        "stdout-full",
        "the disk that stdout leads to is full (`/dev/full`)",
        lambda machine: machine.write_to("/dev/full"),
        OutputError,
        "stdout did not take the result (No space left on device): run again with a reader that takes all of it",
    ),
    Row(
        "few-files",
        "1,000 objects, and no more than 64 open files",
        lambda machine: machine.limit("n", 64),
        sizes=MANY,
        asked=TWO_LISTINGS + len(MANY),
        seconds=10.0,
    ),
    Row(
        "too-few-files",
        "... and no more than 16",
        lambda machine: machine.limit("n", 16),
        ResourceError,
        NO_FILES,
        sizes=MANY,
        asked=None,
    ),
    Row(
        "little-memory",
        "1,000 objects, and no more than 256 MiB of memory",
        lambda machine: machine.limit("d", 256 * MIB // 1024),
        sizes=MANY,
        asked=TWO_LISTINGS + len(MANY),
        seconds=10.0,
    ),
    Row(
        "too-little-memory",
        "100 MiB of objects, and no more than 128 MiB of memory",
        lambda machine: machine.limit("d", 128 * MIB // 1024),
        ResourceError,
        NO_MEMORY,
        sizes=LARGE,
        asked=None,
        seconds=10.0,
    ),
    Row(
        "clock-set-back-between",
        "the clock is set back by an hour between `init` and `generate`",
        _set_back_between,
    ),
    Row(
        "clock-set-back-during-fetch",
        "... in the middle of the fetch",
        _set_back_during_fetch,
    ),
    Row(
        "clock-set-back-after-a-request",
        "... between two requests: the second finds all objects in the store",
        _set_back_after_a_request,
        asked=TWO_LISTINGS,
    ),
)


class Point(NamedTuple):
    """A moment of a fetch: when this request has arrived, or when half of its answer has been sent."""

    command: str
    request: int
    moment: str


@dataclass(frozen=True)
class Signal:
    """One row of the table: a signal, at ten random points of a fetch of `FEW` objects; each point is one test.

    Attributes:
        number: The signal.
        code: The exit code; that of a process that was killed is the signal's number, negative.
        text: All that is said after the line that says what is fetched.
        seconds: Within how many seconds after the signal the process has ended.
    """

    number: signal.Signals
    code: int
    text: str
    seconds: float = 1.0

    @property
    def what(self) -> str:
        """What happens, for the table."""
        return f"{self.number.name} at ten random points of a fetch"

    @property
    def points(self) -> list[Point]:
        """Ten points, the same in every run."""
        commands, moments = ("init", "generate"), ("act", "during")
        every = [Point(c, r, m) for c in commands for r in range(1, ALL_OF_FEW + 1) for m in moments]
        return random.Random(self.number.name).sample(every, 10)


_STOPPED = f"error: stopped by {{}} while fetching s3://test-bucket/{PREFIX.rstrip('/')}: run it again"

SIGNALS = (
    Signal(signal.SIGTERM, TERMINATED, _STOPPED.format("SIGTERM")),
    Signal(signal.SIGINT, INTERRUPTED, _STOPPED.format("SIGINT")),
    Signal(signal.SIGKILL, -signal.SIGKILL, ""),
)
