"""Own one server process: its start, the wait until it answers, its end, and that it never outlives who started it."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tools.processes import LOG_TAIL, kill_session, wait_until

START_SECONDS = 60.0
STOP_SECONDS = 10.0


class ServerError(Exception):
    """A server does not do what is asked of it."""


@dataclass
class Server:
    """A server that can be ended, and begun again in the same place.

    Attributes:
        name: What it is called in messages; its log is `NAME.log` in the folder.
        command: Its command line.
        environment: All of its environment.
        folder: An existing folder: the working directory.
        answers: Tells whether it answers already.
        ends_on_sigterm: Whether it is worth asking it to end.
    """

    name: str
    command: Sequence[str | Path]
    environment: Mapping[str, str]
    folder: Path
    answers: Callable[[], bool]
    ends_on_sigterm: bool = True
    _process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    @property
    def log(self) -> Path:
        """What it says."""
        return self.folder / f"{self.name}.log"

    @property
    def pid(self) -> int:
        """The id of its process."""
        if not self._process:
            raise ServerError(f"{self.name} does not run")
        return self._process.pid

    def start(self) -> None:
        """Start it, and return when it answers.

        The kernel kills it when the thread ends that has started it, so start it from the main thread.
        """
        if self._process:
            raise ServerError(f"{self.name} runs already")
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *self.command],  # noqa: S607  # of util-linux, where PATH says
                cwd=self.folder,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if not wait_until(lambda: self._has_ended() or self.answers(), START_SECONDS) or self._has_ended():
            code = self._process.poll()
            self.kill()
            what = f"does not answer within {START_SECONDS:.0f} s" if code is None else f"ended with exit code {code}"
            tail = self.log.read_text(encoding="utf-8", errors="replace")[-LOG_TAIL:]
            raise ServerError(f"{self.name} {what}; the end of its log:\n{tail}")

    def stop(self) -> None:
        """End it, if it runs, by asking it first, and kill what is left of it."""
        if self._process and self.ends_on_sigterm:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
        self.kill()

    def kill(self) -> None:
        """Kill it and whatever it has started, if it runs."""
        if not self._process:
            return
        kill_session(self._process, STOP_SECONDS)
        self._process = None

    def _has_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None
