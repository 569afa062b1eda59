"""Slots: no more requests work at once than the operator allows, first come first served, whatever ends a process."""

import errno
import fcntl
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from host_support import BACKEND, MODEL, FakeSite
from interruption import interrupted_everywhere

from cmp_core import slots
from cmp_core.deadline import Deadline
from cmp_core.errors import DeadlineExceededError
from cmp_core.slots import Turn, default_concurrency, take_slot

WORKER = """
import os, signal, sys, time
from pathlib import Path
from cmp_core.deadline import Deadline
from cmp_core.slots import Turn, take_slot

state, most, turn, name, log, seconds = sys.argv[1:]

def note(what):
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{what} {name}\\n".encode())
    os.close(descriptor)

with take_slot(Path(state), int(most), Turn[turn], Deadline(100)):
    note("enter")
    if float(seconds):
        time.sleep(float(seconds))
    else:
        signal.pause()
    note("leave")
"""

FETCH_FOR_EVER = f"""{MODEL}
import signal, sys
@hookimpl
def fetch(destination):
    print("ready", file=sys.stderr, flush=True)
    signal.pause()
"""


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until it holds, a minute at the most."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.005)


@dataclass
class Sidecar:
    """A state folder, and processes that contend for its slots."""

    state: Path
    log: Path
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    @property
    def queue(self) -> Path:
        """Where the tickets lie."""
        return self.state / "slots" / "queue"

    def start(self, name: str, most: int = 1, turn: Turn = Turn.NEW, seconds: float = 0) -> "subprocess.Popen[bytes]":
        """Start a process that takes a slot and holds it for so long, or until it is ended."""
        arguments = [str(self.state), str(most), turn.name, name, str(self.log), str(seconds)]
        process = subprocess.Popen([sys.executable, "-c", WORKER, *arguments])
        self.processes.append(process)
        return process

    def start_waiting(self, name: str, turn: Turn = Turn.NEW, seconds: float = 0.01) -> "subprocess.Popen[bytes]":
        """Start a process and wait until it stands in the queue."""
        before = self.tickets()
        process = self.start(name, turn=turn, seconds=seconds)
        wait_for(lambda: len(self.tickets() - before) == 1)
        return process

    def tickets(self) -> set[str]:
        """Return the tickets that have their names."""
        return (
            {path.name for path in self.queue.iterdir() if path.name[0].isdecimal()} if self.queue.exists() else set()
        )

    def events(self) -> list[str]:
        """Return who entered and left, in that order."""
        return self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []

    def entered(self) -> list[str]:
        """Return who entered, in that order."""
        return [event.removeprefix("enter ") for event in self.events() if event.startswith("enter ")]

    def most_at_once(self) -> int:
        """Return how many had entered and not left, at the most."""
        at_once = most = 0
        for event in self.events():
            at_once += 1 if event.startswith("enter") else -1
            most = max(most, at_once)
        return most


@pytest.fixture
def sidecar(tmp_path: Path) -> Iterator[Sidecar]:
    """A sidecar whose processes are ended afterwards."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    made = Sidecar(state, tmp_path / "log")
    yield made
    for process in made.processes:
        process.kill()
        process.wait()


@contextmanager
def all_taken(sidecar: Sidecar, most: int = 1) -> Iterator[None]:
    """Hold every slot of the sidecar."""
    with ExitStack() as stack:
        for _ in range(most):
            stack.enter_context(take_slot(sidecar.state, most, Turn.NEW, Deadline(60)))
        yield


def take(state: Path | None, most: int = 1, seconds: float = 0.2, turn: Turn = Turn.NEW) -> None:
    """Take a slot and give it back."""
    with take_slot(state, most, turn, Deadline(seconds)):
        pass


def test_sixty_processes_share_the_slots(sidecar: Sidecar) -> None:
    """All of them get their turn, all slots are used, and never more than these."""
    for number in range(60):
        sidecar.start(str(number), most=4, seconds=0.05)

    codes = [process.wait(60) for process in sidecar.processes]

    assert set(codes) == {0}
    assert sorted(sidecar.entered(), key=int) == [str(number) for number in range(60)]
    assert sidecar.most_at_once() == 4


def test_hundreds_of_short_holders_never_get_past_the_bound(sidecar: Sidecar) -> None:
    """Tickets come and go all the time, dead ones and those of two turns among them; a lock is one even in a thread."""
    log = os.open(sidecar.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    failures: list[BaseException] = []

    def hold_often(name: str) -> None:
        try:
            for number in range(25):
                with take_slot(sidecar.state, 3, Turn(number % 2), Deadline(100)):
                    os.write(log, f"enter {name}\n".encode())
                    (sidecar.queue / f"0-{number:020d}-dead-{name}").touch()
                    os.write(log, f"leave {name}\n".encode())
        except BaseException as error:  # noqa: BLE001  # a thread's error would be lost
            failures.append(error)

    threads = [threading.Thread(target=hold_often, args=(str(number),)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.close(log)

    assert failures == []
    assert len(sidecar.entered()) == 400
    assert sidecar.most_at_once() <= 3


def test_who_came_first_goes_first(sidecar: Sidecar) -> None:
    """Whatever order the processes look in."""
    with all_taken(sidecar):
        for name in "abcdefgh":
            sidecar.start_waiting(name)

    wait_for(lambda: len(sidecar.entered()) == 8)

    assert sidecar.entered() == list("abcdefgh")


def test_who_has_waited_before_goes_first(sidecar: Sidecar) -> None:
    """A `generate` goes before every `init`: under load every request would else end late, together."""
    with all_taken(sidecar):
        for name in ("init 1", "init 2"):
            sidecar.start_waiting(name)
        for name in ("generate 1", "generate 2"):
            sidecar.start_waiting(name, Turn.CONTINUED)

    wait_for(lambda: len(sidecar.entered()) == 4)

    assert sidecar.entered() == ["generate 1", "generate 2", "init 1", "init 2"]


def test_a_turn_before_others_does_not_get_past_the_bound(sidecar: Sidecar) -> None:
    """It is first in the queue at once, and still waits until one of those that work is done."""
    with all_taken(sidecar, most=2), pytest.raises(DeadlineExceededError):
        take(sidecar.state, most=2, turn=Turn.CONTINUED)


def test_a_killed_holder_gives_its_slot_back(sidecar: Sidecar) -> None:
    """The kernel does it, at once."""
    holder = sidecar.start("holder")
    wait_for(lambda: sidecar.entered() == ["holder"])
    with pytest.raises(DeadlineExceededError):
        take(sidecar.state)

    holder.kill()
    holder.wait()

    take(sidecar.state)


def test_a_killed_waiter_stands_in_nobody_s_way(sidecar: Sidecar) -> None:
    """Neither the first of the queue nor one in its middle; their tickets go."""
    with all_taken(sidecar):
        waiters = [sidecar.start_waiting(name) for name in "abcd"]
        for killed in (waiters[0], waiters[2]):
            killed.kill()
            killed.wait()

    wait_for(lambda: len(sidecar.entered()) == 2)

    assert sidecar.entered() == ["b", "d"]
    wait_for(lambda: sidecar.tickets() == set())


def test_a_child_of_a_holder_does_not_keep_the_slot(sidecar: Sidecar) -> None:
    """A process that a tool leaves running must not take a slot away for ever."""
    code = WORKER.replace('note("enter")', 'note("enter"); import subprocess; subprocess.Popen(["/bin/sleep", "50"])')
    arguments = [str(sidecar.state), "1", "NEW", "parent", str(sidecar.log), "0"]
    with subprocess.Popen([sys.executable, "-c", code, *arguments], start_new_session=True) as parent:
        wait_for(lambda: sidecar.entered() == ["parent"])
        time.sleep(0.1)

        parent.kill()
        parent.wait()

        take(sidecar.state)
        os.killpg(parent.pid, signal.SIGKILL)


@pytest.mark.parametrize("name", ["0-00000000000000000001-1-aa", "0-99999999999999999999-1-aa", "1-x"])
def test_tickets_without_a_lock_are_dead_and_go(sidecar: Sidecar, name: str) -> None:
    """Those of before a reboot, too, whose clock began anew."""
    take(sidecar.state)
    (sidecar.queue / name).touch()

    take(sidecar.state)

    is_ahead_of_all_new_ones = name.startswith("0-")
    assert (sidecar.tickets() == set()) == is_ahead_of_all_new_ones


def test_a_dead_ticket_that_others_look_at_is_dead(sidecar: Sidecar) -> None:
    """Thirty processes look at once: their looking must not make it seem alive."""
    take(sidecar.state)
    ticket = sidecar.queue / "0-00000000000000000001-1-aa"
    ticket.touch()

    with ticket.open() as looked_at:
        fcntl.flock(looked_at, fcntl.LOCK_SH)
        take(sidecar.state)

    assert not ticket.exists()


@pytest.mark.parametrize(
    ("moment", "is_left"),
    [(lambda now: now, True), (lambda now: now - 11 * 10**9, False), (lambda now: now * 2, False)],
)
def test_unfinished_tickets_go_when_they_are_old(
    sidecar: Sidecar, moment: Callable[[int], int], *, is_left: bool
) -> None:
    """A process was killed between two instructions, or the machine has booted since; a new one is in the making."""
    take(sidecar.state)
    unfinished = sidecar.queue / f"new-{moment(time.monotonic_ns()):020d}-1-aa"
    unfinished.touch()

    take(sidecar.state)

    assert unfinished.exists() == is_left


def test_the_clock_on_the_wall_plays_no_part(sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set back or forward, it neither reorders nor blocks anything: nobody asks it, nor for a file's times."""

    def fail() -> float:
        raise AssertionError("somebody asks the clock on the wall")

    monkeypatch.setattr(time, "time", fail)
    monkeypatch.setattr(time, "time_ns", fail)
    with all_taken(sidecar):
        for name, moment in (("a", 2**32), ("b", 0), ("c", 2**31)):
            before = sidecar.tickets()
            sidecar.start_waiting(name)
            (ticket,) = sidecar.tickets() - before
            os.utime(sidecar.queue / ticket, (moment, moment))

    wait_for(lambda: len(sidecar.entered()) == 3)

    assert sidecar.entered() == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("most", "waiting", "told"),
    [
        (1, 0, "the only slot, with no requests before this one"),
        (4, 1, "one of 4 slots, with 1 request before this one"),
        (4, 3, "one of 4 slots, with 3 requests before this one"),
    ],
)
def test_the_end_of_the_deadline_tells_what_it_waited_for(sidecar: Sidecar, most: int, waiting: int, told: str) -> None:
    """And what helps; the ticket is gone."""
    with all_taken(sidecar, most):
        for number in range(waiting):
            sidecar.start(str(number), most)
        wait_for(lambda: len(sidecar.tickets()) == waiting)

        with pytest.raises(DeadlineExceededError) as caught:
            take(sidecar.state, most)

        left = len(sidecar.tickets())

    assert str(caught.value) == (
        f"stopped after 0.2 s while waiting for {told}: raise `maxConcurrency` in the operator's settings "
        "(CMP_MAX_CONCURRENCY) if the sidecar has CPU and memory to spare, or give it more of both"
    )
    assert left == waiting


def test_a_deadline_names_its_own_remedy_after_the_waiting(sidecar: Sidecar) -> None:
    """What took too long then is the source."""
    deadline = Deadline(45)
    deadline.step = "fetching s3://b/p"
    waiting = threading.Thread(
        target=lambda: take_slot(sidecar.state, 1, Turn.NEW, deadline).__exit__(None, None, None)
    )
    with all_taken(sidecar):
        waiting.start()
        wait_for(lambda: str(deadline.error()).startswith("stopped after 45 s while waiting for the only slot"))
    waiting.join()

    assert str(deadline.error()).startswith("stopped after 45 s while fetching s3://b/p: make the source smaller")


def test_a_long_wait_is_told_once(sidecar: Sidecar, caplog: pytest.LogCaptureFixture) -> None:
    """Argo CD shows what was said so far when it kills; a short wait is not worth a line."""
    caplog.set_level(logging.INFO, "cmp_core")
    with all_taken(sidecar):
        with pytest.raises(DeadlineExceededError):
            take(sidecar.state, seconds=0.5)
        short = len(caplog.records)
        with pytest.raises(DeadlineExceededError):
            take(sidecar.state, seconds=1.5)

    assert short == 0
    assert [record.getMessage() for record in caplog.records] == [
        "waiting for the only slot, with no requests before this one"
    ]


NOT_BOUNDED = (
    "the requests that run at once are not bounded ({}): set a private `stateDirectory` on a disk that knows file "
    "locks and has room"
)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (None, "there is no private state folder"),
        (Path("/proc/self"), "No such file or directory"),
        (Path("/dev/null"), "Not a directory"),
    ],
)
def test_without_a_place_for_slots_the_request_goes_on(
    state: Path | None, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The bound is for the sidecar's good; no request fails for want of it."""
    take(state)

    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", NOT_BOUNDED.format(reason))
    ]


def test_a_disk_without_locks_is_told(
    sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Some network file systems have none; none of these can be mounted here."""

    def fail(*_arguments: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", fail)

    take(sidecar.state)

    assert [record.getMessage() for record in caplog.records] == [NOT_BOUNDED.format("No locks available")]
    assert list(sidecar.queue.iterdir()) == []


def test_a_link_in_place_of_a_slot_is_not_followed(sidecar: Sidecar, caplog: pytest.LogCaptureFixture) -> None:
    """It would have somebody else's file made or locked."""
    take(sidecar.state)
    (sidecar.state / "slots" / "0.lock").unlink()
    (sidecar.state / "slots" / "0.lock").symlink_to(sidecar.state / "elsewhere")

    take(sidecar.state)

    assert "not bounded" in caplog.text
    assert not (sidecar.state / "elsewhere").exists()


@pytest.mark.parametrize(
    ("content", "cores"),
    [
        ("max 100000", 65536),
        ("200000 100000", 2),
        ("50000 100000", 1),
        ("250000 100000", 3),
        ("x", 65536),
        ("1 0", 65536),
    ],
)
def test_a_cpu_limit_is_rounded_up(tmp_path: Path, content: str, cores: int) -> None:
    """Half a core is a core to wait for; what is no limit limits nothing."""
    (tmp_path / "cpu.max").write_text(content, encoding="ascii")

    assert slots._cores_by_quota(tmp_path / "cpu.max") == cores
    assert slots._cores_by_quota(tmp_path / "none") == 65536


def test_the_default_follows_the_cores_that_may_be_used() -> None:
    """Not those of the machine: a process that is bound to one core gets two slots."""
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from cmp_core.slots import default_concurrency; print(default_concurrency())"
    )

    bound = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert bound == "2\n"
    assert default_concurrency() <= 2 * len(os.sched_getaffinity(0))


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """An application's folder."""
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "demo-source.yaml").write_text("bucket: b\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize("command", ["init", "generate"])
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_waiting(  # noqa: PLR0917  # fixtures are arguments
    fake_site: FakeSite, sidecar: Sidecar, app: Path, command: str, sent: signal.Signals, code: int
) -> None:
    """With the usual exit code, what it waited for, and no ticket left."""
    variables = {"CMP_MAX_CONCURRENCY": "1", "CMP_STATE_DIRECTORY": str(sidecar.state)}
    with all_taken(sidecar), fake_site.start(app, command, **variables) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith(b"waiting")

        process.send_signal(sent)
        stdout, stderr = process.communicate(timeout=30)

        assert sidecar.tickets() == set()
    assert (process.returncode, stdout) == (code, b"")
    told = f"error: stopped by {sent.name} while waiting for the only slot, with no requests before this one: run it "
    assert stderr.decode().startswith(told)


def test_a_signal_at_any_point_stands_in_nobody_s_way(sidecar: Sidecar) -> None:
    """SIGTERM while a slot is taken leaves no half of a ticket; a whole one is dead, and goes with the next request."""

    def work() -> None:
        with take_slot(sidecar.state, 1, Turn.NEW, Deadline(100)):
            pass

    for point in interrupted_everywhere(work):
        assert not list(sidecar.queue.glob("new-*")), f"at point {point}"
    work()

    assert list(sidecar.queue.iterdir()) == []


def test_the_commands_that_fetch_nothing_do_not_wait(fake_site: FakeSite, sidecar: Sidecar, app: Path) -> None:
    """Argo CD locks the repository while it asks for parameters."""
    fake_site.install()
    variables = {"CMP_MAX_CONCURRENCY": "1", "CMP_STATE_DIRECTORY": str(sidecar.state), "CMP_TIMEOUT": "20"}
    commands = ["discover", "version", "backends", "schema", "parameters", "validate"]

    with all_taken(sidecar):
        codes = {command: fake_site.run(app, command, **variables).returncode for command in commands}
        waiting = fake_site.run(app, "generate", **variables | {"CMP_TIMEOUT": "0.5"})

    assert codes == dict.fromkeys(commands, 0)
    assert waiting.returncode == 75


def test_a_generate_whose_init_has_run_overtakes_one_that_has_to_fetch(
    fake_site: FakeSite, sidecar: Sidecar, app: Path
) -> None:
    """What `init` has left tells that its request has waited already; in another folder nothing lies."""
    fake_site.install(BACKEND)
    other = app.with_name("other")
    other.mkdir()
    (other / "demo-source.yaml").write_text("bucket: b\n", encoding="utf-8")
    variables = {"CMP_MAX_CONCURRENCY": "1", "CMP_STATE_DIRECTORY": str(sidecar.state)}
    fake_site.run(app, "init", **variables)

    with ExitStack() as processes, all_taken(sidecar):
        processes.enter_context(fake_site.start(other, "generate", **variables))
        wait_for(lambda: len(sidecar.tickets()) == 1)
        processes.enter_context(fake_site.start(app, "generate", **variables))
        wait_for(lambda: len(sidecar.tickets()) == 2)
        turns = [name[0] for name in sorted(sidecar.tickets(), key=lambda name: name[2:])]

    assert turns == [str(int(Turn.NEW)), str(int(Turn.CONTINUED))]


def test_waiting_counts_in_the_deadline(fake_site: FakeSite, sidecar: Sidecar, app: Path) -> None:
    """Argo CD's own deadline does not wait; the error tells the step that it ended in."""
    fake_site.install(FETCH_FOR_EVER)
    variables = {"CMP_MAX_CONCURRENCY": "1", "CMP_STATE_DIRECTORY": str(sidecar.state), "CMP_TIMEOUT": "6"}
    started = time.monotonic()
    with all_taken(sidecar):
        process = fake_site.start(app, "generate", **variables)
        wait_for(lambda: len(sidecar.tickets()) == 1)
        time.sleep(2.5)
    with process:
        _, stderr = process.communicate(timeout=30)

    assert process.returncode == 75
    assert b"stopped after 6 s while fetching demo://b: make the source smaller" in stderr
    assert time.monotonic() - started < 6 + 2


def test_nothing_heavy_is_loaded_before_there_is_a_slot(sidecar: Sidecar, app: Path) -> None:
    """Thirty may wait: each is an interpreter and little more."""
    code = (
        "import sys; from cmp_core.cli import main; code = main(['generate'], lambda content: None)\n"
        "print(code, *sys.modules)"
    )
    variables = {"CMP_MAX_CONCURRENCY": "1", "CMP_STATE_DIRECTORY": str(sidecar.state), "CMP_TIMEOUT": "0.5"}

    with all_taken(sidecar):
        result = subprocess.run(
            [sys.executable, "-P", "-c", code], cwd=app, env=variables, capture_output=True, text=True, check=True
        )

    exit_code, *modules = result.stdout.split()
    assert exit_code == "75"
    assert not {*modules} & {"pydantic", "pydantic_core", "yaml", "pluggy", "fsspec", "tqdm", "asyncio", "pathspec"}
