"""Whatever the machine does, the answer is the right manifests or one clear error, in time, and nothing is left."""

import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest
from e2e.conftest import Folder, give_up
from e2e.endings import assert_nothing_left, assert_store_is_whole, bound
from e2e.machine_faults import ALL_OF_FEW, FEW, ROWS, SETTINGS, SIGNALS, Point, Row, Signal
from e2e.machine_stage import PREFIX, TRIGGER, Machine, why_no_disks
from e2e.odd_data import manifest, stream
from e2e_support import S3Server, Sidecar

from cmp_core.store import STALE_SECONDS
from tools.fault_server import Fault, FaultServer, Request

pytestmark = pytest.mark.e2e

LONGEST = 60.0
"""Seconds that a test waits for what comes within one."""

SMALL_STORE = 64 * 1024
"""Bytes of a store that looks after itself at every object that it gets."""

SAID_ALWAYS = re.compile(r"(fetching|fetched \d+ files,|rendered \d+ manifests of) ")


@pytest.fixture
def faults(folder: Folder) -> Iterator[FaultServer]:
    """A fault server before an S3 server whose bucket is a folder."""
    with FaultServer(folder.endpoint) as server:
        yield server


@pytest.fixture
def machine(faults: FaultServer, sidecar: Sidecar) -> Iterator[Machine]:
    """A machine with an application that reads from S3."""
    sidecar.write("s3-source.yaml", TRIGGER)
    sidecar.variables = {**S3Server(faults.url, None).variables, **SETTINGS}
    with ExitStack() as resources:
        yield Machine(sidecar, faults, resources)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_fault_of_the_machine_has_a_known_end(row: Row, folder: Folder, machine: Machine) -> None:
    """The class, the whole text, the requests, the time and what is left behind are those of the table."""
    if row.needs_disk and (reason := why_no_disks()):
        give_up(reason)
    objects = put(folder, row.sizes)
    machine.sidecar.variables |= row.settings
    place = str(machine.sidecar.directory)
    row.arrange(machine)
    begin = time.monotonic()

    result = request(machine)

    seconds = time.monotonic() - begin
    assert result.code == (row.error.exit_code if row.error else 0), result.said
    assert result.said == [line.replace("DIRECTORY", place) for line in told(row)]
    assert result.output == (b"" if row.error else stream(objects))
    assert row.asked in {None, len(machine.faults.requests)}
    assert seconds <= bound(row.seconds, float(machine.sidecar.variables["CMP_TIMEOUT"]))
    assert_nothing_left(machine.sidecar, objects.values())


@pytest.mark.parametrize(
    ("signal", "point"),
    [(signal, point) for signal in SIGNALS for point in signal.points],
    ids=lambda value: value.number.name if isinstance(value, Signal) else "-".join(map(str, value)),
)
def test_a_signal_at_any_point_of_a_fetch_has_a_known_end(
    signal: Signal, point: Point, folder: Folder, machine: Machine
) -> None:
    """It ends at once, with its exit code, one line and no output, and the next request is right."""
    objects = put(folder, FEW)
    sidecar, shot = machine.sidecar, Shot(signal, point)
    machine.faults.script = shot.script

    with sidecar.start(point.command) as process:
        shot.aim(process)
        output, said = process.communicate(timeout=LONGEST)
    seconds = time.monotonic() - shot.fired

    machine.faults.reset()
    assert (process.returncode, output) == (signal.code, b"")
    assert said_lines(said) == ([signal.text] if signal.text else [])
    assert seconds <= bound(signal.seconds, LONGEST)
    if signal.text:
        assert_nothing_left(sidecar, objects.values())
    else:
        assert_only_what_the_next_run_sweeps(sidecar, objects)
    result = request(machine, CMP_STORE_BYTES=str(SMALL_STORE))
    assert (result.code, result.said, result.output) == (0, [], stream(objects))
    assert_nothing_left(sidecar, objects.values())


def test_the_points_are_those_of_a_fetch(folder: Folder, machine: Machine) -> None:
    """Undisturbed, a fetch asks as often as the points of the signals reckon with, whichever command it is in."""
    put(folder, FEW)

    for command in ("generate", "init"):
        machine.faults.reset()
        assert machine.sidecar.run(command, CMP_STORE_BYTES="0").returncode == 0
        assert len(machine.faults.requests) == ALL_OF_FEW


@dataclass
class Shot:
    """Sends a signal to a process at a point of its fetch."""

    signal: Signal
    point: Point
    fired: float = float("inf")
    _seen: int = 0
    _aimed: threading.Event = field(default_factory=threading.Event)

    def aim(self, process: "subprocess.Popen[bytes]") -> None:
        """Take the process that gets the signal."""
        self._process = process
        self._aimed.set()

    def script(self, _request: Request) -> Fault | None:
        """Say for each request whether it is the one; the fault server asks for one after the other."""
        self._seen += 1
        if self._seen != self.point.request:
            return None
        return Fault(act=self._fire) if self.point.moment == "act" else Fault(during=self._fire)

    def _fire(self) -> None:
        assert self._aimed.wait(LONGEST)
        self.fired = time.monotonic()
        self._process.send_signal(self.signal.number)


@dataclass(frozen=True)
class Result:
    """How a request ended: what its last command ended with, and what both said besides what is always said."""

    code: int
    said: list[str]
    output: bytes


def request(machine: Machine, **variables: str) -> Result:
    """Make a request as Argo CD does: `init`, and if that ends well `generate`."""
    init = machine.sidecar.run("init", **variables)
    assert init.stdout == b""
    if init.returncode:
        return Result(init.returncode, said_lines(init.stderr), b"")
    machine.between()
    generate = machine.sidecar.run("generate", **variables)
    return Result(generate.returncode, said_lines(init.stderr) + said_lines(generate.stderr), generate.stdout)


def said_lines(stderr: bytes) -> list[str]:
    """Return what is said besides what is always said, without the id of the request."""
    lines = re.sub(r" \[request [0-9a-f]+\]$", "", stderr.decode(), flags=re.MULTILINE).splitlines()
    return [line for line in lines if not SAID_ALWAYS.match(line)]


def told(row: Row) -> list[str]:
    """Return the lines that a row promises."""
    return [f"error: {row.text}"] if row.error else row.text.splitlines()


def put(folder: Folder, sizes: Mapping[str, int]) -> dict[str, bytes]:
    """Put manifests of these sizes, each name's another, and return them by their names."""
    objects = {name: manifest(name, size) for name, size in sizes.items()}
    folder.put({f"{PREFIX}{name}": content for name, content in objects.items()})
    return objects


def assert_only_what_the_next_run_sweeps(sidecar: Sidecar, objects: Mapping[str, bytes]) -> None:
    """Hold what a killed process left to a scratch folder with its name, whole entries, and unfinished ones.

    The unfinished ones are made as old as those are that the next run takes away.
    """
    scratch, trigger = sorted(path.name for path in sidecar.directory.iterdir())
    assert re.fullmatch(r"\.cmp-core-[0-9a-f]{16}\.\d+-[0-9a-f]{8}", scratch)
    assert trigger == "s3-source.yaml"
    assert_store_is_whole(sidecar, objects.values())
    assert not sidecar.processes()
    long_ago = time.time() - STALE_SECONDS - 1
    for path in sidecar.state.rglob("*.tmp"):
        os.utime(path, (long_ago, long_ago))
