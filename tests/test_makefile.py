"""The Makefile keeps its promises to a newcomer: it lists what it can do, and says what it lacks."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAKEFILE = (ROOT / "Makefile").read_text()


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make in the folder, with nothing of a make that may run these tests."""
    variables = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    return subprocess.run(["make", *arguments], cwd=folder, env=variables, check=False, capture_output=True, text=True)  # noqa: S607  # make is where PATH says


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A fresh checkout with a space in its name, with as much in it as the set-up begins with."""
    folder = tmp_path / "a check out"
    (folder / "requirements").mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", folder)
    shutil.copy(ROOT / "requirements" / "uv.txt", folder / "requirements")
    return folder


def old_python(folder: Path) -> Path:
    """Make an interpreter that takes itself for Python 3.10, since a machine seldom has one."""
    script = folder / "python3.10"
    disguise = "import sys; sys.version_info = (3, 10, 9); exec(sys.argv[1])"
    script.write_text(
        f'#!/bin/sh\n[ "$1" = -c ] || exec echo "Python 3.10.9"\nexec {sys.executable!r} -c "{disguise}" "$2"\n'
    )
    script.chmod(0o755)
    return script


def test_make_alone_lists_the_two_commands_of_the_readme(checkout: Path) -> None:
    """Whoever types `make` sees where to begin, and nothing is set up for that."""
    result = make(checkout)

    assert result.returncode == 0, result.stderr
    assert re.search(r"^  make demo +\w", result.stdout, re.MULTILINE)
    assert re.search(r"^  make test +\w", result.stdout, re.MULTILINE)
    assert not (checkout / ".venv").exists()


def test_every_listed_target_exists(checkout: Path) -> None:
    """The list is made from the rules, so each line of it names one."""
    listed = re.findall(r"^  make ([a-z0-9-]+)", make(checkout).stdout, re.MULTILINE)

    assert set(listed) <= set(re.findall(r"^\.PHONY: ([a-z0-9-]+)$", MAKEFILE, re.MULTILINE))
    assert {"check", "format", "lint", "types", "docs", "requirements", "benchmark", "soak", "clean"} <= set(listed)


def test_a_python_that_is_too_old_is_named_with_the_remedy(checkout: Path) -> None:
    """The set-up stops before it makes anything, and says how to name another interpreter."""
    python = old_python(checkout)

    result = make(checkout, f"PYTHON={python}", "demo")

    assert result.returncode != 0
    assert "needs Python 3.11 or later" in result.stderr
    assert "Python 3.10.9" in result.stderr
    assert "make PYTHON=python3.13 demo" in result.stderr
    assert not (checkout / ".venv").exists()


def test_a_folder_that_was_moved_gives_up_its_environment(checkout: Path) -> None:
    """Console scripts hold the path that the folder had, so an environment from there is of no use here."""
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / "place").write_text("/somewhere/else\n")

    make(checkout)

    assert not (checkout / ".venv").exists()


def test_every_script_and_file_that_a_recipe_names_is_there() -> None:
    """A renamed script would otherwise be noticed only by whoever needs its target."""
    names = re.findall(r"tools[/.](?!py\b)(\w+)", MAKEFILE)
    scripts = [
        f"tools/{name}/__main__.py" if (ROOT / "tools" / name).is_dir() else f"tools/{name}.py" for name in names
    ]
    files = re.findall(r"requirements/[a-z]+\.(?:in|txt)|\.hadolint\.yaml", MAKEFILE)

    assert scripts
    assert files
    assert [name for name in [*scripts, *files] if not (ROOT / name).is_file()] == []
