"""Own the way to the endpoint, a step at a time: its name, a connection, the certificate, and the clock at its end."""

import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from botocore.awsrequest import AWSRequest
from botocore.httpsession import create_urllib3_context, get_cert_path
from botocore.utils import get_environ_proxies

from cmp_backend_s3.session import Choice
from cmp_backend_s3.transport import Transport
from cmp_core import ConfigError, Settings

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Route:
    """The way that the SDK's requests take.

    Attributes:
        url: Where they go, without a path, user or password.
        first_hop: The host and port that the sidecar itself connects to: the endpoint's, or the proxy's.
        proxy: The proxy's URL and the variable that names it; an empty choice where there is none.
        verify: The CA bundle's path, or True for the SDK's own.
        settings: The operator's time-outs.
    """

    url: str
    first_hop: tuple[str, int]
    proxy: Choice
    verify: str | bool
    settings: Settings

    @property
    def host(self) -> str:
        """The endpoint's host, which the certificate must name."""
        return urlsplit(self.url).hostname or ""

    @property
    def is_tls(self) -> bool:
        """Whether the endpoint speaks TLS."""
        return self.url.startswith("https://")


@dataclass(frozen=True, slots=True)
class Certificate:
    """What the endpoint shows of itself.

    Attributes:
        protocol: The version of TLS.
        issuer: Who signed it.
        begins: When its life begins.
        ends: When its life ends.
    """

    protocol: str
    issuer: str
    begins: datetime
    ends: datetime


def find_route(url: str, *, verify: str | bool, settings: Settings, variables: Sequence[str]) -> Route:
    """Return the way to a URL, by the rules that the SDK goes by.

    Args:
        url: Any URL at the endpoint.
        verify: As in the route.
        settings: As in the route.
        variables: The names of the variables that are set.

    Raises:
        ConfigError: The proxy's URL is none.
    """
    endpoint = urlsplit(url)
    proxy = get_environ_proxies(url).get(endpoint.scheme, "")
    lower = f"{endpoint.scheme}_proxy"
    origin = lower if lower in variables else lower.upper()
    if proxy and "://" not in proxy:
        proxy = f"http://{proxy}"
    try:
        hop = urlsplit(proxy or url)
        first_hop = (hop.hostname or "", hop.port or _PORTS.get(hop.scheme, 80))
    except ValueError:  # its text may quote a part of the password
        first_hop = ("", 0)
    if not first_hop[0]:
        raise ConfigError(f"{origin} is no URL of a proxy: write `http://HOST:PORT`, or unset it") from None
    root = f"{endpoint.scheme}://{endpoint.netloc.rpartition('@')[2]}"
    return Route(root, first_hop, Choice(proxy, origin) if proxy else Choice(""), verify, settings)


def resolve(host: str, port: int, seconds: float) -> list[str]:
    """Return the addresses of a host.

    The system's resolver cannot be interrupted, so a thread asks it that nobody has to wait for.

    Raises:
        OSError: There is none, or no answer in time.
    """
    answers: list[list[str] | OSError] = []

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.append(list(dict.fromkeys(str(entry[4][0]) for entry in found)))
        except OSError as error:
            answers.append(error)

    thread = Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    if not answers:
        raise TimeoutError(f"no answer within {seconds:g} s")
    if isinstance(answers[0], OSError):
        raise answers[0]
    return answers[0]


def open_connection(addresses: Sequence[str], port: int, seconds: float) -> str:
    """Open a connection to the first address that takes one, close it, and return the address.

    Raises:
        OSError: None of them does; the first one's reason.
    """
    errors: list[OSError] = []
    for address in addresses:
        try:
            socket.create_connection((address, port), timeout=seconds).close()
        except OSError as error:
            errors.append(error)
        else:
            return address
    raise errors[0]


def read_certificate(route: Route, address: str) -> Certificate:
    """Shake hands with the endpoint as the SDK does, and return the certificate that it was convinced by.

    Raises:
        OSError: The handshake failed.
    """
    with (
        socket.create_connection((address, route.first_hop[1]), timeout=route.settings.connect_timeout) as plain,
        _tls_context(route).wrap_socket(plain, server_hostname=route.host) as secured,
    ):
        certificate: Any = secured.getpeercert()
        protocol = secured.version() or ""
    issuer = dict(pair for part in certificate.get("issuer", ()) for pair in part)
    return Certificate(
        protocol,
        issuer.get("commonName") or issuer.get("organizationName") or "somebody without a name",
        _read_time(certificate["notBefore"]),
        _read_time(certificate["notAfter"]),
    )


async def measure_skew(route: Route) -> float | None:
    """Ask the endpoint for its time, unsigned, and return by how many seconds it is ahead; None where it tells none.

    Raises:
        BotoCoreError: It could not be asked.
    """
    settings = route.settings
    http = Transport(
        proxies=get_environ_proxies(route.url),
        timeout=(settings.connect_timeout, settings.read_timeout),
        verify=route.verify,
    )
    async with http:
        before = time.time()
        answer = await http.send(AWSRequest("HEAD", f"{route.url}/").prepare())
        between = (before + time.time()) / 2
    told = answer.headers.get("date", "")
    try:
        return parsedate_to_datetime(told).timestamp() + 0.5 - between  # the header leaves out fractions of a second
    except ValueError:
        return None


def _tls_context(route: Route) -> ssl.SSLContext:
    """Return what the SDK makes for itself, since other settings might accept what it refuses."""
    context: ssl.SSLContext = create_urllib3_context()
    context.check_hostname = True
    context.load_verify_locations(get_cert_path(route.verify))
    return context


def _read_time(text: str) -> datetime:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC)
