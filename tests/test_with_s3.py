"""The tool that runs a command against a real S3 server says how it is called, and hands over the exit code."""

import sys
from pathlib import Path

import pytest

from tools import binaries, with_s3


@pytest.mark.parametrize("arguments", [[], ["localstack"], ["minio", "pytest"]])
def test_a_call_without_server_or_command_says_how_to_call_it(arguments: list[str]) -> None:
    """Nothing is installed or built for nothing."""
    with pytest.raises(SystemExit, match=r"usage: python -m tools\.with_s3 localstack\|versitygw COMMAND"):
        with_s3.main(arguments)


@pytest.mark.e2e
def test_the_command_finds_the_server_and_its_exit_code_counts(tmp_path: Path) -> None:
    """A test run that fails against the server fails the target that started both."""
    assert binaries.find("versitygw")
    answer = tmp_path / "answer"
    program = f"import os, pathlib; pathlib.Path({str(answer)!r}).write_text(os.environ['E2E_S3_ENDPOINT']); exit(3)"

    code = with_s3.main(["versitygw", sys.executable, "-c", program])

    assert code == 3
    assert answer.read_text().startswith("http://127.0.0.1:")
