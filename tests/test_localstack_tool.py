"""The tool that runs LocalStack for a command starts it, waits for it, and always stops it."""

import sys
from pathlib import Path

import pytest

from tools import localstack

ANSWERS = """
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

class Health(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/_localstack/health" else 404)
        self.end_headers()

host, port = os.environ["GATEWAY_LISTEN"].split(":")
HTTPServer((host, int(port)), Health).serve_forever()
"""
FAILS = "raise SystemExit('the licence server is on fire')"


def stand_in(folder: Path, program: str) -> Path:
    """Put a module with LocalStack's name into the folder: the real one takes minutes to install."""
    package = folder / "localstack" / "runtime"
    package.mkdir(parents=True)
    (package / "main.py").write_text(program)
    return folder


def is_listening(endpoint: str) -> bool:
    """Tell whether the server answers at the address."""
    return localstack.is_healthy(int(endpoint.rpartition(":")[2]))


def break_inside(folder: Path, seen: list[str]) -> None:
    """Fail while the server runs, and remember its address."""
    with localstack.run(folder, Path(sys.executable)) as endpoint:
        seen.append(endpoint)
        raise RuntimeError("the tests broke")


def test_the_server_answers_inside_and_is_gone_afterwards(tmp_path: Path) -> None:
    """Nothing listens any more when the block is left."""
    with localstack.run(stand_in(tmp_path, ANSWERS), Path(sys.executable)) as endpoint:
        inside = is_listening(endpoint)

    assert inside
    assert not is_listening(endpoint)


def test_the_server_is_stopped_when_the_command_fails(tmp_path: Path) -> None:
    """An error inside the block does not leave a process behind."""
    seen: list[str] = []

    with pytest.raises(RuntimeError, match="the tests broke"):
        break_inside(stand_in(tmp_path, ANSWERS), seen)

    assert seen
    assert not is_listening(seen[0])


def test_a_server_that_ends_at_once_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    """Whoever reads the message sees why, without a search for a log file."""
    with (
        pytest.raises(SystemExit, match=r"ended with exit code 1(?s:.*)the licence server is on fire"),
        localstack.run(stand_in(tmp_path, FAILS), Path(sys.executable)),
    ):
        pytest.fail("a dead server was taken for a living one")


def test_nothing_of_the_callers_aws_account_reaches_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile that the machine does not have would keep LocalStack from starting."""
    monkeypatch.setenv("AWS_PROFILE", "nobody")

    variables = localstack.environment(1, tmp_path)

    assert not [name for name in variables if name.startswith("AWS_")]
