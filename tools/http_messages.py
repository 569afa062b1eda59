"""Own HTTP messages as the fault server reads, changes, makes and forwards them."""

import contextlib
import socket
import time
from dataclasses import dataclass, replace
from http import HTTPStatus
from http.client import HTTPResponse
from io import BufferedReader
from typing import Literal
from urllib.parse import parse_qs, unquote

UPSTREAM_SECONDS = 30

_LONGEST_LINE = 65536
_FRAMING = {"connection", "content-length", "keep-alive", "transfer-encoding"}

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Request:
    """One request that the server has seen.

    Attributes:
        time: When it had arrived whole, in seconds of the monotonic clock.
        connection: The number of the connection that it came over, from 1.
        method: ``GET``; ``CONNECT`` where a proxy is asked for a tunnel.
        path: The target's path as it was sent, still quoted; of CONNECT the host.
        query: The target's query.
        headers: The headers, their names in lower case.
        head: The first line and headers as they came, for the S3 server.
        body: The body as it came, with the frames of a chunked one.
    """

    time: float
    connection: int
    method: str
    path: str
    query: str
    headers: dict[str, str]
    head: bytes
    body: bytes

    @property
    def bucket(self) -> str:
        """The bucket, which is the path's first part."""
        return unquote(self.path).lstrip("/").partition("/")[0]

    @property
    def key(self) -> str:
        """The object's key, or an empty text."""
        return unquote(self.path).lstrip("/").partition("/")[2]

    @property
    def token(self) -> str:
        """The continuation token of a listing, empty on its first page."""
        return parse_qs(self.query).get("continuation-token", [""])[0]

    @property
    def is_listing(self) -> bool:
        """Whether it asks for a page of a listing."""
        return self.method == "GET" and "list-type=2" in self.query

    @property
    def is_get(self) -> bool:
        """Whether it asks for an object's content."""
        return self.method == "GET" and bool(self.key) and not self.is_listing


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer.

    Attributes:
        status: The HTTP status.
        body: The body, not yet in frames.
        headers: All headers but those of the framing; a Content-Length among them is sent as it is, and may lie.
        framing: How the body's end is told: by its length, by chunks, or by the end of the connection.
    """

    status: int = 200
    body: bytes = b""
    headers: Headers = ()
    framing: Literal["length", "chunked", "close"] = "length"

    def header(self, name: str) -> str:
        """Return a header's value, or an empty text."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    def with_header(self, name: str, value: str | None) -> "Answer":
        """Return the answer with this header; without it where the value is None."""
        others = tuple(pair for pair in self.headers if pair[0].lower() != name.lower())
        return replace(self, headers=others if value is None else (*others, (name, value)))

    def with_body(self, body: bytes) -> "Answer":
        """Return the answer with another body."""
        return replace(self, body=body)

    def encode(self, method: str) -> tuple[bytes, bytes]:
        """Return the head and the body as they go onto the wire."""
        headers = list(self.headers)
        is_bare = self.status in {204, 304} or self.status < 200
        if self.framing == "chunked":
            headers.append(("Transfer-Encoding", "chunked"))
        elif self.framing == "close":
            headers.append(("Connection", "close"))
        elif not self.header("Content-Length") and not is_bare and method != "CONNECT":
            headers.append(("Content-Length", str(len(self.body))))
        phrase = HTTPStatus(self.status).phrase if self.status in set(HTTPStatus) else "Unknown"
        lines = [f"HTTP/1.1 {self.status} {phrase}", *(f"{name}: {value}" for name, value in headers), "", ""]
        body = b"" if method == "HEAD" or is_bare else self.body
        if self.framing == "chunked" and body:
            body = b"%x\r\n%b\r\n" % (len(body), body)
        return "\r\n".join(lines).encode("latin-1"), body + (b"0\r\n\r\n" if self.framing == "chunked" else b"")


def error(status: int, code: str, message: str = "", *, extra: str = "", headers: Headers = ()) -> Answer:
    """Return S3's XML for an error code; `extra` stands among its elements."""
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{message}</Message>{extra}<RequestId>1</RequestId></Error>"
    )
    return Answer(status, body.encode(), (("Content-Type", "application/xml"), *headers))


def page(status: int, text: str = "Please log in", *, headers: Headers = ()) -> Answer:
    """Return a web page, as proxies and load balancers send them."""
    body = f"<html><head><title>{text}</title></head><body><p>{text}<br></body></html>"
    return Answer(status, body.encode(), (("Content-Type", "text/html; charset=utf-8"), *headers))


def read_request(reader: BufferedReader, wire: socket.socket, connection: int) -> Request | None:
    """Read one request, or return None where the client has gone."""
    lines = [reader.readline(_LONGEST_LINE)]
    while lines[-1] not in {b"\r\n", b"\n", b""}:
        lines.append(reader.readline(_LONGEST_LINE))
    if not lines[-1] or len(lines) < 2:
        return None
    method, target, version = lines[0].decode("latin-1").split()
    pairs = (line.decode("latin-1").partition(":") for line in lines[1:-1])
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    if target.startswith("http://"):
        target = "/" + target.removeprefix("http://").partition("/")[2]
        lines[0] = f"{method} {target} {version}\r\n".encode("latin-1")
    if headers.get("expect", "").lower() == "100-continue":
        wire.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    path, _, query = target.partition("?")
    body = _read_body(reader, headers)
    return Request(time.monotonic(), connection, method, path, query, headers, b"".join(lines), body)


def _read_body(reader: BufferedReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return reader.read(int(headers.get("content-length", "0")))
    frames: list[bytes] = []
    size = -1
    while size != 0:
        frames.append(reader.readline(_LONGEST_LINE))
        size = int(frames[-1].partition(b";")[0], 16)
        frames.append(reader.read(size + 2))
    return b"".join(frames)


def forward(request: Request, upstream: tuple[str, int]) -> Answer:
    """Ask the S3 server over a connection of its own."""
    if request.method == "CONNECT":
        return page(501, "No tunnels here")
    with socket.create_connection(upstream, timeout=UPSTREAM_SECONDS) as wire:
        wire.sendall(request.head + request.body)
        with contextlib.closing(HTTPResponse(wire, method=request.method)) as response:
            response.begin()
            pairs = tuple(response.getheaders())
            body = response.read()
    # What is said of the length is said anew, unless there is no body to take it from.
    dropped = _FRAMING - ({"content-length"} if request.method == "HEAD" else set())
    return Answer(response.status, body, tuple(pair for pair in pairs if pair[0].lower() not in dropped))
