"""The address that lockout and rate limits count by (jobs-api.md 2)."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.types import Scope


def source_ip(scope: Scope, trusted: Sequence[str]) -> str:
    """The gateway's source address or the socket's peer.

    Behind a proxy of `trusted` (addresses or CIDRs) it is the last address in `X-Forwarded-For` that no
    trusted proxy has; whatever stands before that one was claimed by the client.
    """
    client = scope.get("client")
    peer = str(client[0]) if client else "unknown"
    if not trusted or not _listed(peer, trusted):
        return peer
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    for hop in reversed([hop.strip() for hop in ",".join(values).split(",")]):
        if not _is_address(hop):
            return peer
        if not _listed(hop, trusted):
            return hop
    return peer


def _listed(address: str, networks: Sequence[str]) -> bool:
    from ipaddress import ip_address, ip_network

    return _is_address(address) and any(
        ip_address(address) in ip_network(network, strict=False)
        for network in networks
        if _is_address(network.partition("/")[0])
    )


def _is_address(text: str) -> bool:
    from ipaddress import ip_address

    try:
        ip_address(text)
    except ValueError:
        return False
    return True
