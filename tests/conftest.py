"""What the host's tests share: an S3 server that is empty when a test begins, and a sidecar that reads from it."""

import os
import signal
import site
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_support import S3Server, Sidecar
from host_support import FakeSite
from moto.server import ThreadedMotoServer

from tools import buckets


def pytest_configure() -> None:
    """Receive SIGINT: a shell lets a job in the background ignore it, and so would every process that tests start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The URL of the S3 server of the whole run."""
    if named := os.environ.get("E2E_S3_ENDPOINT"):
        yield named
        return
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_endpoint: str) -> S3Server:
    """An empty S3 server."""
    client = buckets.connect(s3_endpoint)
    server = S3Server(s3_endpoint, client)
    server.clear()
    return server


@pytest.fixture
def sidecar(tmp_path: Path) -> Sidecar:
    """A sidecar with an empty application folder."""
    (tmp_path / "app").mkdir()
    (tmp_path / "state").mkdir(mode=0o700)
    return Sidecar(tmp_path / "app", tmp_path / "state")


@pytest.fixture
def s3_sidecar(sidecar: Sidecar, s3: S3Server) -> Sidecar:
    """A sidecar that reads from the S3 server, with the usual trigger file in the application's folder."""
    sidecar.variables = s3.variables
    sidecar.write("s3-source.yaml", "bucket: test-bucket\npath: apps/demo\nversion: v1.0.0\n")
    return sidecar


@pytest.fixture
def fake_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSite:
    """An empty folder that this process takes for its only site directory."""
    directory = tmp_path / "site"
    directory.mkdir(mode=0o700)
    monkeypatch.setattr(site, "getsitepackages", lambda: [str(directory)])
    monkeypatch.syspath_prepend(directory)
    return FakeSite(directory)
