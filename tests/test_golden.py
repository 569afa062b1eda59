"""Every behaviour that a user sees, as a folder: what lies in Git and in S3, and what comes out.

``golden/<case>/`` holds ``README.md`` (the rule), ``app/`` (the application's folder), ``objects/``
(the bucket), ``environment`` (further variables, a line each), and either ``expected.yaml`` (stdout)
or ``expected-error.txt`` (the exit code and what stderr says from the error on). After a change that
is meant, ``UPDATE_GOLDEN=1`` writes what came out; read the difference before you commit it.
"""

import os
import re
import shutil
from pathlib import Path

import pytest
from e2e_support import S3Server, Sidecar

from cmp_core.installed import describe, installed_backends

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(path.name for path in GOLDEN.iterdir() if path.is_dir())
INSTALLED = describe(installed_backends())


def read_environment(case: Path) -> dict[str, str]:
    """Return the variables of a case."""
    file = case / "environment"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return dict(line.split("=", 1) for line in lines if line)


def read_objects(case: Path) -> dict[str, bytes]:
    """Return the objects of a case by key."""
    root = case / "objects"
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def outcome(code: int, stderr: bytes, s3: S3Server) -> str:
    """Return the exit code and the error, without what differs from run to run."""
    text = stderr.decode()
    error = text[text.find("error:") :].replace(s3.endpoint, "{endpoint}").replace(INSTALLED, "{installed}")
    return f"exit {code}\n" + re.sub(r"\[request [0-9a-f]{8}\]", "[request {request}]", error)


@pytest.mark.s3
@pytest.mark.parametrize("name", CASES)
def test_a_case_comes_out_as_written(name: str, sidecar: Sidecar, s3: S3Server) -> None:
    """`init` and `generate` give the expected manifests byte for byte, or the expected error and nothing else."""
    case = GOLDEN / name
    shutil.copytree(case / "app", sidecar.directory, dirs_exist_ok=True)
    s3.put(read_objects(case))
    sidecar.variables = s3.variables | read_environment(case)
    failure, success = case / "expected-error.txt", case / "expected.yaml"

    init = sidecar.run("init")
    result = sidecar.run("generate") if init.returncode == 0 else init

    told = outcome(result.returncode, result.stderr, s3)
    if os.environ.get("UPDATE_GOLDEN"):
        update(result.stdout, told, success, failure)
    if success.exists():
        assert (told.splitlines()[0], result.stdout) == ("exit 0", success.read_bytes())
    else:
        assert (told, result.stdout) == (failure.read_text(encoding="utf-8"), b"")
        assert len(result.stderr) <= 4096


def update(stdout: bytes, told: str, success: Path, failure: Path) -> None:
    """Write what came out as what is expected."""
    success.unlink(missing_ok=True)
    failure.unlink(missing_ok=True)
    if stdout:
        success.write_bytes(stdout)
    else:
        failure.write_text(told, encoding="utf-8")
