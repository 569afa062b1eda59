"""Own the end of Argo CD's server in the sidecar: on SIGTERM it takes no more requests, and ends when none is left.

By itself `argocd-cmp-server` removes its socket on SIGTERM and goes on for ever (docs/explanation/contract.md). What it
was asked before gets its answer here, for so long as Kubernetes waits by default; then the server ends, and that is a
success.

It runs with the interpreter alone, without what is installed: `python3 -IS entry.py COMMAND…`.
"""

import os
import signal
import sys
import time
from pathlib import Path

PATIENCE = 25.0
"""Seconds until the server ends whatever it does; Kubernetes kills 30 after SIGTERM."""

QUIET = 1.0
"""For so many seconds nothing may run: between the two commands of a request there is a moment without one."""

TICK = 0.1
STOPPING = {signal.SIGTERM, signal.SIGINT}


def main() -> int:
    """Run the command that the arguments name, and return the exit code."""
    command = sys.argv[1:]
    signal.pthread_sigmask(signal.SIG_BLOCK, {*STOPPING, signal.SIGCHLD})
    try:
        server = os.posix_spawn(command[0], command, os.environ, setsigmask=())
    except OSError as error:
        sys.exit(
            f"{command[0]} cannot be run ({error.strerror}): mount the volume in which the repo-server's pod keeps it"
        )
    while True:
        received = signal.sigwait({*STOPPING, signal.SIGCHLD})
        if received == signal.SIGCHLD:
            if (code := exit_code(server)) is not None:
                return code
        else:
            stop(server)
            return 0


def exit_code(server: int) -> int | None:
    """Return how the server has ended, as a shell says it; None while it runs."""
    pid, status = os.waitpid(server, os.WNOHANG)
    if not pid:
        return None
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def stop(server: int) -> None:
    """Let the server remove its socket, wait until it does nothing any more, and end it."""
    os.kill(server, signal.SIGTERM)
    now = time.monotonic()
    latest, busy = now + PATIENCE, now
    while now < latest and now - busy < QUIET:
        time.sleep(TICK)
        if exit_code(server) is not None:
            return
        now = time.monotonic()
        if has_children(server):
            busy = now
    os.kill(server, signal.SIGKILL)
    os.waitpid(server, 0)


def has_children(pid: int) -> bool:
    """Return whether the process has started another that is still there."""
    return any(parent(path) == pid for path in Path("/proc").glob("[0-9]*/stat"))


def parent(stat: Path) -> int:
    """Return the parent of the process whose line in /proc this is, or 0 if it is gone."""
    try:
        line = stat.read_text(errors="replace")
    except OSError:
        return 0
    return int(line.rpartition(")")[2].split()[1])


if __name__ == "__main__":
    sys.exit(main())
