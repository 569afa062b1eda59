"""Own what the faults of the machine are made with: small disks, limits of a process, file times that lie ahead."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from e2e_support import Sidecar

from tools.fault_server import FaultServer

BUCKET = "test-bucket"
PREFIX = "apps/demo/"
TRIGGER = f"bucket: {BUCKET}\npath: {PREFIX.rstrip('/')}\nversion: v1.0.0\n"

HOUR = 3600
MIB = 2**20

_CLOCK = f"""
import os, runpy, sys, time
_, flag, *sys.argv = sys.argv
def setting_back(read, ahead):
    return lambda: read() - ahead * os.path.exists(flag)
time.time = setting_back(time.time, {HOUR})
time.time_ns = setting_back(time.time_ns, {HOUR} * 10**9)
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Runs a script of Python whose clock is an hour behind once there is a file; the file's path is the first argument."""

_ENTER = ("unshare", "--mount")
_AS_ROOT = ("--user", "--map-root-user")
_MOUNT = 'mount -t tmpfs -o "mode=700,$2" tmpfs "$1" && echo mounted && exec cat'


class Machine:
    """Where one row plays: a sidecar, the fault server between it and S3, and what can be short here.

    Attributes:
        sidecar: Runs the commands.
        faults: Stands before the S3 server.
        between: Called when `init` has ended well, before `generate` begins.
    """

    def __init__(self, sidecar: Sidecar, faults: FaultServer, resources: ExitStack) -> None:
        """Begin with a machine that has enough of everything."""
        self.sidecar = sidecar
        self.faults = faults
        self.between: Callable[[], None] = lambda: None
        self._resources = resources
        self._clock = sidecar.state.with_name("clock-is-set-back")

    def limit(self, option: str, number: int) -> None:
        """Let the process have no more than the shell's `ulimit` with this option allows."""
        self.sidecar.prefix = ("sh", "-c", f'ulimit -{option} {number} && exec "$@"', "sh")

    def write_to(self, path: str) -> None:
        """Let stdout be a file."""
        self.sidecar.prefix = ("sh", "-c", f'exec "$@" >{path}', "sh")

    def put_application_on(self, options: str) -> None:
        """Let the application's folder be a small disk of its own, which holds the trigger file."""
        disk = self._mount(self.sidecar.directory, options)
        shutil.copy(self.sidecar.directory / "s3-source.yaml", disk)
        self.sidecar.directory = disk

    def put_state_on(self, options: str, *, is_full: bool = False) -> None:
        """Let the folder for temporary files be a small disk of its own, perhaps full of other people's files."""
        folder = self.sidecar.state
        self.sidecar.variables |= {"TMPDIR": str(folder), "HOME": str(folder)}
        self.sidecar.state = self._mount(folder, options)
        if is_full:
            _fill(self.sidecar.state / "others")

    def watch_clock(self) -> None:
        """Let the commands read a clock that can be set back: Python's, since nobody may set that of the machine."""
        self.sidecar.prefix = (sys.executable, "-I", "-c", _CLOCK, str(self._clock))

    def set_clock_back(self) -> None:
        """Let it be an hour earlier than it was: by the clock, and by every file, which is now of the future."""
        self._clock.touch()
        for folder in (self.sidecar.directory, self.sidecar.state):
            for path in folder.rglob("*"):
                with contextlib.suppress(FileNotFoundError):  # a fetch goes on meanwhile
                    moment = path.lstat().st_mtime + HOUR
                    os.utime(path, (moment, moment), follow_symlinks=False)

    def _mount(self, folder: Path, options: str) -> Path:
        """Mount a disk on the folder where only the sidecar's commands see it, and return where we can look at it."""
        process = self._resources.enter_context(_mounted(folder, options))
        user = () if os.geteuid() == 0 else ("--user", "--preserve-credentials")
        enter = ("nsenter", f"--target={process}", "--mount", *user, "--")
        self.sidecar.prefix = (*enter, "sh", "-c", 'cd "$0" && exec "$@"', str(self.sidecar.directory))
        return Path(f"/proc/{process}/root{folder}")


def why_no_disks() -> str:
    """Return why there can be no small disks here, or nothing."""
    if missing := [name for name in ("unshare", "nsenter", "mount") if not shutil.which(name)]:
        return f"there is no {missing[0]}: install util-linux"
    result = subprocess.run([*_enter(), "true"], check=False, capture_output=True, text=True)
    return f"neither root nor a user namespace: {result.stderr.strip()}" if result.returncode else ""


def _enter() -> tuple[str, ...]:
    return _ENTER if os.geteuid() == 0 else (*_ENTER, *_AS_ROOT)


@contextmanager
def _mounted(folder: Path, options: str) -> Iterator[int]:
    """Mount a tmpfs in a namespace of its own until the block is left, and give the process that keeps it."""
    command = [*_enter(), "sh", "-c", _MOUNT, "sh", str(folder), options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as keeper:
        assert keeper.stdin
        assert keeper.stdout
        try:
            assert keeper.stdout.readline() == b"mounted\n"
            yield keeper.pid
        finally:
            keeper.stdin.close()


def _fill(path: Path) -> None:
    """Write a file until its disk is full."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
