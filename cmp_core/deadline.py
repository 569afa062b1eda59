"""Own the total time of one request and say which step was running when it ran out."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from cmp_core.errors import DeadlineExceededError

GRACE_SECONDS = 1.0


class Deadline:
    """A moment after which nothing goes on, and the step that leads up to it.

    Argo CD kills a plugin with SIGKILL at a deadline of its own that it does not tell
    (``docs/explanation/contract.md``); ours must come first, so that the user reads a sentence.

    Attributes:
        seconds: The whole time of the request, in seconds.
        step: What is being done now, as a clause: ``fetching s3://bucket/path``.
    """

    def __init__(self, seconds: float) -> None:
        """Start the clock."""
        self.seconds = seconds
        self.step = "starting"
        self._end = time.monotonic() + seconds
        self._is_enforced = False

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
        return DeadlineExceededError(
            f"stopped after {self.seconds:g} s while {self.step}: make the source smaller or nearer, or raise "
            "`timeout` in the operator's settings (CMP_TIMEOUT) and with it Argo CD's own time-out"
        )

    @contextmanager
    def enforced(self, last_words: Callable[[DeadlineExceededError], None]) -> Iterator[None]:
        """Interrupt the main thread when the deadline passes, even inside a blocking call.

        The first alarm raises `DeadlineExceededError` where the main thread stands, so that
        everything cleans up behind itself. Code that swallows it, or hangs in its own clean-up,
        gets one more second; then the process says its last words and ends.
        """

        def interrupt(_signal: int, _frame: FrameType | None) -> None:
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
