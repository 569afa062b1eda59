"""Own the reading of a URL: one meaning for each, and a refusal for whatever two readers could take differently."""

import re
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from urllib.parse import unquote

from cmp_backend_fsspec.protocols import AZURE, WEB, refusal_of
from cmp_core import IntegrityError
from cmp_core.transfer import check_path

_URL = re.compile(r"(?P<protocol>[a-z][a-z0-9+.-]*)://(?P<authority>[^/]*)(?:/(?P<path>.*))?", re.DOTALL)
_HOST = re.compile(r"(?=.{1,253}(?::|\Z))[a-z0-9](?:[a-z0-9_-]*)(?:\.[a-z0-9][a-z0-9_-]*)*(?::[1-9][0-9]{0,4})?")
_NAME = re.compile(r"[A-Za-z0-9$][A-Za-z0-9._$-]*(?::[1-9][0-9]{0,4})?")
_AZURE = re.compile(
    r"(?P<container>[a-z0-9$][a-z0-9-]*)(?:@(?P<account>[a-z0-9]{3,24})(?:\.(?:dfs|blob)\.core\.windows\.net)?)?"
    r"|(?P<host>[a-z0-9]{3,24})\.(?:dfs|blob)\.core\.windows\.net"
)
_AZURE_HOST = ".blob.core.windows.net"
_GITHUB = re.compile(
    r"(?P<organisation>[A-Za-z0-9][A-Za-z0-9-]*):(?P<repository>[A-Za-z0-9._-]+)@(?P<reference>[A-Za-z0-9][A-Za-z0-9._-]*)"
)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_MOST_BYTES = 2048
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}

_AUTHORITIES = {
    "abfs": (_AZURE, "CONTAINER"),
    "abfss": (_AZURE, "CONTAINER"),
    "az": (_AZURE, "CONTAINER"),
    "github": (_GITHUB, "ORGANISATION:REPOSITORY@BRANCH"),
    "http": (_HOST, "HOST or HOST:PORT, in small letters"),
    "https": (_HOST, "HOST or HOST:PORT, in small letters"),
}
"""What stands between `://` and the path, where it is not just a name."""


@dataclass(frozen=True, slots=True)
class Address:
    """A URL in its parts, as the operator's settings and messages name them.

    Attributes:
        protocol: What stands before ``://``.
        authority: The host, bucket, container or organisation; the host of a storage account of Azure that is named.
        path: What stands behind it, without the first slash; it begins with the container in a named account of
            Azure, and with the repository at GitHub.
        reference: The branch, tag or commit at GitHub.
    """

    protocol: str
    authority: str
    path: str
    reference: str = ""

    def __str__(self) -> str:
        """Return the URL; nothing in it looks like a user or a password."""
        if not self.reference:
            return f"{self.protocol}://{self.authority}/{self.path}"
        repository, slash, path = self.path.partition("/")
        return f"{self.protocol}://{self.authority}/{repository}@{self.reference}{slash}{path}"

    @property
    def account(self) -> str:
        """The storage account of Azure that is named, or nothing."""
        return self.authority.removesuffix(_AZURE_HOST) if self.authority.endswith(_AZURE_HOST) else ""

    @property
    def blob_path(self) -> str:
        """The container of Azure, and the path in it."""
        return self.path if self.account else f"{self.authority}/{self.path}"

    def in_account(self, account: str) -> "Address":
        """Return the same place in a storage account of Azure.

        Raises:
            ValueError: The URL names another one.
        """
        if self.account and self.account != account:
            raise ValueError("names another storage account than `url`: remove one of them")
        return replace(self, authority=f"{account}{_AZURE_HOST}", path=self.blob_path)


def read_url(url: str) -> Address:
    """Take a URL apart.

    Raises:
        ValueError: It is none that is read here; the text goes on where the key's name ends, and does not repeat the
            URL, which may hold a secret.
    """
    if "::" in url:
        raise ValueError("holds `::`: URLs cannot be chained; write one, and let a `tarball` source unpack an archive")
    if len(url.encode("utf-8", "surrogatepass")) > _MOST_BYTES:
        raise ValueError(f"is longer than {_MOST_BYTES} bytes: shorten it")
    if not url.isprintable() or " " in url or "\\" in url:
        raise ValueError("holds a space, a backslash or a control character: remove it")
    found = _URL.fullmatch(url)
    if not found:
        raise ValueError("is no URL: write it as `PROTOCOL://…`, with the protocol in small letters")
    protocol, authority, path = found["protocol"], found["authority"], found["path"] or ""
    if reason := refusal_of(protocol):
        raise ValueError(f"names the protocol `{protocol}`, which {reason}")
    if "?" in url or "#" in url:
        raise ValueError("holds a query or a fragment: remove it, and sign nothing; the sidecar has its own identity")
    _check_authority(protocol, authority)
    _check_path(protocol, path)
    if found := _AZURE.fullmatch(authority) if protocol in AZURE else None:
        address = Address(protocol, found["container"] or "", path)
        if found["host"]:
            return Address(protocol, f"{found['host']}{_AZURE_HOST}", path)
        return address.in_account(found["account"]) if found["account"] else address
    if found := _GITHUB.fullmatch(authority) if protocol == "github" else None:
        whole = f"{found['repository']}/{path}" if path else found["repository"]
        return Address(protocol, found["organisation"], whole, found["reference"])
    return Address(protocol, authority.removesuffix(_DEFAULT_PORTS.get(protocol, ":")), path)


def _check_authority(protocol: str, authority: str) -> None:
    form, written = _AUTHORITIES.get(protocol, (_NAME, "NAME"))
    if form.fullmatch(authority):
        if form is _HOST and _NUMBER.fullmatch(authority.partition(":")[0].rpartition(".")[2]):
            _check_number(authority.partition(":")[0])
        return
    if "@" in authority and protocol != "github":
        raise ValueError("holds a user or password: remove it; the sidecar has its own identity")
    raise ValueError(f"is no URL of {protocol}: write `{protocol}://{written}/PATH`")


def _check_number(host: str) -> None:
    """Refuse an IPv4 address in one of its other spellings, such as ``127.1`` and ``0x7f000001``."""
    try:
        IPv4Address(host)
    except ValueError as error:
        raise ValueError("names a host by a number: write its name, or its address as `192.0.2.1`") from error


def _check_path(protocol: str, path: str) -> None:
    """Refuse what a server, a proxy or a library might take for another path."""
    folder = path.removesuffix("/")
    if not folder and not path:
        return
    if protocol in WEB and _PERCENT.search(path):
        raise ValueError("holds a `%` that is followed by no two hex digits: write it as `%25`")
    if protocol not in WEB and "%" in path:
        raise ValueError(f"holds a `%`, which only {' and '.join(sorted(WEB))} read: name the folder around it")
    try:
        for part in folder.split("/"):
            decoded = unquote(part, errors="strict")
            if "/" in decoded or "\\" in decoded or "%" in decoded:
                raise ValueError("holds an escaped slash, backslash or percent sign: name the folder around it")
            check_path(decoded)
    except (IntegrityError, UnicodeDecodeError) as error:
        raise ValueError("holds `//`, `.`, `..` or a part that is no file's name: write the folders out") from error
