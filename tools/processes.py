"""Own the servers that tools run beside themselves: a port for each, the wait until it answers, and its end."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

STOP_SECONDS = 20
LOG_TAIL = 4000


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def serve(
    command: Sequence[str | Path],
    environment: dict[str, str],
    folder: Path,
    answers: Callable[[], bool],
    *,
    seconds: float,
) -> Iterator[None]:
    """Run a server in the folder until the block is left, and enter the block when it answers.

    Args:
        command: The server's command line; its own name is the one for messages.
        environment: All of the server's environment.
        folder: An existing folder; the server's working directory, which also gets `server.log`.
        answers: Tells whether the server answers already.
        seconds: How long to wait for that at most. Then the tool ends with the last words of the log.
    """
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        if not _becomes_ready(process, answers, seconds):
            sys.exit(_what_went_wrong(process, log))
        yield
    finally:
        _stop(process)


def inherited_environment() -> dict[str, str]:
    """Return what a server needs of the caller's environment, with no AWS profile and no proxy in it."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}


def cache_folder() -> Path:
    """Return where environments and programs are kept between runs, as the XDG rules have it."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cmp-core"


def tell(text: str) -> None:
    """Say on stderr what happens, at once."""
    print(text, file=sys.stderr, flush=True)


def _becomes_ready(process: subprocess.Popen[bytes], answers: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answers():
            return True
        if _ends_within(process, 0.2):
            return False
    return False


def _ends_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _what_went_wrong(process: subprocess.Popen[bytes], log: Path) -> str:
    code = process.poll()
    what = "does not answer" if code is None else f"ended with exit code {code}"
    return f"The server {what}; the end of its log:\n{log.read_text(errors='replace')[-LOG_TAIL:]}"


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the process, and whatever it started, by its own session."""
    process.terminate()
    if not _ends_within(process, STOP_SECONDS):
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
