"""Small pieces every Kubernetes object is made of: times, ids, metadata, quantities."""

from __future__ import annotations

import hashlib
import re
import uuid
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]

SAFE = "bcdfghjklmnpqrstvwxz2456789"
"""The letters Kubernetes draws name suffixes from: no vowels, so no words."""

UNITS = {
    "": 1.0, "m": 0.001, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40,
}  # fmt: skip


def stamp(epoch: float) -> str:
    """Epoch seconds as the API writes times, e.g. `2026-01-31T12:00:00Z`."""
    return datetime.fromtimestamp(int(epoch), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def nano_stamp(epoch: float) -> str:
    """Epoch seconds with nine decimals, as log lines carry them."""
    whole = int(epoch)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{int((epoch - whole) * 1e9):09d}Z"


def seconds_of(text: str) -> float:
    """Epoch seconds of an RFC 3339 time; ValueError for anything else."""
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text).replace("Z", "+00:00")).timestamp()


def digest(*parts: object) -> int:
    """The same big number for the same parts, in every process."""
    return int.from_bytes(hashlib.sha256("\x00".join(map(str, parts)).encode()).digest()[:16], "big")


def uid(*parts: object) -> str:
    return str(uuid.UUID(int=digest("uid", *parts), version=4))


def suffix(length: int, *parts: object) -> str:
    """A name suffix as the API server draws it."""
    number = digest("suffix", *parts)
    return "".join(SAFE[number // len(SAFE) ** i % len(SAFE)] for i in range(length))


def hex_id(length: int, *parts: object) -> str:
    return hashlib.sha256("\x00".join(map(str, parts)).encode()).hexdigest()[:length]


def amount(quantity: str) -> float:
    """A quantity as a plain number: cores or bytes."""
    number = quantity.rstrip("mkMGTi")
    return float(number) * UNITS[quantity[len(number) :]]


def metadata(kind: str, name: str, namespace: str | None, created: float, version: int, **more: Any) -> Json:
    """`metadata` of an object; `version` becomes its resource version."""
    meta: Json = {"name": name}
    if namespace is not None:
        meta["namespace"] = namespace
    meta["uid"] = uid(kind, namespace, name)
    meta["resourceVersion"] = str(version)
    meta["creationTimestamp"] = stamp(created)
    return {**meta, **{key: value for key, value in more.items() if value}}


def owner(owned_by: Json) -> list[Json]:
    """`ownerReferences` to a controller."""
    return [
        {
            "apiVersion": owned_by["apiVersion"],
            "kind": owned_by["kind"],
            "name": owned_by["metadata"]["name"],
            "uid": owned_by["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]


def condition(kind: str, status: bool | str, since: float, reason: str = "", message: str = "") -> Json:
    """A status condition; empty reason and message are left out."""
    text = status if isinstance(status, str) else str(status)
    found: Json = {"type": kind, "status": text, "lastTransitionTime": stamp(since)}
    return {**found, **({"reason": reason} if reason else {}), **({"message": message} if message else {})}
