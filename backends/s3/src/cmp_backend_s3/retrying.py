"""Own the other try: which failure is worth one, how long to wait before it, and the one line that tells of them all.

It is the only loop around a call: the SDK's own is switched off for S3, since the tries of two loops would multiply.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from botocore.exceptions import ClientError

from cmp_backend_s3.failures import FOREIGN, Call, explain, is_role_refused, reason_of
from cmp_core import CmpError, Deadline, DeadlineExceededError

FIRST_PAUSE = 1.0
"""The longest pause before the second try, in seconds; it doubles with every try, as in the SDK's standard mode."""

LONGEST_PAUSE = 5.0
"""The longest of all pauses, in seconds, whatever a `Retry-After` asks for."""

_MOST_KINDS = 3

Result = TypeVar("Result")

_log = logging.getLogger("cmp_core.s3")


@dataclass(slots=True)
class Retries:
    """The tries of one fetch.

    Attributes:
        most: How often one call is tried in all.
        deadline: The end of the request, which no pause outlasts; its step tells what was asked again.
    """

    most: int
    deadline: Deadline
    _kinds: Counter[str] = field(default_factory=Counter)
    _step: str = ""
    _told: str = ""

    def __str__(self) -> str:
        """Return what was asked again and why, as a clause; empty where nothing was."""
        total = self._kinds.total()
        if not total:
            return ""
        often = "once" if total == 1 else f"{total:,} times"
        if len(self._kinds) == 1:
            return f"asked again {often}: {next(iter(self._kinds))}"
        told = self._kinds.most_common(_MOST_KINDS)
        others = total - sum(number for _, number in told)
        kinds = [*told, ("others", others)] if others else told
        return f"asked again {often}: " + ", ".join(f"{kind} ({number:,})" for kind, number in kinds)

    async def run(self, call: Call, ask: Callable[[int], Awaitable[Result]]) -> Result:
        """Ask until there is an answer, or no other try can help.

        Args:
            call: What is asked, for messages.
            ask: Asks once; it gets the number of the try, from 1.

        Raises:
            CmpError: What the last failure means.
        """
        attempt = 1
        while True:
            try:
                return await ask(attempt)
            except (*FOREIGN, CmpError) as error:
                meaning = error if isinstance(error, CmpError) else explain(error, call)
                pause = self.choose_pause(attempt, _patience(error))
                can_help = meaning.retryable and not is_role_refused(error)
                if not can_help or attempt >= self.most or pause >= self.deadline.remaining():
                    raise meaning from error
                self.count(call, reason_of(error))
            await asyncio.sleep(pause)
            attempt += 1

    def choose_pause(self, attempt: int, patience: float) -> float:
        """Return how long to wait after a try, in seconds: with full jitter, and as long as the service asks for."""
        jittered = random.uniform(0, longest_pause(attempt))  # noqa: S311  # spreads load, hides nothing
        return max(jittered, min(patience, LONGEST_PAUSE))

    def count(self, call: Call, reason: str) -> None:
        """Note that a call is asked again, for the one line at the end."""
        self._kinds[f"{call.action} {reason}"] += 1
        if self.deadline.step != self._told:
            self._step = self.deadline.step
        self._told = self.deadline.step = f"{self._step} ({self})"

    @contextmanager
    def told(self) -> Iterator[None]:
        """Tell at the end what was asked again: in the error where there is one, else in the log."""
        try:
            yield
        except DeadlineExceededError:
            raise
        except CmpError as error:
            if self._kinds:
                error.args = (f"{error} ({self})",)
            raise
        else:
            if self._kinds:
                _log.warning("%s", self)


def longest_pause(attempt: int) -> float:
    """Return the longest pause after a try, in seconds."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(attempt - 1, 60))


def _patience(error: BaseException) -> float:
    """Return the seconds for which the service asks to be left alone; a date is ignored, since clocks differ."""
    if not isinstance(error, ClientError):
        return 0.0
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    asked = str(headers.get("retry-after", ""))
    return float(asked[:9]) if asked.isascii() and asked.isdecimal() else 0.0
