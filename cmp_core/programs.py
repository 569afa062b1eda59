"""Own the running of other programs: found on the sidecar's own path, without a shell, in time, with bounded output.

An application's author has no say in any of it: neither in which program runs, nor in its environment.
"""

import os
import selectors
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from cmp_core.environment import BuildEnvironment
from cmp_core.errors import BackendError, LimitExceededError

__all__ = ["NO_NETWORK", "Output", "find_program", "run_program"]

NO_NETWORK: Mapping[str, str] = dict.fromkeys(
    ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9"
)
"""Variables of a program that shall reach nothing: a proxy that is not there. Go lets none stand before loopback."""

MOST_SAID = 64 * 1024
"""How many bytes of what a program says on stderr are kept."""

_CHUNK_BYTES = 256 * 1024
_TICK = 0.5  # seconds

# What becomes the program. It lets the kernel kill it when its parent dies, by SIGKILL without a word. That
# is said in a process of its own: Python code between fork and exec would inherit the threads and the noise of whatever
# library this process has loaded. Python may have set LC_CTYPE for itself.
_LAUNCHER = """
import ctypes, os, sys
parent, keep, *command = sys.argv[1:]
if sys.platform == "linux":
    PR_SET_PDEATHSIG, SIGKILL = 1, 9
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL)
if os.getppid() != int(parent):
    sys.exit("the request has ended")
if not keep:
    os.environ.pop("LC_CTYPE", None)
os.execv(command[0], command)
"""


class Output(NamedTuple):
    """What a program has left when it ended.

    Attributes:
        code: Its exit code; negative for the signal that ended it.
        content: All that it wrote to stdout.
        said: The beginning of what it wrote to stderr.
    """

    code: int
    content: bytes
    said: str

    def said_without(self, *folders: Path) -> str:
        """Return what it said on one line, with every path below these folders shortened to what lies there."""
        text = self.said
        for folder in folders:
            for spelling in (folder.resolve(), folder):
                text = text.replace(f"{spelling}/", "")
        return " ".join(text.split())


def find_program(name: str, environment: BuildEnvironment, *, purpose: str) -> Path:
    """Return the program `name` of the sidecar's own ``PATH``, of which only absolute entries count.

    Args:
        name: Its file name.
        environment: Whose variables tell the path.
        purpose: What it is needed for, as a clause for the message: ``to render a kustomization``.

    Raises:
        BackendError: It is not there; tells where it was looked for, and how it comes into the image.
    """
    path = environment.variables.get("PATH", os.defpath)
    places = [place for place in path.split(os.pathsep) if Path(place).is_absolute()]
    found = shutil.which(name, path=os.pathsep.join(places))
    if found:
        return Path(found)
    raise BackendError(
        f"`{name}` is needed {purpose}, and is not in {', '.join(places) or 'any folder of PATH'}: put it into the "
        "sidecar's image, into a folder of its PATH such as /usr/local/bin"
    )


def run_program(
    command: Sequence[str | Path],
    folder: Path,
    environment: BuildEnvironment,
    *,
    variables: Mapping[str, str],
    most_bytes: int,
) -> Output:
    """Run a program to its end, with nothing on stdin and in a process group of its own.

    The group is killed when the deadline passes, when too much comes out, and when this process is told to end; the
    program itself also when this process is killed.

    Args:
        command: The program's absolute path and its arguments.
        folder: Its working directory, below the scratch folder.
        environment: Whose deadline ends it.
        variables: All of its environment.
        most_bytes: How much it may write to stdout.

    Raises:
        DeadlineExceededError: The time ran out.
        LimitExceededError: It wrote more than it may.
    """
    environment.deadline.check()
    with subprocess.Popen(  # noqa: S603  # no shell, and the caller has found the program on the sidecar's own path
        [*_launcher(variables), *command],
        cwd=folder,
        env=dict(variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        process_group=0,
    ) as process:
        try:
            content, said = _read(process, Path(command[0]).name, environment, most_bytes)
        except BaseException:
            _kill_group(process)
            raise
        code = process.wait()
    return Output(code, content, said.decode(errors="replace").strip())


def _launcher(variables: Mapping[str, str]) -> list[str]:
    keep = "LC_CTYPE" if "LC_CTYPE" in variables else ""
    return [sys.executable, "-ISc", _LAUNCHER, str(os.getpid()), keep]


def _read(
    process: "subprocess.Popen[bytes]", name: str, environment: BuildEnvironment, most_bytes: int
) -> tuple[bytes, bytes]:
    """Return all of stdout and the beginning of stderr, once both have ended."""
    content, said = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        for stream, kept in ((process.stdout, content), (process.stderr, said)):
            assert stream  # noqa: S101  # both are pipes
            selector.register(stream, selectors.EVENT_READ, kept)
        while selector.get_map():
            environment.deadline.check()
            for key, _ in selector.select(min(_TICK, environment.deadline.remaining())):
                chunk = os.read(key.fd, _CHUNK_BYTES)
                if not chunk:
                    selector.unregister(key.fileobj)
                elif key.data is content:
                    content += chunk
                    if len(content) > most_bytes:
                        raise LimitExceededError(
                            f"`{name}` writes more than {most_bytes} bytes: raise `limits.totalBytes` in the "
                            "operator's settings (CMP_LIMITS_TOTAL_BYTES), or make the source smaller"
                        )
                else:
                    said += chunk[: MOST_SAID - len(said)]
    return bytes(content), bytes(said)


def _kill_group(process: "subprocess.Popen[bytes]") -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()
