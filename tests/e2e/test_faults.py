"""Whatever the wire or the service does, the answer is the right manifests or one clear error, in time."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest
from e2e.conftest import Find
from e2e.endings import assert_nothing_left, bound, stored
from e2e.fault_stage import MANIFESTS, OBJECTS, TRIGGER, Stage, Toxiproxy, run_toxiproxy
from e2e.faults import ROWS, SETTINGS, Row
from e2e_support import SECRET_KEY, S3Server, Sidecar

pytestmark = pytest.mark.e2e

MOST_BYTES = 4096


@pytest.fixture(scope="session")
def toxiproxy(tool: Find, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Toxiproxy]]:
    """A function that returns a toxiproxy of the whole run, started when the first row needs it."""
    with ExitStack() as resources:

        @cache
        def start() -> Toxiproxy:
            running = run_toxiproxy(tool("toxiproxy"), tmp_path_factory.mktemp("toxiproxy"))
            return resources.enter_context(running)

        yield start


@pytest.fixture
def stage(s3: S3Server, tmp_path: Path, toxiproxy: Callable[[], Toxiproxy]) -> Iterator[Stage]:
    """A fault server before an S3 server that holds three manifests."""
    s3.put(OBJECTS)
    with ExitStack() as resources:
        yield Stage(s3.endpoint, tmp_path, resources, toxiproxy)


@pytest.fixture
def sidecar(tmp_path: Path) -> Sidecar:
    """A sidecar with an application that reads them."""
    for name in ("app", "state"):
        (tmp_path / name).mkdir()
    sidecar = Sidecar(tmp_path / "app", tmp_path / "state")
    sidecar.write("s3-source.yaml", TRIGGER)
    return sidecar


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_fault_has_a_known_end(row: Row, s3: S3Server, stage: Stage, sidecar: Sidecar) -> None:
    """The class, the whole text, the requests, the time and what is left behind are those of the table."""
    row.arrange(stage)
    sidecar.variables = {**s3.variables, **SETTINGS, **row.settings, **stage.variables}
    begin = time.monotonic()

    init = sidecar.run("init")

    seconds = time.monotonic() - begin
    assert_told(row, sidecar, init.stderr)
    assert init.returncode == (row.error.exit_code if row.error else 0)
    assert init.stdout == b""
    assert seconds <= bound(row.seconds, float(sidecar.variables["CMP_TIMEOUT"]))
    if row.error is None:
        generate = sidecar.run("generate")
        assert (generate.returncode, generate.stdout) == (0, MANIFESTS)
    assert row.asked in {None, sum(map(row.counts, stage.faults.requests))}
    assert_nothing_left(sidecar, OBJECTS.values())
    assert len(stored(sidecar)) == len(OBJECTS) or row.error


def assert_told(row: Row, sidecar: Sidecar, stderr: bytes) -> None:
    """Hold what is said to the table: all of it, short and without a secret."""
    said = re.sub(r" \[request [0-9a-f]+\]$", "", stderr.decode(), flags=re.MULTILINE)
    said = said.replace(sidecar.variables["AWS_ENDPOINT_URL"], "ENDPOINT")
    said = re.sub(r"(?<=^fetched 3 files, 153 bytes, revision sha256:).*$", "…", said, flags=re.MULTILINE)
    told = {
        True: [f"error: {row.text}"],
        False: [*([row.text] if row.text else []), "fetched 3 files, 153 bytes, revision sha256:…"],
    }[row.error is not None]
    assert said.splitlines() == ["fetching s3://test-bucket/apps/demo for application demo", *told]
    assert len(stderr) <= MOST_BYTES
    assert SECRET_KEY not in said
    assert "hidden-password" not in said
