"""Own the sidecar as Kubernetes runs it: process 1, uid 999, no capability, a read-only root with a writable /tmp.

Nothing of plugin.yaml is changed here, and nothing of Argo CD's default paths.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from e2e import cmp_server
from e2e.cmp_server import LOG_OPTIONS, SHORT, CmpServer

from tools.binaries import ROOT
from tools.live_argocd.deployed import PLUGIN

UID = 999
SERVER = "/var/run/argocd/argocd-cmp-server"
SCRIPT = Path(__file__).with_name("confine.sh")
SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/etc")

_NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--kill-child")
_DROPPED = "--bounding-set=-all --inh-caps=-all"


def why_impossible() -> str:
    """Return why a process cannot be confined here, or nothing."""
    if missing := [name for name in ("unshare", "setpriv", "chroot", "mount") if not shutil.which(name)]:
        return f"there is no {missing[0]}: install util-linux and coreutils"
    result = subprocess.run([*_enter(), "true"], check=False, capture_output=True, text=True)
    return f"neither root nor a user namespace: {result.stderr.strip()}" if result.returncode else ""


@contextmanager
def run(program: Path, variables: Mapping[str, str]) -> Iterator[CmpServer]:
    """Run the server confined until the block is left.

    Args:
        program: The multi-call binary of Argo CD.
        variables: What the sidecar's container sets beside the image's own variables.
    """
    with tempfile.TemporaryDirectory(prefix="cmp-", dir=SHORT) as name:
        folder = Path(name)
        folder.chmod(0o755)
        for part in ("root", "plugins"):
            (folder / part).mkdir()
        if os.geteuid() == 0:
            os.chown(folder / "plugins", UID, UID)
        mark = cmp_server.make_mark(folder)
        image = {
            "PATH": "/opt/cmp-core/bin:/usr/local/bin:/usr/bin:/bin",
            "HOME": "/tmp",  # noqa: S108  # as the Dockerfile has it
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONSAFEPATH": "1",
        }
        command: list[str | Path] = [*_enter(), "sh", SCRIPT, folder / "root", folder / "plugins", _privileges()]
        command += ["--", *_places(program), "--", SERVER, *LOG_OPTIONS]
        log, address = folder / "server.log", folder / "plugins" / "cmp-core.sock"
        with cmp_server.start(command, image | dict([mark.split("=")]) | dict(variables), log, address) as outer:
            pid = _first_inside(outer.pid)
            temporary = Path(f"/proc/{pid}/root/tmp")
            yield CmpServer(pid, outer.pid, mark, address, temporary, temporary, log)


def _enter() -> list[str]:
    user = [] if os.geteuid() == 0 else ["--user", f"--map-user={UID}", f"--map-group={UID}", "--keep-caps"]
    return [*_NAMESPACES, *user]


def _privileges() -> str:
    if os.geteuid() == 0:
        return f"--reuid={UID} --regid={UID} --clear-groups {_DROPPED}"
    return f"{_DROPPED} --ambient-caps=-all"


def _places(program: Path) -> list[str]:
    """Return what the root file system holds: the system, the interpreter, the checkout, and what an image adds."""
    same = dict.fromkeys([*SYSTEM, sys.base_prefix, str(ROOT), sys.prefix])
    own = {
        sys.prefix: "/opt/cmp-core",
        str(program.resolve()): SERVER,
        str(PLUGIN): "/home/argocd/cmp-server/config/plugin.yaml",
    }
    inside_system = [path for path in same if path not in SYSTEM and path.startswith(tuple(f"{s}/" for s in SYSTEM))]
    listed = [path for path in same if path not in inside_system and Path(path).exists()]
    return [*(f"{path}={path}" for path in listed), *(f"{source}={target}" for source, target in own.items())]


def _first_inside(session: int) -> int:
    """Return the process that is number 1 inside the new namespace, by its number outside."""
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            pid, text = int(status.parent.name), status.read_text()
            numbers = next(line for line in text.splitlines() if line.startswith("NSpid:")).split()[1:]
            if os.getsid(pid) == session and len(numbers) > 1 and numbers[-1] == "1":
                return pid
        except (OSError, StopIteration):
            continue
    raise AssertionError("the confined server is not there")
