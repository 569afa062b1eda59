"""Own the question whether the sidecar may connect to an address: an author chooses the host, and reads the answer."""

import ipaddress
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from cmp_core import PolicyError

IPAddress = IPv4Address | IPv6Address

_NEVER = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8",
            "169.254.0.0/16",
            "100.100.100.200/32",
            "168.63.129.16/32",
            "::/128",
            "fe80::/10",
            "fd00:ec2::/64",
            "fd20:ce::/64",
        ),
    )
)
"""Where clouds keep the identity of a machine, and what stands for the machine itself."""

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def check_address(text: str, host: str, *, names_host: bool) -> None:
    """Refuse an address that no author may reach.

    Args:
        text: The address.
        host: The host name that stands for it, for messages.
        names_host: Whether the operator has allowed this very host, which may be inside then.

    Raises:
        PolicyError: The address is refused.
    """
    address = _unwrap(ipaddress.ip_address(text.partition("%")[0]))
    if address.is_multicast or any(address in network for network in _NEVER if network.version == address.version):
        raise PolicyError(
            f"{host} leads to the address {address}, which is never read: it may give away the sidecar's identity: "
            "correct `url`"
        )
    if not address.is_global and not names_host:
        raise PolicyError(
            f"{host} leads to the inside address {address}, and the operator's settings name the host only by a "
            "pattern: add the host itself to `backends.fsspec.allow` (CMP_BACKENDS_FSSPEC_ALLOW)"
        )


def is_address(host: str) -> bool:
    """Tell whether a host is written as an address, which nobody resolves."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class GuardedResolver(AbstractResolver):
    """Resolves host names, and passes on only the addresses that may be reached.

    What is checked is what is connected to: a name that resolves otherwise the next time gains nothing.
    """

    def __init__(self, named: Iterable[tuple[str, int]]) -> None:
        """Let the `named` hosts lie inside, each with its port."""
        self._named = frozenset(named)
        self._resolver = aiohttp.ThreadedResolver()

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        """Resolve a host name.

        Raises:
            PolicyError: One of its addresses must not be reached.
        """
        found = await self._resolver.resolve(host, port, family)  # type: ignore[arg-type]  # as above
        for entry in found:
            check_address(entry["host"], host, names_host=(host, port) in self._named)
        return found

    async def close(self) -> None:
        """Close the resolver."""
        await self._resolver.close()


def _unwrap(address: IPAddress) -> IPAddress:
    """Return the IPv4 address that an IPv6 address only carries."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
