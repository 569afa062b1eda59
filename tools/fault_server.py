"""Own a server that stands before an S3 server and fails where it is told to: in what it answers, and on the wire.

What no rule concerns goes to the S3 server and back untouched, with the client's own Host, so that signatures hold.
Asked as an HTTP proxy it serves whatever host is named.
"""

import contextlib
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urlsplit

from tools.http_messages import UPSTREAM_SECONDS, Answer, Request, error, forward, page, read_request

__all__ = [
    "UNTOUCHED",
    "Answer",
    "Fault",
    "FaultServer",
    "Request",
    "error",
    "is_any",
    "is_get",
    "is_get_of",
    "is_listing",
    "page",
]

_TICK = 0.05  # seconds between two pieces of a slow answer
_TLS_BEGINS = b"\x16"  # the first byte of a handshake


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one answer.

    Attributes:
        answer: What is answered in place of the S3 server, or a function that changes what that has answered.
        act: Called when the request has arrived, before anything is answered: something that happens meanwhile.
        wait: Seconds before the first byte.
        head_bytes: How many bytes of the head are sent, and nothing after them; all where None.
        body_bytes: How many bytes of the body are sent; all where None.
        rate: Bytes of the body in a second; as fast as it goes where None.
        during: Called when half of the body has been sent.
        then: What becomes of the connection: kept for the next request, closed, reset, or held without a word until
            the client goes away. `refuse` closes it and accepts no other.
    """

    answer: Answer | Callable[[Answer], Answer] | None = None
    act: Callable[[], None] | None = None
    wait: float = 0.0
    head_bytes: int | None = None
    body_bytes: int | None = None
    rate: float | None = None
    during: Callable[[], None] | None = None
    then: Literal["keep", "close", "reset", "stall", "refuse"] = "keep"


UNTOUCHED = Fault()

Matches = Callable[[Request], bool]
Script = Callable[[Request], Fault | None]


def is_listing(request: Request) -> bool:
    """Match every page of a listing."""
    return request.is_listing


def is_get(request: Request) -> bool:
    """Match every request for an object's content."""
    return request.is_get


def is_get_of(key: str) -> Matches:
    """Match the requests for the content of one object."""
    return lambda request: request.is_get and request.key == key


def is_any(_: Request) -> bool:
    """Match every request."""
    return True


@dataclass(slots=True)
class _Rule:
    matches: Matches
    fault: Fault
    skip: int
    times: int | None
    seen: int = 0

    def concerns(self, request: Request) -> bool:
        if not self.matches(request):
            return False
        self.seen += 1
        return self.seen > self.skip and (self.times is None or self.seen <= self.skip + self.times)


class FaultServer:
    """A real HTTP server, or one of HTTPS, on a free port of the loopback interface; a thread for each connection.

    Attributes:
        script: Says for each request what goes wrong, before the rules are asked; None leaves it to them.
        requests: The requests that it has seen, the youngest last.
        connections: How many connections it has accepted.
    """

    def __init__(
        self, upstream: str, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", remembered: int = 100_000
    ) -> None:
        """Listen, and forward to the S3 server at `upstream`, ``http://HOST:PORT``, what no fault concerns."""
        self.script: Script = lambda _: None
        self.requests: deque[Request] = deque(maxlen=remembered)
        self.connections = 0
        self._upstream = (urlsplit(upstream).hostname or "", urlsplit(upstream).port or 80)
        self._tls = tls
        self._rules: list[_Rule] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._open: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        self._address = (host, 0)
        self._listener: socket.socket | None = None
        self.accept()

    def __enter__(self) -> Self:
        """Return the running server."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.close()

    @property
    def url(self) -> str:
        """The server's address."""
        host = f"[{self._address[0]}]" if ":" in self._address[0] else self._address[0]
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    @property
    def port(self) -> int:
        """The server's port, which stays the same when it refuses for a while."""
        return self._address[1]

    def on(self, matches: Matches, fault: Fault, *, times: int | None = None, skip: int = 0) -> None:
        """Let something go wrong with the requests that match: with `times` of them, after the first `skip`."""
        with self._lock:
            self._rules.append(_Rule(matches, fault, skip, times))

    def reset(self) -> None:
        """Forget every rule, the script and what was seen; the next connection is the first."""
        with self._lock:
            self._rules.clear()
            self.script = lambda _: None
            self.requests.clear()
            self.connections = 0

    def refuse(self) -> None:
        """Accept no more connections: the port is closed, until `accept` opens it again."""
        listener, self._listener = self._listener, None
        if listener:
            _abandon(listener)

    def accept(self) -> None:
        """Accept connections on the port."""
        if self._listener:
            return
        self._listener = socket.create_server(
            self._address, family=socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET, backlog=128
        )
        self._address = self._listener.getsockname()[:2]
        self._start(self._accept_from, self._listener)

    def close(self) -> None:
        """Stop, and let everything go that stalls."""
        self._over.set()
        self.refuse()
        with self._lock:
            connections, threads = list(self._open), list(self._threads)
        for connection in connections:
            _abandon(connection)
        for thread in threads:
            thread.join(UPSTREAM_SECONDS)

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        def run() -> None:
            try:
                target(*arguments)
            finally:
                with self._lock:
                    self._threads.discard(threading.current_thread())

        thread = threading.Thread(target=run, daemon=True)
        with self._lock:
            thread.start()
            self._threads.add(thread)

    def _accept_from(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(client)
                self.connections += 1
                number = self.connections
            if self._over.is_set():
                _abandon(client)
            self._start(self._serve, client, number)

    def _serve(self, client: socket.socket, number: int) -> None:
        """Answer one request after the other; whatever the client does to its connection ends only that."""
        wire = client
        try:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if (client.recv(1, socket.MSG_PEEK) == _TLS_BEGINS) != bool(self._tls):
                _refuse_protocol(client)
                return
            if self._tls:
                wire = self._tls.wrap_socket(client, server_side=True)
                with self._lock:
                    self._open.add(wire)
            with wire.makefile("rb") as reader:
                while (request := read_request(reader, wire, number)) and self._answer(wire, request):
                    pass
        except (OSError, HTTPException):
            return
        finally:
            with self._lock:
                self._open -= {client, wire}
            wire.close()

    def _answer(self, wire: socket.socket, request: Request) -> bool:
        """Answer one request, and tell whether the connection goes on."""
        fault = self._judge(request)
        if fault.act:
            fault.act()
        answer = self._compose(request, fault)
        if self._over.wait(fault.wait):
            return False
        head, body = answer.encode(request.method)
        if fault.head_bytes is not None:
            wire.sendall(head[: fault.head_bytes])
        else:
            self._send(wire, head, body[: fault.body_bytes], fault)
        return self._conclude(wire, fault) and answer.framing != "close"

    def _judge(self, request: Request) -> Fault:
        with self._lock:
            self.requests.append(request)
            if fault := self.script(request):
                return fault
            return next((rule.fault for rule in self._rules if rule.concerns(request)), UNTOUCHED)

    def _compose(self, request: Request, fault: Fault) -> Answer:
        if isinstance(fault.answer, Answer):
            return fault.answer
        if fault.head_bytes == 0:
            return Answer()
        answer = forward(request, self._upstream)
        return fault.answer(answer) if fault.answer else answer

    def _send(self, wire: socket.socket, head: bytes, body: bytes, fault: Fault) -> None:
        """Send an answer, in one piece where nothing happens in between."""
        if not fault.rate and not fault.during:
            wire.sendall(head + body)
            return
        half = len(body) // 2 if fault.during else 0
        wire.sendall(head)
        self._send_slowly(wire, body[:half], fault.rate)
        if fault.during:
            fault.during()
        self._send_slowly(wire, body[half:], fault.rate)

    def _send_slowly(self, wire: socket.socket, content: bytes, rate: float | None) -> None:
        piece = max(1, int(rate * _TICK)) if rate else len(content) or 1
        for begin in range(0, len(content), piece):
            wire.sendall(content[begin : begin + piece])
            if rate and self._over.wait(piece / rate):
                return

    def _conclude(self, wire: socket.socket, fault: Fault) -> bool:
        if fault.then == "keep":
            return True
        if fault.then == "refuse":
            self.refuse()
        if fault.then == "reset":
            # No lingering: the kernel says RST instead of FIN.
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif fault.then == "stall":
            while wire.recv(4096):
                pass
        return False


def _refuse_protocol(wire: socket.socket) -> None:
    """Answer as other servers do when TLS comes to a plain port, or the reverse."""
    wire.recv(65536)
    head, body = page(400, "This port speaks another protocol").encode("GET")
    wire.sendall(head + body)


def _abandon(wire: socket.socket) -> None:
    """End whatever waits on a socket, in whichever thread."""
    with contextlib.suppress(OSError):
        wire.shutdown(socket.SHUT_RDWR)
    wire.close()
