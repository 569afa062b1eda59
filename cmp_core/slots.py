"""Own the slots: how many requests of one sidecar work at once, across processes, and who comes next.

A slot is a file, and who holds its lock works. The kernel takes a lock away from a process that ends, however it ends.
Who finds no free slot waits in a queue of tickets: files too, each locked by its owner for as long as it waits, whose
names sort in the order of their turns. Only the first of the queue tries to take a slot. So the locks of the slots
alone bound how many work, and the queue only tells who comes next: no mistake in the order can let in one too many.
"""

import contextlib
import fcntl
import logging
import os
import secrets
import time
from enum import IntEnum
from pathlib import Path

from cmp_core.deadline import REMEDY, Deadline

_FIRST_PAUSE = 0.02  # seconds; the first of the queue looks as often for a free slot
_MORE_PAUSE = 0.05  # seconds, for everybody who is still ahead
_LONGEST_PAUSE = 0.5  # seconds
_QUIET_SECONDS = 1.0
_UNFINISHED = "new-"
_STALE_NS = 10 * 10**9
_CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")

log = logging.getLogger("cmp_core")


class Turn(IntEnum):
    """Who goes first: a request that has waited already comes before all that have not."""

    CONTINUED = 0
    NEW = 1


def take_slot(
    state: Path | None, most: int | None, turn: Turn, deadline: Deadline
) -> contextlib.AbstractContextManager[object]:
    """Wait for a slot, and return what gives it back when it is left or the process ends.

    Where there is no place for slots, the request goes on without one, and says so.

    Args:
        state: The private folder for what outlives a request, or None.
        most: The operator's ``maxConcurrency``; None stands for `default_concurrency`.
        turn: Whether the request has waited already.
        deadline: Bounds the waiting.

    Raises:
        DeadlineExceededError: The time ran out while others were working.
    """
    step = deadline.step
    slot: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
    try:
        if state is None:
            _warn("there is no private state folder")
        else:
            slot = os.fdopen(_Queue(state / "slots", most or default_concurrency()).take_slot(turn, deadline))
    except OSError as error:
        _warn(error.strerror or str(error))
    deadline.step, deadline.remedy = step, REMEDY
    return slot


def default_concurrency() -> int:
    """Return twice the cores that this process may use: those of its affinity, or the CPU limit of its container."""
    return 2 * min(_cores_by_affinity(), _cores_by_quota(_CPU_QUOTA))


def _warn(reason: str) -> None:
    log.warning(
        "the requests that run at once are not bounded (%s): set a private `stateDirectory` on a disk that knows file "
        "locks and has room",
        reason,
    )


class _Queue:
    """The slots of one sidecar, and the queue before them."""

    def __init__(self, folder: Path, most: int) -> None:
        self._folder = folder
        self._tickets = folder / "queue"
        self._most = most

    def take_slot(self, turn: Turn, deadline: Deadline) -> int:
        """Return the descriptor of a slot, which is locked until it is closed.

        A ticket gets its name when it is locked already: nobody ever sees one that is not, and takes it for a dead
        one's. The clock in it is the monotonic one, which nobody sets, and which all processes of a machine share.
        """
        for folder in (self._folder, self._tickets):
            folder.mkdir(mode=0o700, exist_ok=True)
        name = f"{time.monotonic_ns():020d}-{os.getpid()}-{secrets.token_hex(4)}"
        ticket, unfinished = self._tickets / f"{turn:d}-{name}", self._tickets / f"{_UNFINISHED}{name}"
        descriptor = -1
        try:
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            unfinished.rename(ticket)
            return self._wait(ticket.name, deadline)
        finally:
            for path in (unfinished, ticket):
                with contextlib.suppress(OSError):
                    path.unlink()
            if descriptor >= 0:
                os.close(descriptor)

    def _wait(self, ticket: str, deadline: Deadline) -> int:
        quiet_until = time.monotonic() + _QUIET_SECONDS
        while True:
            ahead = self._count_ahead(ticket)
            slot = self._try_slots() if not ahead else None
            if slot is not None:
                return slot
            self._tell(ahead, deadline)
            deadline.check()
            if time.monotonic() > quiet_until:
                quiet_until = float("inf")
                log.info("%s", deadline.step)
            time.sleep(min(_FIRST_PAUSE + _MORE_PAUSE * ahead, _LONGEST_PAUSE, deadline.remaining()))

    def _tell(self, ahead: int, deadline: Deadline) -> None:
        slots = "the only slot" if self._most == 1 else f"one of {self._most} slots"
        others = "1 request" if ahead == 1 else f"{ahead or 'no'} requests"
        deadline.step = f"waiting for {slots}, with {others} before this one"
        deadline.remedy = (
            "raise `maxConcurrency` in the operator's settings (CMP_MAX_CONCURRENCY) if the sidecar has CPU and memory "
            "to spare, or give it more of both"
        )

    def _count_ahead(self, ticket: str) -> int:
        """Return how many tickets come before this one; those of dead processes at the head of the queue go."""
        names = sorted(os.listdir(self._tickets))  # noqa: PTH208  # names are all that is needed, many times a second
        ahead = [name for name in names if name < ticket]
        for index, name in enumerate(ahead):
            if self._is_alive(name):
                return len(ahead) - index
            self._remove(name)
        for name in names:
            if name.startswith(_UNFINISHED) and _is_stale(name):
                self._remove(name)
        return 0

    def _is_alive(self, name: str) -> bool:
        """Tell whether somebody holds the ticket's lock.

        The question takes a shared lock for a moment. It stands in the way neither of others that ask the same, nor of
        the owner, who holds the exclusive one for as long as the ticket has a name.
        """
        try:
            descriptor = os.open(self._tickets / name, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def _remove(self, name: str) -> None:
        with contextlib.suppress(OSError):
            (self._tickets / name).unlink()

    def _try_slots(self) -> int | None:
        """Return the descriptor of the first free slot, locked, or None."""
        for number in range(self._most):
            path = self._folder / f"{number}.lock"
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            else:
                return descriptor
        return None


def _is_stale(unfinished: str) -> bool:
    """Tell whether a ticket that has no lock yet is so old that its process must have died, or is of another boot."""
    moment = unfinished.removeprefix(_UNFINISHED).partition("-")[0]
    return not (moment.isdecimal() and 0 <= time.monotonic_ns() - int(moment) < _STALE_NS)


def _cores_by_affinity() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cores_by_quota(cpu_max: Path) -> int:
    """Return the CPU limit in whole cores, rounded up; a very large number where there is none."""
    try:
        quota, period = cpu_max.read_text(encoding="ascii").split()
        return max(1, -(-int(quota) // int(period)))
    except (OSError, ValueError, ZeroDivisionError):
        return 1 << 16
