"""A short soak ends well, with the verdict of the long one; one of a command that was spoiled does not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from e2e.cmp_server import COMMAND
from e2e.conftest import Find
from e2e.soak.course import Options, soak
from e2e.soak.page import write_report

pytestmark = pytest.mark.e2e

SEED = 146
"""With this, the four clients begin with requests for `two`, `hundred` and `floating`, and wait for the answers."""

Soak = Callable[[Path, float, float], dict[str, Any]]


@pytest.fixture
def soak_briefly(tool: Find, tmp_path: Path) -> Soak:
    """A function that soaks a command for some seconds with few clients that have time: other tests run meanwhile."""
    argocd, _ = tool("argocd"), tool("versitygw")

    def run(command: Path, seconds: float, scale: float) -> dict[str, Any]:
        options = Options(
            seconds, SEED, scale, argocd, command, tmp_path / "results", timeout=45.0, slack=30.0, clients=4
        )
        return soak(options)

    return run


def test_a_short_soak_has_no_wrong_answer_and_leaves_nothing(soak_briefly: Soak) -> None:
    """Clients of every mood, a publisher and faults at once: each answer is right or explained, and nothing leaks."""
    summary = soak_briefly(COMMAND, 35, 0.2)

    assert summary["wrong"] == []
    assert summary["leaks"] == []
    assert summary["outcomes"]["right"] >= 4
    assert summary["incidents"]
    assert "| the right manifests, or the right answer to another question |" in write_report(summary)


def test_a_soak_of_a_spoiled_command_finds_the_wrong_answers_and_what_is_left(
    soak_briefly: Soak, tmp_path: Path
) -> None:
    """The check can fail: a changed value, an empty result and a file that stays are found."""
    spoiled = tmp_path / "cmp-core"
    spoiled.write_text(
        '#!/bin/sh\ncase "$1 $PWD" in\n'
        f'"generate "*/hundred) touch "$TMPDIR/lost"; "{COMMAND}" "$@" | sed s/8080/8081/ ;;\n'
        f'*/floating) true ;;\n*) exec "{COMMAND}" "$@" ;;\nesac\n'
    )
    spoiled.chmod(0o755)

    summary = soak_briefly(spoiled, 10, 0.05)

    reasons = [json.loads(path.read_text())["reason"] for path in (tmp_path / "results" / "wrong").iterdir()]
    assert any("missing: hundred-0000 of r0" in reason for reason in reasons)
    assert any("no state of the floating prefix" in reason for reason in reasons)
    assert len(reasons) == summary["outcomes"]["wrong"]
    assert summary["leaks"] == ["1 files in TMPDIR are left"]
