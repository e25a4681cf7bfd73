"""The provider's offers and instances as ours. Untrusted: a field of another type is a field that is missing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rune_common.domain.gpu_market import Instance, Offer

PORT = "11434/tcp"
NO_HOST = ("", "0.0.0.0", "::")
MAX_MESSAGE = 200


def offer_from(row: object) -> Offer | None:
    """None for what has no id."""
    if not isinstance(row, Mapping):
        return None
    offer_id = integer(row.get("id"))
    if offer_id is None:
        return None
    reliability = number(row.get("reliability"))
    return Offer(
        offer_id=offer_id,
        dph=number(row.get("dph_total")),
        gpu_ram_total=number(row.get("gpu_total_ram")),
        reliability=number(row.get("reliability2")) if reliability is None else reliability,
        disk_gb=number(row.get("disk_space")),
        dlperf=number(row.get("dlperf")) or 0.0,
        gpu_name=text(row.get("gpu_name"))[:64],
        gpus=integer(row.get("num_gpus")) or 1,
        fit=_fit(row),
    )


def _fit(row: Mapping[str, Any]) -> bool:
    ports = number(row.get("direct_port_count"))
    return (
        row.get("verification", "verified") == "verified"
        and row.get("rentable", True) is True
        and row.get("rented", False) is not True
        and (ports is None or ports >= 1)
    )


def instance_from(row: object) -> Instance | None:
    """None for what has no id."""
    if not isinstance(row, Mapping):
        return None
    contract = integer(row.get("id"))
    if contract is None:
        return None
    started = number(row.get("start_date"))
    label, status, intended = row.get("label"), row.get("actual_status"), row.get("intended_status")
    return Instance(
        contract_id=str(contract),
        label=label if isinstance(label, str) else None,
        status=status if isinstance(status, str) else None,
        intended=intended if isinstance(intended, str) else None,
        message=text(row.get("status_msg")).strip()[:MAX_MESSAGE],
        address=_address(row),
        dph=number(row.get("dph_total")),
        started_at=None if started is None else round(started * 1000),
    )


def _address(row: Mapping[str, Any]) -> tuple[str, int] | None:
    """The host's port is random; its address is shared, and may be given for the whole machine only."""
    ports = row.get("ports")
    mapped = ports.get(PORT) if isinstance(ports, Mapping) else None
    first = mapped[0] if isinstance(mapped, list) and mapped else None
    if not isinstance(first, Mapping):
        return None
    port = first.get("HostPort")
    if isinstance(port, str) and port.isascii() and port.isdigit():
        port = int(port)
    host = text(first.get("HostIp")).strip()
    if host in NO_HOST:
        host = text(row.get("public_ipaddr")).strip()
    if isinstance(port, bool) or not isinstance(port, int) or not 0 < port <= 65535 or not host:
        return None
    return host, port


def number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def text(value: object) -> str:
    return value if isinstance(value, str) else ""
