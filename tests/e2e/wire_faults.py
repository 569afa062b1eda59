"""Own the rows of the table in which the wire fails: names, connections, TLS, proxies, answers that break off."""

from e2e.fault_stage import (
    FIRST,
    GETTING,
    LISTING,
    PAUSED,
    PAUSED_ONCE,
    STALLED,
    STALLS,
    Arrange,
    Row,
    Stage,
    again,
    on_get,
    on_listing,
    yesterday,
)

from cmp_core import ConfigError, DeadlineExceededError, FetchError, TransientFetchError
from tools.fault_server import Fault, is_any, is_get_of, is_listing, page

REACHABLE = "check that the endpoint is right and reachable from the sidecar"
NETWORK = "at every try: check the network, and ask again later"
PATIENCE = "check the network, or raise `connectTimeout` and `readTimeout` in the operator's settings"
TIMEOUT = "make the source smaller or nearer, or raise `timeout` in the operator's settings (CMP_TIMEOUT) and with it "
TIMEOUT += "Argo CD's own time-out"
NOT_S3 = (
    "was not answered as S3 does: a proxy or web page seems to stand in its place: check the endpoint and HTTPS_PROXY"
)
SECURE = "https://s3.invalid:9000"

NOTHING = Fault(head_bytes=0, then="reset")
HALF_A_HEAD = Fault(head_bytes=30, then="reset")
ONLY_A_HEAD = Fault(body_bytes=0, then="reset")
CUT = Fault(body_bytes=20, then="close")
is_first = is_get_of(FIRST)


def refuse(stage: Stage) -> None:
    """Name a closed port."""
    stage.ask(f"http://127.0.0.1:{stage.closed_port()}")


def refuse_after_listing(stage: Stage) -> None:
    """Close the port behind the first answer."""
    stage.faults.on(is_listing, Fault(then="refuse"), times=1)


def refuse_ipv6(stage: Stage) -> None:
    """Name a closed port by an IPv6 address."""
    stage.ask(f"http://[::1]:{stage.closed_port()}")


def hold(stage: Stage) -> None:
    """Name a port that nobody gets into."""
    stage.ask(f"http://127.0.0.1:{stage.full_port()}")


def demand_login(stage: Stage) -> None:
    """Let everything go through a proxy that wants to know who asks."""
    stage.variables |= {"HTTP_PROXY": stage.faults.url, "HTTPS_PROXY": stage.faults.url}
    stage.faults.on(is_any, Fault(page(407, "Who are you", headers=(("Proxy-Authenticate", "Basic"),))))


def demand_login_in_plain(stage: Stage) -> None:
    """... where the endpoint speaks http."""
    demand_login(stage)
    stage.ask(SECURE.replace("https", "http"))


def demand_login_in_tunnel(stage: Stage) -> None:
    """... where it speaks https, so that a tunnel is asked for."""
    demand_login(stage)
    stage.ask(SECURE)


def forbid_tunnel(stage: Stage) -> None:
    """Ask a proxy that does not let us out."""
    stage.variables["HTTPS_PROXY"] = stage.faults.url
    stage.faults.on(is_any, Fault(page(403, "Not from here")))
    stage.ask(SECURE)


def fail_tunnel(stage: Stage) -> None:
    """Ask a proxy that does not reach the endpoint."""
    stage.variables["HTTPS_PROXY"] = stage.faults.url
    stage.faults.on(is_any, Fault(page(503, "Cannot connect")))
    stage.ask(SECURE)


def lose_proxy(stage: Stage) -> None:
    """Ask a proxy that does not run."""
    stage.variables["HTTPS_PROXY"] = f"http://user:hidden-password@127.0.0.1:{stage.closed_port()}"
    stage.ask(SECURE)


def expect_tls(stage: Stage) -> None:
    """Speak TLS to a port that does not."""
    stage.ask(stage.faults.url.replace("http:", "https:"))


def expect_no_tls(stage: Stage) -> None:
    """Speak no TLS to a port that does."""
    stage.speak_tls("127.0.0.1")
    stage.ask(stage.faults.url.replace("https:", "http:"))


def cut_tls(stage: Stage) -> None:
    """Cut an object that comes over TLS."""
    stage.speak_tls("127.0.0.1")
    stage.faults.on(is_first, Fault(body_bytes=20, then="reset"))


def toxic(kind: str, **attributes: int) -> Arrange:
    """Let toxiproxy do it."""
    return lambda stage: stage.toxic(kind, **attributes)


WIRE = (
    Row(
        "refused",
        "nobody listens on the endpoint's port",
        refuse,
        TransientFetchError,
        f"{LISTING} could not connect (ConnectionRefusedError): {REACHABLE}"
        + again("ListBucket", "ConnectionRefusedError"),
        asked=None,
        seconds=PAUSED,
    ),
    Row(
        "refused-after-the-listing",
        "the port is closed behind the listing",
        refuse_after_listing,
        TransientFetchError,
        f"{GETTING} could not connect (ConnectionRefusedError): {REACHABLE}"
        + again("GetObject", "ConnectionRefusedError"),
        asked=None,
        settings={"CMP_MAX_CONNECTIONS": "1"},
        seconds=PAUSED,
    ),
    Row(
        "refused-ipv6",
        "the endpoint is an IPv6 address where nobody listens",
        refuse_ipv6,
        TransientFetchError,
        f"{LISTING} could not connect (ConnectionRefusedError): {REACHABLE}"
        + again("ListBucket", "ConnectionRefusedError"),
        asked=None,
        seconds=PAUSED,
    ),
    Row(
        "unknown-name",
        "DNS does not know the endpoint",
        lambda stage: stage.ask("http://s3.invalid:9000"),
        TransientFetchError,
        f"{LISTING} could not connect: the endpoint's host name is not known: check the endpoint, the region and the "
        "DNS" + again("ListBucket", "gaierror"),
        asked=None,
        seconds=PAUSED,
    ),
    Row(
        "no-connection",
        "packets to the endpoint vanish: no connection opens",
        hold,
        TransientFetchError,
        f"{LISTING} got no answer in time (ConnectionTimeoutError): {PATIENCE}"
        + again("ListBucket", "ConnectionTimeoutError", often="once"),
        asked=None,
        settings=STALLS,
        seconds=STALLED,
    ),
    Row(
        "black-hole",
        "the connection opens, and nothing ever comes back",
        toxic("timeout", timeout=0),
        TransientFetchError,
        f"{LISTING} got no answer in time (SocketTimeoutError): {PATIENCE}"
        + again("ListBucket", "SocketTimeoutError", often="once"),
        asked=2,
        counts=is_listing,
        settings=STALLS,
        seconds=STALLED,
    ),
    Row(
        "stall-in-a-listing",
        "a listing stops in its middle, and the connection stays",
        on_listing(Fault(body_bytes=100, then="stall")),
        TransientFetchError,
        f"{LISTING} got no answer in time (SocketTimeoutError): {PATIENCE}"
        + again("ListBucket", "SocketTimeoutError", often="once"),
        asked=2,
        counts=is_listing,
        settings=STALLS,
        seconds=STALLED,
    ),
    Row(
        "stall-in-an-object",
        "an object stops in its middle, and the connection stays",
        on_get(Fault(body_bytes=20, then="stall")),
        TransientFetchError,
        f"{GETTING} got no answer in time (SocketTimeoutError): {PATIENCE}"
        + again("GetObject", "SocketTimeoutError", often="once"),
        asked=2,
        counts=is_first,
        settings=STALLS,
        seconds=STALLED,
    ),
    Row(
        "stall-once",
        "one request is never answered, the next one is",
        on_get(Fault(head_bytes=0, then="stall"), times=1),
        text="asked again once: s3:GetObject SocketTimeoutError",
        asked=2,
        counts=is_first,
        settings=STALLS,
        seconds=STALLED,
    ),
    Row(
        "slow-first-byte",
        "the first byte of an object comes shortly before `readTimeout`",
        on_get(Fault(wait=1.2)),
        counts=is_first,
        settings={"CMP_READ_TIMEOUT": "3"},
        seconds=PAUSED_ONCE,
    ),
    Row(
        "latency",
        "every answer is 300 ms late",
        toxic("latency", latency=300),
        counts=is_first,
        seconds=PAUSED,
    ),
    Row(
        "listing-reset-before-the-head",
        "the connection is reset before the head of a listing",
        on_listing(NOTHING),
        TransientFetchError,
        f"{LISTING} broke off (ConnectionResetError) {NETWORK}" + again("ListBucket", "ConnectionResetError"),
        asked=6,
        counts=is_listing,
        seconds=PAUSED,
    ),
    Row(
        "listing-reset-in-the-head",
        "... in its middle",
        on_listing(HALF_A_HEAD),
        TransientFetchError,
        f"{LISTING} broke off (ConnectionResetError) {NETWORK}" + again("ListBucket", "ConnectionResetError"),
        asked=6,
        counts=is_listing,
        seconds=PAUSED,
    ),
    Row(
        "listing-reset-after-the-head",
        "... after it",
        on_listing(ONLY_A_HEAD),
        TransientFetchError,
        f"{LISTING} broke off (ClientPayloadError) {NETWORK}" + again("ListBucket", "ClientPayloadError"),
        asked=3,
        counts=is_listing,
        seconds=PAUSED,
    ),
    Row(
        "object-reset-before-the-head",
        "the connection is reset before the head of an object",
        on_get(NOTHING),
        TransientFetchError,
        f"{GETTING} broke off (ConnectionResetError) {NETWORK}" + again("GetObject", "ConnectionResetError"),
        asked=6,
        counts=is_first,
        seconds=PAUSED,
    ),
    Row(
        "object-reset-in-the-head",
        "... in its middle",
        on_get(HALF_A_HEAD),
        TransientFetchError,
        f"{GETTING} broke off (ConnectionResetError) {NETWORK}" + again("GetObject", "ConnectionResetError"),
        asked=6,
        counts=is_first,
        seconds=PAUSED,
    ),
    Row(
        "object-reset-after-the-head",
        "... after it",
        on_get(ONLY_A_HEAD),
        TransientFetchError,
        f"{GETTING} broke off (ClientPayloadError) {NETWORK}" + again("GetObject", "ClientPayloadError"),
        asked=3,
        counts=is_first,
        seconds=PAUSED,
    ),
    Row(
        "reset-once",
        "one connection is reset, the next one is not",
        on_get(NOTHING, times=1),
        asked=2,
        counts=is_first,
    ),
    Row(
        "reset-by-peer",
        "toxiproxy resets every connection",
        toxic("reset_peer", timeout=0),
        TransientFetchError,
        f"{LISTING} broke off (ConnectionResetError) {NETWORK}" + again("ListBucket", "ConnectionResetError"),
        asked=None,
        seconds=PAUSED,
    ),
    Row(
        "listing-cut",
        "the connection ends in the middle of a listing",
        on_listing(Fault(body_bytes=100, then="close")),
        TransientFetchError,
        f"{LISTING} broke off (ClientPayloadError) {NETWORK}" + again("ListBucket", "ClientPayloadError"),
        asked=3,
        counts=is_listing,
        seconds=PAUSED,
    ),
    Row(
        "listing-cut-by-toxiproxy",
        "every connection ends after 800 bytes",
        toxic("limit_data", bytes=800),
        TransientFetchError,
        f"{LISTING} broke off (ClientPayloadError) {NETWORK}" + again("ListBucket", "ClientPayloadError"),
        asked=3,
        counts=is_listing,
        seconds=PAUSED,
    ),
    Row(
        "object-cut",
        "the connection ends in the middle of an object",
        on_get(CUT),
        TransientFetchError,
        f"{GETTING} broke off (ClientPayloadError) {NETWORK}" + again("GetObject", "ClientPayloadError"),
        asked=3,
        counts=is_first,
        seconds=PAUSED,
    ),
    Row(
        "object-cut-once",
        "... once",
        on_get(CUT, times=1),
        text="asked again once: s3:GetObject ClientPayloadError",
        asked=2,
        counts=is_first,
        seconds=PAUSED_ONCE,
    ),
    Row(
        "object-cut-in-tls",
        "... of a connection with TLS",
        cut_tls,
        TransientFetchError,
        f"{GETTING} broke off (ClientPayloadError) {NETWORK}" + again("GetObject", "ClientPayloadError"),
        asked=3,
        counts=is_first,
        seconds=PAUSED,
    ),
    Row(
        "trickle",
        "an object trickles so slowly that it takes longer than `timeout`, yet never stops",
        on_get(Fault(rate=2)),
        DeadlineExceededError,
        f"stopped after 10 s while fetching s3://test-bucket/apps/demo: {TIMEOUT}",
        counts=is_first,
        settings={"CMP_TIMEOUT": "10"},
        seconds=10 + 1,
    ),
    Row("bandwidth", "everything trickles at 1 kB/s", toxic("bandwidth", rate=1), counts=is_first, seconds=15),
    Row(
        "slicer",
        "answers come in pieces of ten bytes",
        toxic("slicer", average_size=10, size_variation=5, delay=100),
        counts=is_first,
        seconds=PAUSED_ONCE,
    ),
    Row(
        "slow-close",
        "connections are closed late",
        toxic("slow_close", delay=1000),
        counts=is_first,
    ),
    Row(
        "closed-when-used-again",
        "connections that were promised to stay are closed behind every answer",
        lambda stage: stage.faults.on(is_any, Fault(then="close")),
        counts=is_first,
    ),
    Row(
        "reset-when-used-again",
        "... or reset",
        lambda stage: stage.faults.on(is_any, Fault(then="reset")),
        counts=is_first,
    ),
    Row(
        "proxy-demands-credentials",
        "the proxy demands a user and password",
        demand_login_in_plain,
        ConfigError,
        f"{LISTING} could not connect through the proxy, which demands a user and password (407): write them into "
        "HTTPS_PROXY or HTTP_PROXY, or name the endpoint in NO_PROXY",
    ),
    Row(
        "proxy-demands-credentials-for-a-tunnel",
        "... for a tunnel to an endpoint that speaks https",
        demand_login_in_tunnel,
        ConfigError,
        f"{LISTING} could not connect through the proxy, which demands a user and password (407): write them into "
        "HTTPS_PROXY or HTTP_PROXY, or name the endpoint in NO_PROXY",
    ),
    Row(
        "proxy-forbids",
        "the proxy does not let the sidecar reach the endpoint",
        forbid_tunnel,
        FetchError,
        f"{LISTING} could not connect through the proxy, which refused (403): let it allow the endpoint, or name the "
        "endpoint in NO_PROXY",
    ),
    Row(
        "proxy-fails",
        "the proxy does not reach the endpoint itself",
        fail_tunnel,
        TransientFetchError,
        f"{LISTING} could not connect through the proxy: check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"
        + again("ListBucket", "ClientHttpProxyError"),
        asked=3,
        seconds=PAUSED,
    ),
    Row(
        "proxy-refused",
        "the proxy does not run",
        lose_proxy,
        TransientFetchError,
        f"{LISTING} could not connect through the proxy: check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"
        + again("ListBucket", "ConnectionRefusedError"),
        asked=None,
        seconds=PAUSED,
    ),
    Row(
        "tls-wrong-name",
        "the certificate names another host",
        lambda stage: stage.speak_tls("s3.example.com"),
        FetchError,
        f"{LISTING} could not connect: TLS failed (IP address mismatch, certificate is not valid for '127.0.0.1'): "
        "name the endpoint by a name that its certificate holds",
        asked=0,
    ),
    Row(
        "tls-expired",
        "the certificate has expired",
        lambda stage: stage.speak_tls("127.0.0.1", not_after=yesterday()),
        FetchError,
        f"{LISTING} could not connect: TLS failed (certificate has expired): renew the endpoint's certificate, and "
        "check the node's clock",
        asked=0,
    ),
    Row(
        "tls-unknown-authority",
        "nobody whom the sidecar trusts has signed the certificate",
        lambda stage: stage.speak_tls("127.0.0.1", trusts=False),
        FetchError,
        f"{LISTING} could not connect: TLS failed (unable to get local issuer certificate): name the CA that signed "
        "the endpoint's certificate in AWS_CA_BUNDLE",
        asked=0,
    ),
    Row(
        "tls-trusted",
        "a private authority has signed it, and AWS_CA_BUNDLE names that",
        lambda stage: stage.speak_tls("127.0.0.1"),
        counts=is_first,
    ),
    Row(
        "tls-to-a-plain-port",
        "the endpoint is named with https, and speaks http",
        expect_tls,
        FetchError,
        f"{LISTING} could not connect: TLS failed (WRONG_VERSION_NUMBER): check that the endpoint speaks https on this "
        "port",
        asked=0,
    ),
    Row(
        "plain-to-a-tls-port",
        "the endpoint is named with http, and speaks https",
        expect_no_tls,
        FetchError,
        f"{LISTING} {NOT_S3}",
        asked=0,
    ),
)
