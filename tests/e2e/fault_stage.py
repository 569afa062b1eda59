"""Own what the faults of the table are made with: a fault server before the S3 server, toxiproxy, TLS, ports."""

import datetime as dt
import json
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.request import Request as HTTPRequest
from urllib.request import urlopen

import trustme

from cmp_core import CmpError
from tools.fault_server import Fault, FaultServer, Matches, is_any, is_get_of, is_listing
from tools.processes import accepts, free_port, inherited_environment, serve

BUCKET = "test-bucket"
PREFIX = "apps/demo/"
TRIGGER = f"bucket: {BUCKET}\npath: {PREFIX.rstrip('/')}\n"

OBJECTS = {
    f"{PREFIX}{name}.yaml": f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n".encode()
    for name in ("a", "b", "c")
}
FIRST = next(iter(OBJECTS))
MANIFESTS = b"".join(b"---\n" + body for body in OBJECTS.values())

SETTINGS = {"CMP_TIMEOUT": "60", "CMP_MAX_ATTEMPTS": "3"}
"""What every row runs with, unless it says otherwise."""

STALLS = {"CMP_CONNECT_TIMEOUT": "2", "CMP_READ_TIMEOUT": "2", "CMP_MAX_ATTEMPTS": "2"}
"""What rows run with that wait for what never comes."""

AT_ONCE = 3.0
"""The seconds within which an answer comes that waits for nothing: a process starts, an SDK is loaded."""

PAUSED_ONCE = AT_ONCE + 1
"""... with the longest pause between two tries."""

PAUSED = AT_ONCE + 1 + 2
"""... with the longest pauses between three tries."""

STALLED = PAUSED_ONCE + 2 * 2
"""... with both tries of `STALLS` and the longest pause between them."""

LISTING = f"s3:ListBucket on s3://{BUCKET}/{PREFIX} at ENDPOINT"
GETTING = f"s3:GetObject on s3://{BUCKET}/{FIRST} at ENDPOINT"

TOXIPROXY_SECONDS = 20


class Stage:
    """Where one row plays: what a sidecar is told, and what stands between it and the S3 server.

    Attributes:
        faults: The fault server.
        variables: The sidecar's variables; a row changes them.
    """

    def __init__(self, upstream: str, folder: Path, resources: ExitStack, toxiproxy: Callable[[], "Toxiproxy"]) -> None:
        """Stand a fault server before the S3 server at `upstream`."""
        self.variables: dict[str, str] = {}
        self._upstream = upstream
        self._folder = folder
        self._resources = resources
        self._toxiproxy = toxiproxy
        self.faults = self.open_server()
        self.ask(self.faults.url)

    def open_server(self, **options: Any) -> FaultServer:
        """Open one more fault server."""
        return self._resources.enter_context(FaultServer(self._upstream, **options))

    def ask(self, url: str) -> None:
        """Let the sidecar ask this endpoint."""
        self.variables["AWS_ENDPOINT_URL"] = url

    def toxic(self, kind: str, **attributes: int) -> None:
        """Put toxiproxy before the fault server, with one toxic in it for what the server says."""
        port = self._resources.enter_context(self._toxiproxy().proxy(self.faults.port))
        self._toxiproxy().add_toxic(port, kind, attributes)
        self.ask(f"http://127.0.0.1:{port}")

    def speak_tls(self, *names: str, trusts: bool = True, **options: Any) -> None:
        """Let the endpoint speak TLS with a certificate for these names, by an authority that the sidecar trusts."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(*names, **options).configure_cert(context)
        self.faults = self.open_server(tls=context)
        self.ask(self.faults.url)
        authority = self._authority if trusts else trustme.CA()
        bundle = self._folder / "ca.pem"
        authority.cert_pem.write_to_path(bundle)
        self.variables["AWS_CA_BUNDLE"] = str(bundle)

    def closed_port(self) -> int:
        """Return a port of the loopback interface that nobody listens on while the row plays."""
        holder = self._resources.enter_context(socket.socket())
        holder.bind(("127.0.0.1", 0))
        port: int = holder.getsockname()[1]
        return port

    def full_port(self) -> int:
        """Return a port that lets nobody in and refuses nobody: the queue of those who wait there is full."""
        listener = self._resources.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = self._resources.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(listener.getsockname())
        port: int = listener.getsockname()[1]
        return port

    @cached_property
    def _authority(self) -> trustme.CA:
        return trustme.CA()


Arrange = Callable[[Stage], None]


@dataclass(frozen=True)
class Row:
    """One row of the table, and one test.

    Attributes:
        name: The test's id.
        what: What happens, for the table.
        arrange: Makes it happen.
        error: The class of the error; None where the manifests come out.
        text: The whole text of the error, or the line that tells of other tries. ENDPOINT stands for the address.
        asked: How many requests are made of those that `counts` matches; None where nobody can count them.
        counts: Which requests the fault concerns.
        settings: The settings that differ from `SETTINGS`.
        seconds: Within how many seconds the answer is there.
    """

    name: str
    what: str
    arrange: Arrange
    error: type[CmpError] | None = None
    text: str = ""
    asked: int | None = 1
    counts: Matches = is_any
    settings: Mapping[str, str] = field(default_factory=dict)
    seconds: float = AT_ONCE


@dataclass(frozen=True)
class Toxiproxy:
    """A running toxiproxy, by its HTTP interface."""

    url: str

    @contextmanager
    def proxy(self, upstream_port: int) -> Iterator[int]:
        """Forward a new port to another, and give it."""
        port = free_port()
        name = f"proxy-{port}"
        target = {"name": name, "listen": f"127.0.0.1:{port}", "upstream": f"127.0.0.1:{upstream_port}"}
        self._call("POST", "/proxies", target)
        yield port
        self._call("DELETE", f"/proxies/{name}")

    def add_toxic(self, port: int, kind: str, attributes: dict[str, int]) -> None:
        """Let something go wrong with everything that comes back through the port."""
        self._call("POST", f"/proxies/proxy-{port}/toxics", {"type": kind, "attributes": attributes})

    def _call(self, method: str, path: str, content: dict[str, Any] | None = None) -> None:
        body = json.dumps(content).encode() if content else None
        with urlopen(HTTPRequest(self.url + path, body, method=method), timeout=TOXIPROXY_SECONDS):  # noqa: S310  # ours
            pass


@contextmanager
def run_toxiproxy(program: Path, folder: Path) -> Iterator[Toxiproxy]:
    """Run toxiproxy on a free port until the block is left."""
    port = free_port()
    command: list[str | Path] = [program, "-host", "127.0.0.1", "-port", str(port)]
    with serve(command, inherited_environment(), folder, lambda: accepts(port), seconds=TOXIPROXY_SECONDS):
        yield Toxiproxy(f"http://127.0.0.1:{port}")


def on_listing(fault: Fault, times: int | None = None) -> Arrange:
    """Let something go wrong with the listings."""
    return lambda stage: stage.faults.on(is_listing, fault, times=times)


def on_get(fault: Fault, times: int | None = None) -> Arrange:
    """Let something go wrong with the first of the objects."""
    return lambda stage: stage.faults.on(is_get_of(FIRST), fault, times=times)


def again(action: str, reason: str, *, often: str = "2 times") -> str:
    """Return the end of an error whose call was asked again."""
    return f" (asked again {often}: s3:{action} {reason})"


def yesterday() -> dt.datetime:
    """Return a moment at which a certificate has ended."""
    return dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
