"""Own the processes in which a suite fetches by itself: with another environment, or where it counts what is left."""

import json
import os
import site
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cmp_core.testing.suite import Suite

_CHILD = Path(__file__).with_name("child.py")
_PATIENCE = 120  # seconds


def ask_child(suite: Suite, values: Mapping[str, Any], task: Mapping[str, Any], **settings: Any) -> dict[str, Any]:
    """Let a process fetch the source that `values` describe, and return its answer; see `cmp_core.testing.child`."""
    (answer,) = ask_children(suite, values, [(task, {})], **settings)
    return answer


def ask_children(
    suite: Suite,
    values: Mapping[str, Any],
    tasks: Iterable[tuple[Mapping[str, object], Mapping[str, str]]],
    **settings: Any,
) -> list[dict[str, Any]]:
    """Let several processes do a task each at once, each with further variables, and return the answers."""
    environment = suite.environment(**settings)
    common = {
        "backend": suite.backend,
        "path": sys.path,
        "settings": environment.settings.model_dump(mode="json", by_alias=True, exclude_none=True),
        "sites": site.getsitepackages(),
        "values": values,
        "variables": dict(environment.variables),
    }
    processes = [(_start(variables), json.dumps({**common, **task})) for task, variables in tasks]
    return [_answer(process, request) for process, request in processes]


def _start(variables: Mapping[str, str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-P", "-W", "error", str(_CHILD)],
        env={**os.environ, **variables},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def _answer(process: "subprocess.Popen[str]", request: str) -> dict[str, Any]:
    with process:
        try:
            stdout, stderr = process.communicate(request, timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert process.returncode == 0, stderr
    answer: dict[str, Any] = json.loads(stdout)
    return answer
