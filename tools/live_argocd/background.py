"""Own the Argo CD that `make argocd-up` leaves in the background: its process, how to reach it, its end."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tools import buckets
from tools.binaries import ROOT
from tools.live_argocd import apiserver, installation, objects
from tools.live_argocd.kubernetes import Kubernetes
from tools.live_argocd.repository import Repository
from tools.processes import LOG_TAIL, wait_until

FOLDER = ROOT / ".cache" / "argocd" / "up"
START_SECONDS = 180.0
STOP_SECONDS = 90.0
TAKE_S3_AWAY, BRING_S3_BACK = signal.SIGUSR1, signal.SIGUSR2

_STATE = "running.json"


class Running(NamedTuple):
    """An Argo CD in the background.

    Attributes:
        folder: Where everything lies.
        pid: The process that owns all others.
        started: When the kernel started it, so that a process that got its id later is not taken for it.
        kubernetes: Its API server.
        endpoint: The address of its S3 server.
    """

    folder: Path
    pid: int
    started: str
    kubernetes: Kubernetes
    endpoint: str

    @property
    def repository(self) -> Repository:
        """The Git repository."""
        return Repository(self.folder / "repository")

    @property
    def s3(self) -> Any:
        """A client of its S3 server."""
        return buckets.connect(self.endpoint)

    def is_alive(self) -> bool:
        """Tell whether its process is still there."""
        return _started(self.pid) == self.started


def find(folder: Path = FOLDER) -> Running | None:
    """Return the one that runs in the folder, or None."""
    try:
        kept = json.loads((folder / _STATE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    address, token, certificate, kubeconfig = kept["kubernetes"]
    kubernetes = Kubernetes(address, token, Path(certificate), Path(kubeconfig))
    running = Running(folder, kept["pid"], kept["started"], kubernetes, kept["endpoint"])
    return running if running.is_alive() else None


def start(folder: Path = FOLDER) -> Running:
    """Start everything in the background, in a folder that is emptied first, and return when it answers."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    log = folder / "start.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tools.live_argocd", "serve", "--folder", folder],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    wait_until(lambda: find(folder) or process.poll() is not None, START_SECONDS)
    running = find(folder)
    if not running:
        process.terminate()
        sys.exit(f"Argo CD has not started; the end of {log}:\n{log.read_text(errors='replace')[-LOG_TAIL:]}")
    return running


def stop(running: Running) -> None:
    """End everything, and return when its process is gone; the kernel kills what it may leave."""
    os.kill(running.pid, signal.SIGTERM)
    if not wait_until(lambda: not running.is_alive(), STOP_SECONDS):
        os.kill(running.pid, signal.SIGKILL)
        wait_until(lambda: not running.is_alive(), STOP_SECONDS)


def serve(folder: Path) -> None:
    """Own all processes until SIGTERM, and let two other signals take S3 away and bring it back."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    with ExitStack() as stack:
        kubernetes_folder, argocd_folder = folder / "kubernetes", folder / "argocd"
        kubernetes_folder.mkdir()
        argocd_folder.mkdir()
        kubernetes = stack.enter_context(apiserver.run(kubernetes_folder))
        objects.install_definitions(kubernetes)
        argo_cd = stack.enter_context(installation.run(argocd_folder, kubernetes))
        signal.signal(TAKE_S3_AWAY, lambda *_: argo_cd.storage.server.stop())
        signal.signal(BRING_S3_BACK, lambda *_: argo_cd.storage.server.start())
        stack.enter_context(_announce(folder, kubernetes, argo_cd.storage.endpoint))
        while True:
            signal.pause()


@contextmanager
def _announce(folder: Path, kubernetes: Kubernetes, endpoint: str) -> Iterator[None]:
    """Leave what others need in the folder, whole at once, until the block is left."""
    kept = {
        "pid": os.getpid(),
        "started": _started(os.getpid()),
        "kubernetes": [str(part) for part in kubernetes],
        "endpoint": endpoint,
    }
    unfinished, file = folder / "running.unfinished", folder / _STATE
    unfinished.touch(mode=0o600)
    unfinished.write_text(json.dumps(kept), encoding="utf-8")
    unfinished.replace(file)
    try:
        yield
    finally:
        file.unlink()


def _started(pid: int) -> str:
    """Return when a process was started, in the kernel's ticks; empty if it is gone or only waits to be reaped."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if words[0] == "Z" else words[19]
