"""Which addresses a fetch may connect to (server-side request forgery, OWASP SSRF cheat sheet).

A name is judged by every address it resolves to, and an address by every IPv4 address embedded in it. The
caller must connect to what `vet` returns and look nothing up again: a second answer may be another one.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from monitor.base.errors import BlockedAddress, FetchFailed

IPAddress = IPv4Address | IPv6Address
Resolver = Callable[[str, int], Sequence[str]]
"""Host and port to the texts of IP addresses; raises OSError."""

_METADATA = frozenset(
    map(
        ip_address,
        (
            "169.254.169.254",  # AWS, Google, Azure and most others
            "169.254.170.2",  # AWS containers
            "100.100.100.200",  # Alibaba
            "168.63.129.16",  # Azure's host
            "192.0.0.192",  # Oracle
            "fd00:ec2::254",  # AWS
        ),
    )
)
"""Where clouds hand credentials to whoever asks: refused even where private addresses are allowed."""

_GLOBAL_UNICAST = ip_network("2000::/3")
_NAT64 = ip_network("64:ff9b::/96")
_NEVER = tuple(
    map(
        ip_network,
        (
            "100.64.0.0/10",  # carrier-grade NAT
            "192.88.99.0/24",  # 6to4 relays, withdrawn
            "2001::/23",  # protocol assignments, Teredo among them
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4, withdrawn (RFC 7526)
            "3fff::/20",  # documentation
        ),
    )
)


def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a host, as the system resolves them.

    The C library also understands 2130706433, 0x7f.1 and 0177.0.0.1: all come out as 127.0.0.1.
    """
    return list(dict.fromkeys(str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))


def vet(host: str, port: int, *, allow_private: bool, resolver: Resolver, source: str) -> list[IPAddress]:
    """Return the addresses of `host`, all of them fit to connect to, in the resolver's order.

    Raises BlockedAddress when a single one is not, FetchFailed when there are none; `source` names the URL there.
    """
    try:
        addresses = [ip_address(text) for text in resolver(host, port)]
    except (OSError, ValueError) as error:  # a UnicodeError of the idna codec is a ValueError
        raise FetchFailed(source, f"the name {host} cannot be resolved ({error})", "Check the name, then try again") from None
    if not addresses:
        raise FetchFailed(source, f"the name {host} has no address", "Check the name, then try again")
    for address in addresses:
        if why := refusal(address, allow_private=allow_private):
            shown = host if host == str(address) else f"{host} ({address})"
            raise BlockedAddress(source, f"{shown} is {why}", _NEXT_STEP)
    return addresses


def refusal(address: IPAddress, *, allow_private: bool) -> str | None:
    """Why no connection may be made to `address`; None when it may."""
    whole = (address, *_embedded(address))
    if any(part in _METADATA for part in whole):
        return "a cloud's metadata service"
    if allow_private:
        return None
    return next((why for part in whole if (why := _not_public(part))), None)


def _not_public(address: IPAddress) -> str | None:
    if address.is_loopback:
        return "a loopback address"
    if address.is_unspecified:
        return "the unspecified address"
    if address.is_link_local:
        return "a link-local address"
    if address.is_multicast:
        return "a multicast address"
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return "an IPv4-mapped address"
    if address in _NAT64:
        return None  # as good as the IPv4 address in it, which is judged too
    if any(address in network for network in _NEVER if network.version == address.version):
        return "in a range that is not public"
    if not address.is_global or address.is_reserved or (address.version == 6 and address not in _GLOBAL_UNICAST):
        return "a private or reserved address"
    return None


def _embedded(address: IPAddress) -> Iterator[IPv4Address]:
    """The IPv4 addresses that packets to `address` may end at: mapped, 6to4, NAT64."""
    if isinstance(address, IPv4Address):
        return
    if address.ipv4_mapped:
        yield address.ipv4_mapped
    if address.sixtofour:
        yield address.sixtofour
    if address in _NAT64:
        yield IPv4Address(int(address) & 0xFFFFFFFF)


_NEXT_STEP = "Give a public address; on an intranet, set SOSIE_FETCH_ALLOW_PRIVATE=true (never opens metadata services)"
