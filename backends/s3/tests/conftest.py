"""Real S3 by moto on a free port, and a real HTTP server in front of it that fails where a test says so."""

import io
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config
from cmp_backend_s3 import fetch
from cmp_backend_s3.source import S3Source
from moto.server import ThreadedMotoServer

from cmp_core import Artifact, BuildEnvironment, Deadline, Settings

ACCESS_KEY = "AKIATESTTESTTEST1234"
SECRET_KEY = "secret/of+the/test+that/no+message/may+show"

_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "AWS_CONFIG_FILE": "/nonexistent",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
}


@dataclass
class Reply:
    """What the server answers instead of moto.

    Attributes:
        status: The HTTP status.
        body: The body that is announced.
        headers: Further headers.
        sent: How many bytes of the body are sent before the connection is cut; all of them when None.
        stalls: Whether nothing more comes after the sent bytes, for as long as the server lives.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    sent: int | None = None
    stalls: bool = False

    @classmethod
    def error(cls, status: int, code: str, message: str = "", extra: str = "", **headers: str) -> "Reply":
        """Return S3's XML for an error code."""
        body = f"<Error><Code>{code}</Code><Message>{message}</Message>{extra}<RequestId>1</RequestId></Error>"
        return cls(status, body.encode(), {"Content-Type": "application/xml", **headers})


@dataclass
class Request:
    """One request that the server has seen."""

    method: str
    path: str
    query: str
    headers: dict[str, str]

    @property
    def is_listing(self) -> bool:
        """Whether it is a LIST."""
        return "list-type=2" in self.query


Script = Callable[[Request, Callable[[], Reply]], Reply | None]


class FaultServer:
    """A real HTTP server: forwards to moto what the script leaves alone, and remembers every request.

    Asked as a proxy, it serves whatever host is named.
    The script gets the request and a function that asks moto, and returns a reply, or None to forward.
    """

    def __init__(self, upstream: str) -> None:
        """Listen on a free port of the loopback."""
        self.upstream = urlsplit(upstream).netloc
        self.script: Script = lambda *_: None
        self.requests: list[Request] = []
        self.connections = 0
        self.Reply = Reply
        self.over = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def url(self) -> str:
        """The server's address."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def gets(self) -> list[Request]:
        """The requests for objects."""
        return [request for request in self.requests if request.method == "GET" and not request.is_listing]

    @property
    def listings(self) -> list[Request]:
        """The listings."""
        return [request for request in self.requests if request.is_listing]

    def close(self) -> None:
        """Stop, and let everything go that stalls."""
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def ask_upstream(self, request: Request, body: bytes = b"") -> Reply:
        """Return moto's answer."""
        connection = HTTPConnection(self.upstream, timeout=10)
        try:
            target = request.path + (f"?{request.query}" if request.query else "")
            connection.request(
                request.method, target, body, {**request.headers, "host": self.upstream, "connection": "close"}
            )
            response = connection.getresponse()
            dropped = {"transfer-encoding", "connection", "content-length", "date", "server"}
            headers = {name: value for name, value in response.getheaders() if name.lower() not in dropped}
            return Reply(response.status, response.read(), headers)
        finally:
            connection.close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        faults = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                faults.connections += 1
                super().setup()

            def log_message(self, *_: Any) -> None:
                """Be quiet."""

            def do_GET(self) -> None:
                path, _, query = re.sub(r"^http://[^/]*", "", self.path).partition("?")
                request = Request(self.command, path, query, {k.lower(): v for k, v in self.headers.items()})
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                faults.requests.append(request)
                reply = faults.script(request, lambda: faults.ask_upstream(request, body))
                self._send(reply or faults.ask_upstream(request, body))

            do_HEAD = do_PUT = do_POST = do_GET  # noqa: N815  # the names that http.server calls

            def _send(self, reply: Reply) -> None:
                out = io.BytesIO()
                self.wfile, wire = out, self.wfile
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile = wire
                sent = reply.body if reply.sent is None else reply.body[: reply.sent]
                if self.command == "HEAD":
                    sent = b""
                wire.write(out.getvalue() + sent)
                wire.flush()
                if reply.stalls:
                    faults.over.wait(30)
                self.close_connection = self.close_connection or reply.sent is not None or reply.stalls

        return Handler


@pytest.fixture(autouse=True)
def _aws_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the SDK static credentials and nothing of the machine's own configuration."""
    import os  # noqa: PLC0415  # only to list what is to be removed

    for name in [
        name for name in os.environ if name.startswith(("AWS_", "FSSPEC_")) or name.lower().endswith("_proxy")
    ]:
        monkeypatch.delenv(name)
    for name, value in _ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """Return the address of a running S3."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def faults(moto_url: str) -> Iterator[FaultServer]:
    """Return the server in front of moto."""
    server = FaultServer(moto_url)
    yield server
    server.close()


@pytest.fixture
def s3(moto_url: str) -> Iterator[Any]:
    """Return a client that talks to moto directly."""
    client = boto3.client(
        "s3",
        endpoint_url=moto_url,
        region_name="us-east-1",
        aws_access_key_id="seed",
        aws_secret_access_key="seed",
        config=Config(retries={"total_max_attempts": 1}),
    )
    yield client
    client.close()


@pytest.fixture
def bucket(s3: Any) -> str:
    """Return the name of a new, empty bucket."""
    name = f"test-{uuid4().hex}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def put(s3: Any, bucket: str) -> Callable[..., None]:
    """Return a function that puts objects: ``put({"a/b.yaml": b"…"})``."""

    def put_objects(objects: dict[str, bytes], **options: Any) -> None:
        for key, content in objects.items():
            s3.put_object(Bucket=bucket, Key=key, Body=content, **options)

    return put_objects


@pytest.fixture
def make_environment(faults: FaultServer, tmp_path: Path) -> Callable[..., BuildEnvironment]:
    """Return a function that makes the surroundings of a fetch; its keywords are settings."""

    def make(*, variables: dict[str, str] | None = None, **settings: Any) -> BuildEnvironment:
        values = {
            "connect_timeout": 2,
            "endpoint": faults.url,
            "max_attempts": 2,
            "read_timeout": 2,
            "state_directory": tmp_path / "state",
            "store_bytes": 0,
        } | settings
        chosen = Settings.model_validate({**values}, by_name=True)
        return BuildEnvironment(settings=chosen, variables=variables or {}, deadline=Deadline(chosen.timeout))

    return make


@pytest.fixture
def fetch_source(
    bucket: str, make_environment: Callable[..., BuildEnvironment], tmp_path: Path
) -> Callable[..., Artifact]:
    """Return a function that fetches a path of the bucket into a new folder; keywords are fields of the source."""

    def fetch_path(path: str, environment: BuildEnvironment | None = None, **fields: Any) -> Artifact:
        destination = tmp_path / uuid4().hex
        destination.mkdir()
        source = S3Source.model_validate({"bucket": bucket, "path": path, **fields})
        return fetch(source, destination, environment or make_environment())

    return fetch_path
