"""The workflow of a new backend is one that GitHub takes."""

import subprocess
from pathlib import Path

import pytest
from e2e.conftest import Find

from cmp_core.newbackend import NewBackend, write_backend

pytestmark = pytest.mark.e2e


@pytest.fixture
def workflow(tmp_path: Path) -> Path:
    """Return the workflow of a backend that has just been written."""
    write_backend(NewBackend("oci"), tmp_path / "new")
    return tmp_path / "new" / ".github" / "workflows" / "test.yaml"


def lint(tool: Find, workflow: Path) -> "subprocess.CompletedProcess[str]":
    """Let actionlint judge the workflow; other linters that the machine may have stay out of it."""
    command: list[str | Path] = [tool("actionlint"), "-shellcheck=", "-pyflakes=", "-no-color", workflow]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_actionlint_finds_nothing(tool: Find, workflow: Path) -> None:
    """Keys, expressions, and the inputs of the actions."""
    judged = lint(tool, workflow)

    assert (judged.returncode, judged.stdout) == (0, "")


def test_actionlint_would_find_a_slip(tool: Find, workflow: Path) -> None:
    """A misspelt key, and a matrix that has no such row."""
    text = workflow.read_text(encoding="utf-8")
    workflow.write_text(text.replace("timeout-minutes", "timeout-minuts").replace("matrix.python }", "matrix.pyton }"))

    judged = lint(tool, workflow)

    assert judged.returncode == 1
    assert "timeout-minuts" in judged.stdout
    assert "pyton" in judged.stdout
