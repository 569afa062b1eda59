"""Own the genuine `argocd-cmp-server` of the tests: its start with our plugin.yaml, its log, its processes, its end."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools import processes
from tools.live_argocd.deployed import INSTALLED_COMMAND, PLUGIN
from tools.processes import accepts, kill_session, process_ids, session_of

COMMAND = Path(sys.executable).with_name("cmp-core")
START_SECONDS = 60.0
STOP_SECONDS = 20.0
SHORT = "/tmp"  # noqa: S108  # a socket's path may have 107 bytes, and TMPDIR may be long
LOG_OPTIONS = ("--logformat", "json", "--loglevel", "info")


@dataclass(frozen=True)
class CmpServer:
    """A running server.

    Attributes:
        pid: Its process id.
        session: The session of all its processes.
        mark: A variable that all its processes have.
        socket: Where it listens.
        work: Where it unpacks repositories, a folder for each request.
        temporary: The sidecar's `/tmp`, with the state folder of cmp-core in it.
        log_file: What it writes to stdout and stderr.
        standing: Further processes that are there for as long as the server: a container's process 1, for instance.
    """

    pid: int
    session: int
    mark: str
    socket: Path
    work: Path
    temporary: Path
    log_file: Path
    standing: frozenset[int] = frozenset()

    @property
    def state(self) -> Path:
        """The state folder that cmp-core has made for itself."""
        (folder,) = self.temporary.glob("cmp-core-*")
        return folder

    def log(self) -> list[dict[str, Any]]:
        """Return the lines of the log so far."""
        lines = self.log_file.read_text(encoding="utf-8", errors="replace").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def commands(self) -> list[str]:
        """Return the commands that the server has started so far."""
        return [line["msg"] for line in self.log() if "dir" in line]

    def said(self) -> list[str]:
        """Return what the commands that succeeded have written to stderr."""
        return [line["stderr"] for line in self.log() if "stderr" in line]

    def failed(self) -> list[str]:
        """Return what the log tells of commands that failed; each line about a command has an id of its run."""
        return [line["msg"] for line in self.log() if line["level"] == "error" and "execID" in line]

    def started_processes(self) -> list[int]:
        """Return every process that the server has started and that is still there, zombies too."""
        own = {self.pid, self.session, *self.standing}
        return [pid for pid in process_ids() if pid not in own and self._has_started(pid)]

    def has_settled(self) -> bool:
        """Tell whether no process and no work folder is left."""
        return not self.started_processes() and not any((self.work / "_cmp_server").iterdir())

    def _has_started(self, pid: int) -> bool:
        """Tell whether a process comes from the server, even if it has left its session or is a zombie."""
        return session_of(pid) == self.session or _parent(pid) == self.pid or self.mark.encode() in _variables(pid)


def wait_until(condition: Callable[[], object], *, seconds: float = 30.0) -> bool:
    """Return whether the condition has come true within so many seconds; looks often, since a request is short."""
    return processes.wait_until(condition, seconds, pause=0.02)


@contextmanager
def run(
    program: Path,
    variables: Mapping[str, str],
    *,
    plugin: str = PLUGIN.read_text(encoding="utf-8"),
    command: Path = COMMAND,
) -> Iterator[CmpServer]:
    """Run the server as a sidecar does, until the block is left, and enter the block when it listens.

    Args:
        program: The multi-call binary of Argo CD.
        variables: What the sidecar's container sets beside the image's own variables.
        plugin: The plugin file; all that is changed in it is where cmp-core is installed.
        command: The installed console script.
    """
    with tempfile.TemporaryDirectory(prefix="cmp-", dir=SHORT) as name:
        folder = Path(name)
        for part in ("config", "plugins", "work", "tmp"):
            (folder / part).mkdir(mode=0o700)
        (folder / "bin").symlink_to(command.parent)  # as in an image no space is in its path, which Argo CD would quote
        installed = str(folder / "bin" / command.name)
        (folder / "config" / "plugin.yaml").write_text(plugin.replace(INSTALLED_COMMAND, installed))
        mark, log = make_mark(folder), folder / "server.log"
        own = {
            "PATH": os.defpath,
            "HOME": str(folder / "tmp"),
            "TMPDIR": str(folder / "tmp"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONSAFEPATH": "1",
            "ARGOCD_BINARY_NAME": "argocd-cmp-server",
            "ARGOCD_PLUGINSOCKFILEPATH": str(folder / "plugins"),
            "ARGOCD_CMP_WORKDIR": str(folder / "work"),
        }
        arguments: list[str | Path] = [program, "--config-dir-path", folder / "config", *LOG_OPTIONS]
        address = folder / "plugins" / "cmp-core.sock"
        with start(arguments, own | dict([mark.split("=")]) | dict(variables), log, address) as process:
            yield CmpServer(process.pid, process.pid, mark, address, folder / "work", folder / "tmp", log)


@contextmanager
def start(
    command: Sequence[str | Path], variables: Mapping[str, str], log: Path, address: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a process in a session of its own, wait until the socket is there, and kill the whole session at the end.

    The server does not end on SIGTERM (docs/explanation/contract.md).
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=log.parent,
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        listens = wait_until(lambda: process.poll() is not None or accepts(address), seconds=START_SECONDS)
        if not listens or process.returncode is not None:
            raise AssertionError(f"argocd-cmp-server does not listen: {log.read_text(errors='replace')[-4000:]}")
        yield process
    finally:
        kill_session(process, STOP_SECONDS)


def make_mark(folder: Path) -> str:
    """Return a variable that no process of another server has."""
    return f"SIDECAR_OF_THE_TESTS={folder.name}"


def _parent(pid: int) -> int | None:
    try:
        status = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    return int(status.rpartition(")")[2].split()[1])


def _variables(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []
