"""Own what the operator allows: which hosts and buckets of which protocols, and which further options."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field

from cmp_backend_fsspec.address import Address
from cmp_backend_fsspec.protocols import AZURE, PROTOCOLS, WEB, refusal_of
from cmp_backend_fsspec.source import FsspecSource
from cmp_core import BuildEnvironment, PolicyError, StrictModel
from cmp_core.transfer import quote_path

NAME = "fsspec"
"""The backend's name."""

_ALLOWED = re.compile(r"(?P<protocol>[a-z][a-z0-9+.-]*)://(?P<authority>[^/\s?#]+)(?:/(?P<path>[^\s?#]*))?")
_WEB_AUTHORITY = re.compile(r"[a-z0-9*._-]+(?::[1-9][0-9]{0,4})?")
_OPTION = re.compile(r"(?P<protocol>[a-z][a-z0-9+-]*)\.(?P<name>[A-Za-z_][A-Za-z0-9_]*)")
_SECRETS = re.compile(r"(?i)pass|secret|token|key|credential|auth|cookie")
_REACHES = re.compile(r"(?i)url|host|endpoint|proxy|path|file|dir|^fs$|protocol|config|loop|kwargs|session|client")


@dataclass(frozen=True, slots=True)
class Allowance:
    """One entry of what is allowed.

    Attributes:
        protocol: The protocol.
        authority: The host or bucket, with ``*`` for any letters of it.
        path: The folder that everything must lie in, or nothing.
    """

    protocol: str
    authority: str
    path: str

    @property
    def names_host(self) -> bool:
        """Whether it names one web server, so that the operator knows where it lies."""
        return self.protocol in WEB and "*" not in self.authority

    @property
    def host_and_port(self) -> tuple[str, int]:
        """The web server that it names."""
        host, _, port = self.authority.partition(":")
        return host, int(port or {"http": 80}.get(self.protocol, 443))

    def covers(self, address: Address) -> bool:
        """Tell whether it allows a URL."""
        any_letters = "[^.]*" if self.protocol in AZURE else "[^:]*"  # a dot tells an account from a container
        pattern = re.escape(self.authority).replace(r"\*", any_letters)
        if self.protocol != address.protocol or not re.fullmatch(pattern, address.authority):
            return False
        return not self.path or f"{address.path}/".startswith(f"{self.path}/")


def read_allowance(text: str) -> Allowance:
    """Return what one entry of ``allow`` says.

    Raises:
        ValueError: It is none.
    """
    found = _ALLOWED.fullmatch(text)
    if not found:
        raise ValueError(
            f"holds {quote_path(text)}, which allows nothing: write `https://charts.example.com`, "
            "`https://*.example.com/public` or `gs://*`"
        )
    protocol = found["protocol"]
    if reason := refusal_of(protocol):
        raise ValueError(f"holds the protocol `{protocol}`, which {reason}")
    if protocol in WEB and not _WEB_AUTHORITY.fullmatch(found["authority"]):
        raise ValueError(
            f"holds {quote_path(text)}, which names no host: write `HOST` or `HOST:PORT`, in small letters and with "
            "the port in digits"
        )
    authority = found["authority"].removesuffix({"http": ":80", "https": ":443"}.get(protocol, "/"))
    return Allowance(protocol, authority, (found["path"] or "").removesuffix("/"))


def _check_allow(allow: tuple[str, ...]) -> tuple[str, ...]:
    for text in allow:
        read_allowance(text)
    return allow


def _check_options(options: tuple[str, ...]) -> tuple[str, ...]:
    for text in options:
        found = _OPTION.fullmatch(text)
        if not found:
            raise ValueError(f"holds {quote_path(text)}, which names no option: write `PROTOCOL.OPTION`, as `ftp.tls`")
        if found["protocol"] in PROTOCOLS:
            raise ValueError(f"holds {quote_path(text)}: the options of {found['protocol']} are fixed; remove it")
        if _SECRETS.search(found["name"]) or _REACHES.search(found["name"]):
            raise ValueError(
                f"holds {quote_path(text)}, which could carry a secret or lead elsewhere: set it for the sidecar, by "
                f"the variable FSSPEC_{found['protocol'].upper()}_{found['name'].upper()}"
            )
    return options


class FsspecSettings(StrictModel):
    """What authors may read, and how; nothing by default."""

    allow: Annotated[
        tuple[str, ...],
        AfterValidator(_check_allow),
        Field(
            description="What may be read: `PROTOCOL://HOST` or `PROTOCOL://BUCKET`, perhaps with a folder behind it. "
            "A `*` stands for any part of the host or bucket.",
            examples=[["https://charts.example.com", "gs://team-*"]],
        ),
    ] = ()
    options: Annotated[
        tuple[str, ...],
        AfterValidator(_check_options),
        Field(
            description="Options that an author may write for a protocol that this backend has no table for, each as "
            "`PROTOCOL.OPTION`.",
            examples=[["ftp.tls"]],
        ),
    ] = ()

    def allowances(self) -> tuple[Allowance, ...]:
        """Return what is allowed, read."""
        return tuple(map(read_allowance, self.allow))


def read_settings(environment: BuildEnvironment) -> FsspecSettings:
    """Return what the operator has set.

    Raises:
        SettingsError: It is wrong.
    """
    return environment.settings.of(NAME, FsspecSettings)


def check_policy(source: FsspecSource, settings: FsspecSettings) -> tuple[Allowance, ...]:
    """Return what allows the source's URL.

    Raises:
        PolicyError: Nothing does, or one of its options is not allowed.
    """
    address = source.address
    covering = covering_allowances(address, settings.allowances())
    if not covering:
        raise PolicyError(
            f"{source.location} must not be read: the operator's settings do not allow it: add "
            f"`{address.protocol}://{address.authority}` to `backends.{NAME}.allow` (CMP_BACKENDS_FSSPEC_ALLOW)"
        )
    if address.protocol not in PROTOCOLS:
        for name in source.options:
            if f"{address.protocol}.{name}" not in settings.options:
                raise PolicyError(
                    f"{source.location} must not be read with the option {quote_path(name)}: remove it, or let the "
                    f"operator add it to `backends.{NAME}.options` as {quote_path(f'{address.protocol}.{name}')}"
                )
    return covering


def covering_allowances(address: Address, allowances: Iterable[Allowance]) -> tuple[Allowance, ...]:
    """Return those that allow the URL."""
    return tuple(allowance for allowance in allowances if allowance.covers(address))
