"""Own what is known about one request for its line in the log: who asked for what, how much, and how long it took."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal, get_args

Step = Literal["wait", "fetch", "render"]

IN_SUMMARY = {"is_in_summary": True}
"""The `extra` of a log record that says what the summary says too, so that JSON does without it."""


class Summary:
    """The figures of one request, filled in while it goes on.

    `init` and `generate` of one request are two processes; the first hands over what it knows to the second.

    Attributes:
        request: The request's id, which is in every line that either process says.
        application: ``ARGOCD_APP_NAME``.
        project: ``ARGOCD_APP_PROJECT_NAME``.
        source: The location of the source, once the trigger file is read.
        objects: How many objects were fetched.
        bytes: How many bytes these have.
        revision: The revision of the source.
        manifests: How many manifests were rendered.
        renderer: What has rendered them, where that is not cmp-core itself.
    """

    def __init__(
        self, request: str = "", *, application: str = "", project: str = "", started: float | None = None
    ) -> None:
        """Begin at `started`, in seconds of the monotonic clock, by default now."""
        self.request = request
        self.application = application
        self.project = project
        self.source: str | None = None
        self.objects: int | None = None
        self.bytes: int | None = None
        self.revision: str | None = None
        self.manifests: int | None = None
        self.renderer: str | None = None
        self._started = time.monotonic() if started is None else started
        self._seconds: dict[Step, float] = {}
        self._running: dict[Step, float] = {}

    @contextmanager
    def timed(self, step: Step) -> Iterator[None]:
        """Add the time that the block takes to that of `step`."""
        self._running[step] = time.monotonic()
        try:
            yield
        finally:
            self._seconds[step] = self._elapsed(step)
            del self._running[step]

    @property
    def seconds(self) -> dict[str, float | None]:
        """The seconds of every step, up to now where it goes on and None where it never began, and of all together."""
        began = {*self._seconds, *self._running}
        told: dict[str, float | None] = {
            step: round(self._elapsed(step), 3) if step in began else None for step in get_args(Step)
        }
        return told | {"total": round(time.monotonic() - self._started, 3)}

    def hand_over(self) -> dict[str, float | None]:
        """Return what the next process of this request has to know, apart from the artifact."""
        return {"wait": self.seconds["wait"], "fetch": self.seconds["fetch"]}

    def take_over(self, seconds: Mapping[str, float | None], started: float) -> None:
        """Count what an earlier process of this request has used, which began at `started`."""
        self._started = min(self._started, started)
        steps: tuple[Step, ...] = ("wait", "fetch")
        for step in steps:
            if (used := seconds.get(step)) is not None:
                self._seconds[step] = self._seconds.get(step, 0.0) + used

    def _elapsed(self, step: Step) -> float:
        now = time.monotonic()
        return self._seconds.get(step, 0.0) + now - self._running.get(step, now)
