"""Own the processes in which a suite fetches by itself: with another environment, or where it counts what is left."""

import contextlib
import json
import os
import signal
import site
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryFile
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
    children = [(_Child(variables), json.dumps({**common, **task})) for task, variables in tasks]
    return [child.ask(request) for child, request in children]


class _Child:
    """A process of its own, with a group of its own: what a backend leaves running does not outlive it."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        """Start it; what it says goes into a file, since a process that it leaves behind would hold a pipe open."""
        self._said = TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  # it lives as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_CHILD)],
            env={**os.environ, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            encoding="utf-8",
            process_group=0,
        )

    def ask(self, request: str) -> dict[str, Any]:
        """Return the answer to the one request."""
        with self._process as process, self._said as said:
            try:
                stdout, _ = process.communicate(request, timeout=_PATIENCE)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            said.seek(0)
            assert process.returncode == 0, said.read()
        answer: dict[str, Any] = json.loads(stdout)
        return answer
