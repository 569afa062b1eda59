"""Own the total time of one request, say which step was running when it ran out, and what ends it before."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from cmp_core.errors import DeadlineExceededError

GRACE_SECONDS = 1.0
INTERRUPTED = 130
TERMINATED = 143

_GLANCE_SECONDS = 0.05  # between two looks at whether an import is over
_LONGEST_IMPORT_SECONDS = 4.0  # Argo CD kills a process group five seconds after its SIGTERM

REMEDY = (
    "make the source smaller or nearer, or raise `timeout` in the operator's settings (CMP_TIMEOUT) and with it "
    "Argo CD's own time-out"
)


class Terminated(SystemExit):
    """SIGTERM came; everything cleans up behind itself on the way out.

    An event loop swallows any other exception that a signal raises in one of its callbacks. The exit code is its own:
    wherever it is raised, it must not pass for success.
    """

    def __init__(self) -> None:
        """End with the exit code that a shell gives to SIGTERM."""
        super().__init__(TERMINATED)


class Deadline:
    """A moment after which nothing goes on, and the step that leads up to it.

    Argo CD kills a plugin with SIGKILL at a deadline of its own that it does not tell
    (``docs/explanation/contract.md``); ours must come first, so that the user reads a sentence.

    Attributes:
        seconds: The whole time of the request, in seconds.
        started: When the process started, in seconds of the monotonic clock.
        step: What is being done now, as a clause: ``fetching s3://bucket/path``.
        remedy: What helps where this step takes too long, as a clause.
    """

    def __init__(self, seconds: float, *, started: float | None = None) -> None:
        """Count from `started`, by default from now."""
        self.seconds = seconds
        self.started = time.monotonic() if started is None else started
        self.step = "starting"
        self.remedy = REMEDY
        self._end = self.started + seconds
        self._is_enforced = False

    def allow(self, seconds: float) -> None:
        """Let the whole time be `seconds`, now that the settings are known."""
        self._end += seconds - self.seconds
        self.seconds = seconds
        if self._is_enforced:
            self._arm()

    def use(self, elapsed: float) -> None:
        """Let `elapsed` seconds count that an earlier process of the same request has used."""
        self._end = min(self._end, time.monotonic() + self.seconds - elapsed)
        if self._is_enforced:
            self._arm()

    def remaining(self) -> float:
        """Return the seconds that are left, never less than zero."""
        return max(0.0, self._end - time.monotonic())

    def check(self) -> None:
        """Raise `DeadlineExceededError` if no time is left."""
        if not self.remaining():
            raise self.error()

    def error(self) -> DeadlineExceededError:
        """Return the error that tells which step used up the time."""
        return DeadlineExceededError(f"stopped after {self.seconds:g} s while {self.step}: {self.remedy}")

    @contextmanager
    def enforced(self, last_words: Callable[[DeadlineExceededError], None]) -> Iterator[None]:
        """Interrupt the main thread when the deadline passes, even inside a blocking call.

        The first alarm raises `DeadlineExceededError` where the main thread stands, so that
        everything cleans up behind itself. Code that swallows it, or hangs in its own clean-up,
        gets one more second; then the process says its last words and ends. An import is not
        interrupted but awaited, for half of that: an extension that imports takes our error for a
        failure of its own, and panics.
        """

        def interrupt(number: int, frame: FrameType | None) -> None:
            if _is_importing(frame):
                if time.monotonic() > self._end + GRACE_SECONDS / 2:
                    end(number, frame)
                signal.setitimer(signal.ITIMER_REAL, _GLANCE_SECONDS, GRACE_SECONDS / 2)
                return
            signal.signal(signal.SIGALRM, end)
            raise self.error()

        def end(_signal: int, _frame: FrameType | None) -> None:
            error = self.error()
            last_words(error)
            os._exit(error.exit_code)

        before = signal.signal(signal.SIGALRM, interrupt)
        self._is_enforced = True
        self._arm()
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._is_enforced = False
            signal.signal(signal.SIGALRM, before)

    def _arm(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, max(self.remaining(), 0.001), GRACE_SECONDS)


@contextmanager
def terminable(last_words: Callable[[Terminated], None]) -> Iterator[None]:
    """Let SIGTERM end the process within a second, whatever swallows it or hangs in its clean-up.

    Enter it within `Deadline.enforced`, whose alarm it takes over: what is ending has no other deadline. An import is
    awaited as there, but for some seconds: a fetch that has just begun does little else, and shall clean up too.
    """
    begun: float | None = None
    end: float | None = None

    def stop(_number: int, frame: FrameType | None) -> None:
        nonlocal begun, end
        now = time.monotonic()
        if begun is None:
            begun = now
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.signal(signal.SIGALRM, stop)
        if end is None and _is_importing(frame) and now < begun + _LONGEST_IMPORT_SECONDS:
            signal.setitimer(signal.ITIMER_REAL, _GLANCE_SECONDS)
        elif end is None:
            end = now + GRACE_SECONDS
            signal.setitimer(signal.ITIMER_REAL, GRACE_SECONDS, _GLANCE_SECONDS)
            terminate()
        elif now >= end:
            last_words(Terminated())
            os._exit(TERMINATED)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def terminate(_number: int = signal.SIGTERM, _frame: FrameType | None = None) -> None:
    """Raise `Terminated`: here, or from a call of its own in the event loop that runs here.

    Anywhere else in a loop it could be raised between two steps that belong together. A task whose wake-up is lost in
    this way waits for it for ever, also when it is cancelled; and aiohttp takes whatever comes up while it parses an
    answer for an error of the connection.
    """
    running_loop = getattr(sys.modules.get("asyncio.events"), "_get_running_loop", lambda: None)
    if loop := running_loop():
        loop.call_soon_threadsafe(_raise_terminated)
    else:
        _raise_terminated()


def _raise_terminated() -> NoReturn:
    raise Terminated


def _is_importing(frame: FrameType | None) -> bool:
    """Tell whether a module is being imported, by the frames of Python's own import system."""
    while frame:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
