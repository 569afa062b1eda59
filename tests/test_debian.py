"""Debian's packages: what is missing is installed once, however many targets need it at the same time."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tools import debian

APT_GET = """#!/bin/sh
echo "begins $5" >>"{folder}/calls"
sleep 0.2
[ "$5" = update ] || touch "{folder}/installed"
echo "ends $5" >>"{folder}/calls"
"""
DPKG_QUERY = """#!/bin/sh
[ -e "{folder}/installed" ] && printf installed
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Debian without the package; its programs write down what they are asked for."""
    for name, script in (("apt-get", APT_GET), ("dpkg-query", DPKG_QUERY)):
        program = tmp_path / name
        program.write_text(script.format(folder=tmp_path))
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(debian, "DATABASE", tmp_path)
    return tmp_path


def test_targets_at_the_same_time_install_one_after_the_other(machine: Path) -> None:
    """The second one finds what the first has installed."""
    with ThreadPoolExecutor(2) as targets:
        list(targets.map(debian.require, ["tini", "tini"]))

    assert (machine / "calls").read_text().splitlines() == [
        "begins update",
        "ends update",
        "begins install",
        "ends install",
    ]


def test_who_may_not_install_reads_the_command(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is begun."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(SystemExit, match=r"apt-get install --no-install-recommends tini$"):
        debian.require("tini")

    assert not (machine / "calls").exists()
