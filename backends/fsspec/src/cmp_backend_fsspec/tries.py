"""Own the other try: how often a call is made, and how long to wait in between."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from cmp_backend_fsspec.failures import explain
from cmp_core import CmpError, Deadline

Result = TypeVar("Result")

LONGEST_PAUSE = 5.0
"""The longest pause between two tries, in seconds."""

_log = logging.getLogger("cmp_core.fsspec")


@dataclass(frozen=True, slots=True)
class Tries:
    """The tries of every call of one fetch.

    Attributes:
        most: How often one call is made in all.
        deadline: The end of the request, which no pause outlasts.
        place: Where the source lies, for messages.
    """

    most: int
    deadline: Deadline
    place: str

    async def run(self, ask: Callable[[], Awaitable[Result]], place: str = "") -> Result:
        """Ask until there is an answer, or no other try can help.

        Args:
            ask: Asks once.
            place: What is asked for, where it is not the source itself.

        Raises:
            CmpError: What the last failure means.
        """
        attempt = 1
        while True:
            self.deadline.check()
            try:
                return await ask()
            except Exception as error:
                meaning = error if isinstance(error, CmpError) else explain(error, place or self.place)
                if meaning is None:
                    raise
                cause = None if meaning is error else error
                pause = random.uniform(0.5, 1) * min(2.0 ** (attempt - 1), LONGEST_PAUSE)  # noqa: S311  # spreads load
                if not meaning.retryable or attempt >= self.most or pause >= self.deadline.remaining():
                    raise meaning from cause
                _log.debug("%s: trying again", meaning)
            await asyncio.sleep(pause)
            attempt += 1
