"""Payloads that are too large for the log: the largest string moves to an artifact (runs-api.md 3.3)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rune_common.domain.canonical import canonical_json
from rune_common.domain.events import MAX_PAYLOAD_BYTES


@dataclass(frozen=True, slots=True)
class Spilled:
    """A string that left a payload. `artifact_id` is derived from its bytes."""

    artifact_id: str
    content: bytes


def fit_payload(payload: Mapping[str, Any]) -> tuple[dict[str, Any], list[Spilled]]:
    """The payload within 32 KiB of canonical JSON, and what had to leave it. `summary` never leaves.

    Expects a normalised, redacted payload. Shape is kept: a string becomes `{artifact_id, sha256, bytes}`.
    """
    found: dict[str, Any] = _copy(payload)
    spilled: list[Spilled] = []
    while len(canonical_json(found)) > MAX_PAYLOAD_BYTES:
        holder, key = max(_strings(found), key=lambda place: len(place[0][place[1]]), default=(None, None))
        if holder is None or len(holder[key]) < 64:
            raise ValueError("a payload has too many small parts")
        content = holder[key].encode()
        digest = hashlib.sha256(content).hexdigest()
        spilled.append(Spilled(f"a_{digest[:24]}", content))
        holder[key] = {"artifact_id": spilled[-1].artifact_id, "sha256": digest, "bytes": len(content)}
    return found, spilled


@dataclass(frozen=True, slots=True)
class SpilledPart:
    """The place of a string that left a payload."""

    artifact_id: str
    sha256: str
    size_bytes: int


def spilled_parts(value: Any) -> Iterator[SpilledPart]:
    """What left a stored payload, in order."""
    if isinstance(value, Mapping):
        if value.keys() == {"artifact_id", "sha256", "bytes"}:
            yield SpilledPart(value["artifact_id"], value["sha256"], value["bytes"])
        else:
            for item in value.values():
                yield from spilled_parts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from spilled_parts(item)


def spilled_name(event_type: str, part: SpilledPart) -> str:
    """What the file of a string that left an event is called."""
    return f"{event_type}-{part.artifact_id.removeprefix('a_')[:12]}.txt"


def artifact_key(tenant: str, run_id: str, artifact_id: str) -> str:
    """Where an artifact's bytes are, in the blob store."""
    return f"{tenant}/{run_id}/artifacts/{artifact_id}"


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, (list, tuple)) else value


def _strings(value: Any, *, top: bool = True) -> Iterator[tuple[Any, Any]]:
    places = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in places:
        if isinstance(item, str) and not (top and key == "summary"):
            yield value, key
        elif isinstance(item, (dict, list)):
            yield from _strings(item, top=False)
