"""A web server for the tests: it lists its folders as such servers do, and misbehaves where it is told to."""

import html
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from cmp_backend_fsspec import fetch as fetch_hook
from cmp_backend_fsspec.source import FsspecSource

from cmp_core import Artifact, BuildEnvironment, Deadline, Settings

Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Answers one request from what the server holds."""

    protocol_version = "HTTP/1.1"
    server: "Server"

    def do_GET(self) -> None:
        """Answer as the server's table says, else with a file or a folder's page."""
        path = self.path
        self.server.asked.append(path)
        self.server.headers_seen.append(dict(self.headers))
        answer = self.server.answers.get(path) or self.server.answer_all
        if answer:
            answer(self)
        elif path.endswith("/"):
            self.answer_page(path)
        elif (content := self.server.files.get(unquote(path))) is not None:
            self.answer_with(content)
        else:
            self.answer_with(b"no such file", status=404)

    do_HEAD = do_GET  # noqa: N815  # as the standard library has it

    def answer_page(self, path: str) -> None:
        """List a folder with the links that Apache and nginx have beside its files."""
        folder = unquote(path)
        names = {name.removeprefix(folder).partition("/") for name in self.server.files if name.startswith(folder)}
        links = sorted({f"{quote(name)}{slash}" for name, slash, _ in names})
        if not links:
            self.answer_with(b"no such folder", status=404)
            return
        rows = "".join(f'<a href="{html.escape(link)}">{html.escape(unquote(link))}</a>\n' for link in links)
        page = f'<html><h1>Index</h1><a href="?C=N;O=D">Name</a> <a href="../">Parent</a>\n{rows}</html>'
        self.answer_with(page.encode(), headers={"Content-Type": "text/html; charset=utf-8"})

    def answer_with(self, body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """Send a whole answer."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """The server.

    Attributes:
        files: What it holds, by path from the root.
        answers: What it answers to a path in another way.
        answer_all: What it answers to everything else.
        asked: The paths that were asked for.
        headers_seen: The headers of each request.
    """

    daemon_threads = True

    def __init__(self) -> None:
        """Listen on a free port of the loopback interface."""
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.answers: dict[str, Answer] = {}
        self.answer_all: Answer | None = None
        self.asked: list[str] = []
        self.headers_seen: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        """The server's root, without a slash at its end."""
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: Any) -> None:
        """Say nothing: a client may go when it has seen enough."""


@pytest.fixture
def web() -> Iterator[Server]:
    """Run a web server for one test."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@dataclass
class Fetching:
    """A sidecar whose operator allows something.

    Attributes:
        destination: Where fetches go.
        allow: What is allowed.
        settings: Further settings of the operator, by their keys.
        own: Further settings for the backend.
        variables: The sidecar's variables.
        seconds: The whole time of a request.
    """

    destination: Path
    allow: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    own: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    seconds: float = 45.0

    def __call__(self, url: str, **values: Any) -> Artifact:
        """Fetch a URL into an empty folder."""
        quick = {"connectTimeout": 2, "readTimeout": 2, "maxAttempts": 1, "storeBytes": 0}
        backends = {"fsspec": {"allow": self.allow, **self.own}}
        settings = Settings.model_validate({**quick, **self.settings, "backends": backends})
        environment = BuildEnvironment(settings=settings, variables=self.variables, deadline=Deadline(self.seconds))
        source = FsspecSource.model_validate({"url": url, **values})
        self.destination.mkdir(exist_ok=True)
        return fetch_hook(source=source, destination=self.destination, environment=environment)

    def kept(self) -> dict[str, bytes]:
        """Return what lies in the destination."""
        files = (path for path in self.destination.rglob("*") if path.is_file())
        return {path.relative_to(self.destination).as_posix(): path.read_bytes() for path in files}


@pytest.fixture
def fetching(tmp_path: Path) -> Fetching:
    """A sidecar that fetches into a folder of the test, and allows nothing yet."""
    return Fetching(tmp_path / "destination")
