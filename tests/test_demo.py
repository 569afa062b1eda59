"""The demonstration prints the quickstart's manifests and nothing else."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools import docs_pictures

ROOT = Path(__file__).resolve().parent.parent
OBJECTS = ROOT / "examples" / "quickstart" / "objects"


def run_demo(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Run the demonstration from some other folder."""
    command = [sys.executable, ROOT / "tools" / "demo.py", *arguments]
    return subprocess.run(command, cwd="/", env=os.environ | variables, check=False, capture_output=True)


def test_the_demonstration_prints_the_manifests_and_nothing_else() -> None:
    """What lies in the bucket comes out byte for byte; what was done is told on stderr."""
    expected = b"".join(b"---\n" + path.read_bytes() for path in sorted(OBJECTS.iterdir()))

    result = run_demo()

    assert result.returncode == 0, result.stderr.decode()
    assert result.stdout == expected
    assert b"cmp-core init" in result.stderr


def test_the_demonstration_of_an_archive_prints_what_is_meant_of_it() -> None:
    """The folder is packed, and of the release only the manifests below `deploy/` come out."""
    archive = ROOT / "examples" / "tarball" / "objects" / "releases" / "demo-app-1.0.0.tgz"
    deploy = archive / "demo-app-1.0.0" / "deploy"
    expected = b"".join(b"---\n" + (deploy / name).read_bytes() for name in ("base/service.yaml", "deployment.yaml"))

    result = run_demo("tarball")

    assert result.returncode == 0, result.stderr.decode()
    assert result.stdout == expected
    assert b"s3://test-bucket/releases/demo-app-1.0.0.tgz" in result.stderr


def test_the_demonstration_of_two_sources_prints_the_manifests_of_both() -> None:
    """Those of the first source come first."""
    objects = ROOT / "examples" / "multi" / "objects"
    files = [objects / "base" / "network-policy.yaml", *sorted((objects / "apps" / "demo-app").iterdir())]

    result = run_demo("multi")

    assert result.returncode == 0, result.stderr.decode()
    assert result.stdout == b"".join(b"---\n" + file.read_bytes() for file in files)


def test_the_demonstration_of_a_web_server_prints_what_it_gives_out() -> None:
    """The file is fetched by http, since the operator allows it."""
    release = ROOT / "examples" / "fsspec" / "objects" / "releases" / "demo-app-1.0.0.yaml"

    result = run_demo("fsspec")

    assert result.returncode == 0, result.stderr.decode()
    assert result.stdout == b"---\n" + release.read_bytes()
    assert b"The operator allows http://127.0.0.1:" in result.stderr


@pytest.mark.parametrize(
    ("example", "printed"),
    [
        ("single-object", "releases/demo-app-1.0.0.yaml"),
        ("include-exclude", "apps/demo-app/service.yaml"),
        ("environments", "apps/demo-app/v1.4.2/configmap.yaml"),
    ],
)
def test_a_demonstration_prints_the_one_object_that_is_meant(example: str, printed: str) -> None:
    """Byte for byte, and nothing of what lies beside it."""
    result = run_demo(example)

    assert result.returncode == 0, result.stderr.decode()
    assert result.stdout == b"---\n" + (ROOT / "examples" / example / "objects" / printed).read_bytes()


def test_the_demonstration_uses_nothing_of_the_callers_aws_account() -> None:
    """A profile that does not exist, a proxy and a foreign endpoint would break it if it looked at them."""
    result = run_demo(
        AWS_PROFILE="there-is-no-such-profile",
        AWS_ENDPOINT_URL="http://127.0.0.1:9",
        AWS_CA_BUNDLE="/nonexistent",
        HTTP_PROXY="http://127.0.0.1:9",
        http_proxy="http://127.0.0.1:9",
        CMP_TIMEOUT="0.001",
    )

    assert result.returncode == 0, result.stderr.decode()
    assert result.stdout.count(b"---\n") == 2


def test_a_command_that_fails_ends_the_demonstration_with_its_exit_code(tmp_path: Path) -> None:
    """Nothing goes to stdout then: half a demonstration is none."""
    script = tmp_path / "cmp-core"
    script.write_text('#!/bin/sh\necho "kind: Half"\n[ "$1" = init ] || exit 69\n')
    script.chmod(0o755)

    result = run_demo("--cmp-core", script)

    assert result.returncode == 69
    assert result.stdout == b""


def test_the_recording_shows_what_happens_today() -> None:
    """The picture on the first page is of this version: `make docs-pictures` draws it anew."""
    shown = [plain(line) for line in docs_pictures.texts_of(docs_pictures.RECORDING.read_text(encoding="utf-8"))]

    told = [*run_demo().stderr.decode().splitlines(), *OBJECTS.joinpath("deployment.yaml").read_text().splitlines()[:4]]
    for line in told:
        assert plain(line)[: docs_pictures.COLUMNS] in shown
    assert len(shown) > len(told)


def plain(line: str) -> str:
    """Return a line without what differs from run to run."""
    line = re.sub(r"127\.0\.0\.1:\d+|\d+\.\d\d s", "…", line)
    return re.sub(r" ?\[request [0-9a-f]{8}\]$", "", line)
