"""The fault server forwards untouched what no rule concerns, and does on the wire exactly what a rule says."""

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import trustme

from tools.fault_server import Answer, Fault, FaultServer, error, is_any, is_get, is_get_of, is_listing, page

LIST = "/bucket?list-type=2&prefix=apps%2Fdemo%2F"


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was sent: the request line, the headers and the body."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Be quiet."""

    def do_GET(self) -> None:
        """Echo."""
        said = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = f"{self.requestline}\n{self.headers}".encode() + said
        self.send_response(200)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_PUT = do_GET  # noqa: N815  # the names that http.server calls


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    """The address of a server that echoes."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def faults(upstream: str) -> Iterator[FaultServer]:
    """A fault server in front of it."""
    with FaultServer(upstream) as server:
        yield server


@pytest.fixture
def client(faults: FaultServer) -> Iterator[http.client.HTTPConnection]:
    """A connection to the fault server, which is kept between requests."""
    connection = http.client.HTTPConnection("127.0.0.1", faults.port, timeout=5)
    yield connection
    connection.close()


def ask(client: http.client.HTTPConnection, target: str = "/bucket/key", **options: Any) -> tuple[int, bytes]:
    """Return the status and body of an answer."""
    client.request(options.pop("method", "GET"), target, **options)
    response = client.getresponse()
    return response.status, response.read()


def read_wire(faults: FaultServer, target: str = "/bucket/key") -> tuple[bytes, str]:
    """Return every byte that one GET brings over a bare socket, and how the connection ended."""
    with socket.create_connection(("127.0.0.1", faults.port), timeout=0.5) as wire:
        wire.sendall(f"GET {target} HTTP/1.1\r\nHost: s3\r\n\r\n".encode())
        received = b""
        try:
            while piece := wire.recv(65536):
                received += piece
        except ConnectionResetError:
            return received, "reset"
        except TimeoutError:
            return received, "open"
        return received, "closed"


def test_a_request_goes_through_untouched(faults: FaultServer, client: http.client.HTTPConnection) -> None:
    """The target, the client's own Host, every header and the body arrive as they were sent, so signatures hold."""
    target = "/bucket/a%2Fb%20c?x-id=GetObject&q=%2B"

    status, body = ask(client, target, method="PUT", body=b"content", headers={"X-Odd": "a  b", "Host": "s3.test"})

    assert status == 200
    assert body.startswith(f"PUT {target} HTTP/1.1\n".encode())
    assert b"\nHost: s3.test\n" in body
    assert b"\nX-Odd: a  b\n" in body
    assert body.endswith(b"\n\ncontent")
    assert [seen.method for seen in faults.requests] == ["PUT"]


def test_a_connection_is_kept_between_requests(faults: FaultServer, client: http.client.HTTPConnection) -> None:
    """Ten requests of one client are ten requests over one connection."""
    for _ in range(10):
        assert ask(client)[0] == 200

    assert faults.connections == 1
    assert [seen.connection for seen in faults.requests] == [1] * 10


def test_requests_are_told_apart(faults: FaultServer, client: http.client.HTTPConnection) -> None:
    """A listing, its next page, and an object with an odd key are recognised, each with its time."""
    begin = time.monotonic()

    for target in (LIST, LIST + "&continuation-token=t%2B1", "/bucket/apps/a%20b%2Bc", "/bucket"):
        ask(client, target)

    first, second, third, fourth = faults.requests
    assert (first.is_listing, first.is_get, first.token, first.bucket) == (True, False, "", "bucket")
    assert (second.is_listing, second.token) == (True, "t+1")
    assert (third.is_listing, third.is_get, third.key) == (False, True, "apps/a b+c")
    assert (fourth.is_listing, fourth.is_get) == (False, False)
    assert begin <= first.time <= second.time <= third.time <= fourth.time <= time.monotonic()


def test_a_rule_counts_what_it_matches(faults: FaultServer, client: http.client.HTTPConnection) -> None:
    """`skip` and `times` count the requests that match, and no others."""
    faults.on(is_get_of("a"), Fault(error(503, "SlowDown")), skip=1, times=2)

    seen = [ask(client, f"/bucket/{key}")[0] for key in ("a", "b", "a", "b", "a", "a")]

    assert seen == [200, 200, 503, 200, 503, 200]


def test_the_script_goes_before_the_rules(faults: FaultServer, client: http.client.HTTPConnection) -> None:
    """What the script leaves alone is the rules' own."""
    faults.on(is_any, Fault(Answer(500)))
    faults.script = lambda request: Fault(Answer(404)) if request.is_listing else None

    assert (ask(client, LIST)[0], ask(client)[0]) == (404, 500)
    faults.reset()
    assert (ask(client, LIST)[0], ask(client)[0]) == (200, 200)


def test_an_error_is_written_as_s3_writes_it(faults: FaultServer, client: http.client.HTTPConnection) -> None:
    """Status, code, message, further elements and headers are those that were asked for."""
    answer = error(301, "PermanentRedirect", "no", extra="<Region>x</Region>", headers=(("x-amz-bucket-region", "x"),))
    faults.on(is_any, Fault(answer))

    client.request("GET", "/bucket")
    response = client.getresponse()

    assert (response.status, response.headers["x-amz-bucket-region"]) == (301, "x")
    assert response.headers["Content-Type"] == "application/xml"
    assert b"<Code>PermanentRedirect</Code><Message>no</Message><Region>x</Region>" in response.read()


def test_an_answer_of_the_s3_server_can_be_changed(faults: FaultServer, client: http.client.HTTPConnection) -> None:
    """Body and headers change, and the length is that of the new body."""
    faults.on(is_get, Fault(lambda answer: answer.with_body(b"other").with_header("ETag", '"2"')))

    client.request("GET", "/bucket/key")
    response = client.getresponse()

    assert (response.headers["ETag"], response.headers["Content-Length"]) == ('"2"', "5")
    assert response.read() == b"other"


def test_a_length_can_lie(faults: FaultServer) -> None:
    """A Content-Length that was asked for is sent, whatever the body's own is."""
    faults.on(is_any, Fault(Answer(200, b"12345", (("Content-Length", "9"),)), then="close"))

    assert read_wire(faults) == (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n12345", "closed")


@pytest.mark.parametrize(
    ("framing", "wire", "end"),
    [
        ("chunked", b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n", "open"),
        ("close", b"Connection: close\r\n\r\n12345", "closed"),
    ],
)
def test_a_body_can_go_without_a_length(faults: FaultServer, framing: Any, wire: bytes, end: str) -> None:
    """Its end is told by a last chunk, or by the end of the connection."""
    faults.on(is_any, Fault(Answer(200, b"12345", framing=framing)))

    received, ended = read_wire(faults)

    assert received == b"HTTP/1.1 200 OK\r\n" + wire
    assert ended == end


@pytest.mark.parametrize("status", [204, 304])
def test_what_has_no_body_is_sent_without_one(
    faults: FaultServer, client: http.client.HTTPConnection, status: int
) -> None:
    """The connection goes on behind it."""
    faults.on(is_any, Fault(Answer(status, b"never sent")), times=1)

    assert ask(client) == (status, b"")
    assert ask(client)[0] == 200


def test_head_tells_the_length_without_a_body(faults: FaultServer, client: http.client.HTTPConnection) -> None:
    """What the S3 server says of a length that it does not send is passed on."""
    client.request("HEAD", "/bucket/key")
    response = client.getresponse()

    assert int(response.headers["Content-Length"]) > 0
    assert response.read() == b""
    assert ask(client)[0] == 200


@pytest.mark.parametrize(
    ("fault", "received", "end"),
    [
        (Fault(head_bytes=0, then="reset"), 0, "reset"),
        (Fault(head_bytes=0, then="close"), 0, "closed"),
        (Fault(head_bytes=0, then="stall"), 0, "open"),
        (Fault(Answer(200, b"12345"), head_bytes=10, then="reset"), 10, "reset"),
        (Fault(Answer(200, b"12345"), body_bytes=0, then="reset"), 38, "reset"),
        (Fault(Answer(200, b"12345"), body_bytes=3, then="close"), 41, "closed"),
        (Fault(Answer(200, b"12345"), body_bytes=3, then="stall"), 41, "open"),
        (Fault(Answer(200, b"12345")), 43, "open"),
    ],
)
def test_an_answer_can_end_anywhere(faults: FaultServer, fault: Fault, received: int, end: str) -> None:
    """Before the head, in it, after it and in the body; by a reset, a farewell, or silence."""
    faults.on(is_any, fault)

    wire, ended = read_wire(faults)

    assert len(wire) == received
    assert ended == end


def test_an_answer_can_trickle(faults: FaultServer, client: http.client.HTTPConnection) -> None:
    """The body takes its size divided by the rate, and arrives whole."""
    faults.on(is_any, Fault(Answer(200, b"x" * 400), rate=1000))
    begin = time.monotonic()

    status, body = ask(client)

    assert (status, len(body)) == (200, 400)
    assert 0.35 <= time.monotonic() - begin < 3


def test_an_answer_can_wait(faults: FaultServer, client: http.client.HTTPConnection) -> None:
    """The first byte comes after the wait."""
    faults.on(is_any, Fault(wait=0.3))
    begin = time.monotonic()

    assert ask(client)[0] == 200
    assert 0.3 <= time.monotonic() - begin < 3


def test_something_can_happen_meanwhile(faults: FaultServer, client: http.client.HTTPConnection) -> None:
    """`act` is called before the S3 server is asked, and `during` when half of the body is on its way."""
    happened: list[str] = []

    def change(answer: Answer) -> Answer:
        happened.append("answered")
        return answer.with_body(b"1234")

    faults.on(is_any, Fault(change, act=lambda: happened.append("act"), during=lambda: happened.append("during")))

    assert ask(client) == (200, b"1234")
    assert happened == ["act", "answered", "during"]


def test_connections_can_be_refused_for_a_while(faults: FaultServer) -> None:
    """The port is closed after an answer that says so, and opens again as the same one."""
    faults.on(is_any, Fault(Answer(200), then="refuse"), times=1)
    port = faults.port

    assert read_wire(faults)[1] == "closed"
    with pytest.raises(ConnectionRefusedError):
        read_wire(faults)
    faults.accept()

    assert faults.port == port
    assert read_wire(faults)[0].startswith(b"HTTP/1.1 200 OK")


def test_a_web_page_is_one(faults: FaultServer, client: http.client.HTTPConnection) -> None:
    """A page of a proxy says that it is HTML, and is no XML."""
    faults.on(is_any, Fault(page(503, "Busy")))

    status, body = ask(client)

    assert status == 503
    assert b"<title>Busy</title>" in body
    assert b"</br>" not in body


def test_it_speaks_tls(upstream: str) -> None:
    """With a server's context it is an HTTPS server; a client that does not trust it ends only its own connection."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    with FaultServer(upstream, tls=server) as faults:
        assert faults.url == f"https://127.0.0.1:{faults.port}"
        with (
            pytest.raises(ssl.SSLCertVerificationError),
            socket.create_connection(("127.0.0.1", faults.port), timeout=5) as wire,
        ):
            ssl.create_default_context().wrap_socket(wire, server_hostname="127.0.0.1")
        client = http.client.HTTPSConnection("127.0.0.1", faults.port, context=trusting, timeout=5)

        assert ask(client)[0] == 200
        client.close()


def test_the_wrong_protocol_is_refused_in_plain_text(upstream: str, faults: FaultServer) -> None:
    """TLS to the plain port and plain HTTP to the TLS port get an answer as other servers give it."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(server)

    with (
        socket.create_connection(("127.0.0.1", faults.port), timeout=5) as wire,
        pytest.raises(ssl.SSLError, match=r"WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE"),
    ):
        ssl.create_default_context().wrap_socket(wire, server_hostname="127.0.0.1")
    with FaultServer(upstream, tls=server) as secure:
        received, ended = read_wire(secure)

    assert received.startswith(b"HTTP/1.1 400 Bad Request")
    assert ended == "closed"


def test_it_serves_as_a_proxy(faults: FaultServer) -> None:
    """A request for a whole URL goes to the S3 server with the URL's host; a tunnel is refused as the rule says."""
    client = http.client.HTTPConnection("127.0.0.1", faults.port, timeout=5)

    status, body = ask(client, "http://s3.invalid:9000/bucket/key?x=1", headers={"Host": "s3.invalid:9000"})
    faults.on(lambda request: request.method == "CONNECT", Fault(Answer(407)))
    client.request("CONNECT", "s3.invalid:443")

    assert (status, body.splitlines()[0]) == (200, b"GET /bucket/key?x=1 HTTP/1.1")
    assert b"Host: s3.invalid:9000" in body.splitlines()
    assert client.getresponse().status == 407
    client.close()


def test_an_interim_answer_lets_the_body_come(faults: FaultServer) -> None:
    """A client that waits for `100 Continue` gets it."""
    with socket.create_connection(("127.0.0.1", faults.port), timeout=5) as wire:
        wire.sendall(b"PUT /b/k HTTP/1.1\r\nHost: s3\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        interim = wire.recv(1024)
        wire.sendall(b"ab")

        assert interim == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert wire.recv(1024).startswith(b"HTTP/1.1 200 OK")
    assert faults.requests[-1].body == b"ab"


def test_closing_lets_go_of_everything(upstream: str) -> None:
    """Connections that stall, trickle or wait end at once, and no thread stays."""
    before = set(threading.enumerate())
    faults = FaultServer(upstream)
    faults.on(is_listing, Fault(head_bytes=0, then="stall"))
    faults.on(is_get_of("slow"), Fault(Answer(200, b"x" * 1000), rate=10))
    faults.on(is_get_of("late"), Fault(wait=60))
    wires = []
    for target in (LIST, "/bucket/slow", "/bucket/late"):
        wires.append(socket.create_connection(("127.0.0.1", faults.port), timeout=5))
        wires[-1].sendall(f"GET {target} HTTP/1.1\r\nHost: s3\r\n\r\n".encode())
    while len(faults.requests) < 3:
        time.sleep(0.01)
    begin = time.monotonic()

    faults.close()
    seconds = time.monotonic() - begin
    while (left := set(threading.enumerate()) - before) and time.monotonic() - begin < 20:
        time.sleep(0.01)
    for wire in wires:
        wire.close()

    assert seconds < 3
    assert left == set()


def test_it_remembers_no_more_than_it_is_told_to(upstream: str) -> None:
    """A soak of any length needs bounded memory."""
    with FaultServer(upstream, remembered=3) as faults:
        client = http.client.HTTPConnection("127.0.0.1", faults.port, timeout=5)
        for number in range(5):
            ask(client, f"/bucket/{number}")

        assert [seen.key for seen in faults.requests] == ["2", "3", "4"]
        client.close()
