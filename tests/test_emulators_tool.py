"""Azurite is locked to the last package, wherever the lock was made, and installed whole or not at all."""

import json
from pathlib import Path

import pytest

from tools import emulators

LOCK = json.loads((emulators.AZURITE / "package-lock.json").read_text(encoding="utf-8"))
PACKAGES = {name: entry for name, entry in LOCK["packages"].items() if name}


def test_every_package_is_locked_by_its_hash() -> None:
    """What is installed is what was looked at."""
    assert len(PACKAGES) > 100
    assert [name for name, entry in PACKAGES.items() if not entry.get("integrity", "").startswith("sha512-")] == []


def test_no_package_is_bound_to_the_registry_of_whoever_locked_it() -> None:
    """Npm asks the registry that the machine is told to use."""
    assert [name for name, entry in PACKAGES.items() if "resolved" in entry] == []


def test_the_lock_is_that_of_what_is_asked_for() -> None:
    """A version in package.json without its lock would be refused by npm, after minutes."""
    wanted = json.loads((emulators.AZURITE / "package.json").read_text(encoding="utf-8"))["dependencies"]

    assert LOCK["packages"][""]["dependencies"] == wanted
    assert PACKAGES["node_modules/azurite"]["version"] == wanted["azurite"]


def test_a_half_made_installation_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its mark is written last."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    module = emulators._folder() / emulators.MAIN
    module.parent.mkdir(parents=True)
    module.write_text("")

    before = emulators.find_azurite()
    (emulators._folder() / "complete").touch()

    assert before is None
    assert emulators.find_azurite() == module
