"""Own the servers that run beside tools and tests: a port for each, the wait until it answers, and its end."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
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


def accepts(address: int | Path) -> bool:
    """Tell whether somebody accepts connections on a port of the loopback interface, or on a socket in a folder."""
    with socket.socket(socket.AF_UNIX if isinstance(address, Path) else socket.AF_INET) as client:
        return client.connect_ex(str(address) if isinstance(address, Path) else ("127.0.0.1", address)) == 0


def responds(url: str) -> bool:
    """Tell whether a server of ours answers a GET request with success, past any proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def wait_until(condition: Callable[[], object], seconds: float, *, pause: float = 0.2) -> bool:
    """Return whether the condition has come true within so many seconds, looking again after each pause."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(pause)
    return True


def process_ids() -> list[int]:
    """Return the ids of all processes, zombies too."""
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]  # noqa: PTH208  # names are all it takes


def session_of(pid: int) -> int | None:
    """Return the session of a process, which it keeps as a zombie; None if it is gone."""
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def kill_session(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Kill a process that leads a session, and whatever is in it; it has so many seconds to be gone."""
    for pid in [process.pid, *(pid for pid in process_ids() if session_of(pid) == process.pid)]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait(seconds)


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
