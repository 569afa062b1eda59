"""`make argocd-up`, `argocd-demo` and `argocd-down` do what they say, and leave nothing behind."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools.binaries import ROOT
from tools.live_argocd import background

pytestmark = [pytest.mark.argocd, pytest.mark.usefixtures("kubernetes")]


def run(command: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run one of the commands to its end."""
    return subprocess.run(
        [sys.executable, "-m", "tools.live_argocd", command, "--folder", folder],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_a_person_brings_it_up_sees_the_demonstration_and_takes_it_down(tmp_path: Path) -> None:
    """The three commands succeed one after the other, tell what happens, and no process is left."""
    folder = tmp_path / "up"

    up = run("up", folder)
    running = background.find(folder)
    try:
        demo = run("demo", folder)
    finally:
        down = run("down", folder)

    assert (up.returncode, demo.returncode, down.returncode) == (0, 0, 0), up.stderr + demo.stderr + down.stderr
    assert running
    assert f"KUBECONFIG={running.kubernetes.kubeconfig} kubectl" in up.stderr
    assert [line for line in demo.stderr.splitlines() if line and not line.startswith(" ")][:-1] == [
        "A new Application",
        "CI uploads a change",
        "Somebody empties the prefix",
        "CI uploads again",
        "S3 is down",
        "S3 is back",
    ]
    assert processes_with(str(folder)) == []
    assert background.find(folder) is None


def processes_with(text: str) -> list[str]:
    """Return the command lines of processes that have the text in them or in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except OSError:
            continue
        if text.encode() in words:
            found.append((folder / "cmdline").read_text().replace("\0", " "))
    return found
