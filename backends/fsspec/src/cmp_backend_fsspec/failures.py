"""Own the translation of what filesystem libraries and the network report, by type and status, never by text."""

import ssl
from collections.abc import Container, Iterator
from typing import NamedTuple

from cmp_core import CmpError, FetchError, SourceAccessError, SourceNotFoundError, TransientFetchError

CHANGED = 412
"""The status with which a service says that an object is no longer the one that was listed."""


class StatusError(Exception):
    """A service answered with something else than what it was asked for.

    Attributes:
        status: The HTTP status.
    """

    def __init__(self, status: int) -> None:
        """Keep the status."""
        super().__init__(f"status {status}")
        self.status = status


def explain(error: BaseException, place: str) -> CmpError | None:
    """Return what a failure means for whoever reads from `place`, or None where nobody foresaw it.

    Libraries wrap each other's exceptions: the innermost that says something counts.
    """
    for link in _chain(error):
        if isinstance(link, CmpError):
            return link
        if found := _explain_type(link, place) or _explain_status(_status_of(link), place):
            return found
    return None


def _explain_type(error: BaseException, place: str) -> CmpError | None:
    if isinstance(error, ssl.SSLError):
        return FetchError(
            f"{place} could not be reached: TLS failed ({error.reason or type(error).__name__}): name the CA that "
            "signed the certificate in SSL_CERT_FILE, and check that the service speaks https"
        )
    kinds = {f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(error).__mro__}
    row = next((row for row in _TYPES if row.names & kinds), None)
    return row.error_class(f"{place} {row.sentence.format(name=type(error).__name__)}") if row else None


def _explain_status(status: int, place: str) -> CmpError | None:
    row = next((row for row in _STATUSES if status in row.statuses), None)
    return row.error_class(f"{place} {row.sentence.format(status=status)}") if row else None


class _TypeRow(NamedTuple):
    """Exceptions by their package and name, so that no library is loaded which nobody has asked for."""

    names: frozenset[str]
    error_class: type[CmpError]
    sentence: str


class _StatusRow(NamedTuple):
    statuses: Container[int]
    error_class: type[CmpError]
    sentence: str


_TYPES = (
    _TypeRow(
        frozenset(
            {
                "azure.ClientAuthenticationError",
                "gcsfs.NonRetryableError",
                "google.DefaultCredentialsError",
                "google.RefreshError",
            }
        ),
        SourceAccessError,
        "needs an identity, and the sidecar has none that serves ({name}): give it one (workload identity, or the "
        "variables of the library), or read a public place anonymously",
    ),
    _TypeRow(frozenset({"builtins.FileNotFoundError"}), SourceNotFoundError, "does not exist: check `url`"),
    _TypeRow(frozenset({"aiohttp.InvalidURL"}), FetchError, "is no URL that can be asked for ({name}): correct `url`"),
    _TypeRow(
        frozenset({"socket.gaierror", "aiohttp.ClientConnectorDNSError"}),
        TransientFetchError,
        "could not be reached, since its host name is not known: check `url` and the DNS",
    ),
    _TypeRow(
        frozenset({"builtins.TimeoutError", "fsspec.FSTimeoutError", "requests.Timeout"}),
        TransientFetchError,
        "did not answer in time ({name}): check the network, or raise `connectTimeout` and `readTimeout` in the "
        "operator's settings",
    ),
    _TypeRow(
        frozenset(
            {
                "aiohttp.ClientConnectionError",
                "aiohttp.ClientPayloadError",
                "aiohttp.HttpProcessingError",
                "azure.IncompleteReadError",
                "azure.ServiceRequestError",
                "azure.ServiceResponseError",
                "builtins.ConnectionError",
                "builtins.EOFError",
                "google.TransportError",
                "requests.ChunkedEncodingError",
                "requests.ConnectionError",
            }
        ),
        TransientFetchError,
        "could not be reached, or broke off ({name}): check that the service is reachable from the sidecar",
    ),
)
"""What an exception means; the first row that fits counts."""

_STATUSES = (
    _StatusRow(
        {401, 403, 407},
        SourceAccessError,
        "must not be read by the sidecar's identity (status {status}): allow it there, or give the sidecar an "
        "identity that may",
    ),
    _StatusRow({404, 410}, SourceNotFoundError, "does not exist (status {status}): check `url`"),
    _StatusRow({412, 416}, TransientFetchError, "changed while it was read (status {status}): try again"),
    _StatusRow(
        {408, 425, 429},
        TransientFetchError,
        "was throttled (status {status}): read fewer files, or ask again later",
    ),
    _StatusRow({501, 505}, FetchError, "does not know such requests (status {status}): check `url` and its protocol"),
    _StatusRow(range(500, 600), TransientFetchError, "failed on the service's side (status {status}): ask again later"),
    _StatusRow(range(300, 400), FetchError, "leads elsewhere (status {status}): name the place itself in `url`"),
    _StatusRow(range(200, 500), FetchError, "could not be read (status {status}): check `url` and `options`"),
)
"""What a status means; the first row that fits counts."""


def _status_of(error: BaseException) -> int:
    """Return the HTTP status that an exception holds, wherever its library keeps it, or 0."""
    response = getattr(error, "response", None)
    for holder, name in ((error, "status"), (error, "status_code"), (error, "code"), (response, "status_code")):
        value = getattr(holder, name, None)
        number = int(value) if isinstance(value, str) and value.isdecimal() else value
        if isinstance(number, int) and 200 <= number < 600:
            return number
    return 0


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the innermost reason first."""
    seen: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in seen and len(seen) < 10:
        seen.append(link)
        inner = getattr(link, "certificate_error", None) or getattr(link, "os_error", None) or link.__cause__
        link = inner if isinstance(inner, BaseException) else None
    yield from reversed(seen)
