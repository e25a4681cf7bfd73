"""Which addresses nobody may be sent to without the operator's word (jobs-api.md 5.1)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_REFUSED_V4 = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4"),
    )
)
# Beside the contract's list: fec0::/10 (the old private range) and 64:ff9b:1::/48 (NAT64 inside a site).
_REFUSED_V6 = tuple(
    ipaddress.IPv6Network(text)
    for text in ("::/128", "::1/128", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8", "64:ff9b:1::/48")
)
_COMPATIBLE = ipaddress.IPv6Network("::/96")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def parse_address(text: str) -> Address:
    """An address as a resolver gives it, zone left out; IPv4 mapped into IPv6 comes out as IPv4.

    Raises ValueError for anything but four decimal parts without leading zeros, or IPv6.
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def is_refused(address: Address) -> bool:
    """True for private, shared, loopback, link-local, multicast, reserved and unspecified addresses.

    IPv6 that carries such an IPv4 address (mapped, compatible, 6to4, NAT64, Teredo) counts as well.
    """
    if isinstance(address, ipaddress.IPv4Address):
        return any(address in network for network in _REFUSED_V4)
    if any(address in network for network in _REFUSED_V6):
        return True
    return any(is_refused(inner) for inner in _embedded(address))


def _embedded(address: ipaddress.IPv6Address) -> Iterator[ipaddress.IPv4Address]:
    if address.ipv4_mapped:
        yield address.ipv4_mapped
    if address.sixtofour:
        yield address.sixtofour
    if address.teredo:
        yield from address.teredo
    if address in _NAT64 or address in _COMPATIBLE:
        yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
