"""The hash chain over a run's events and its verification (runs-api.md 3.5, 7.5, 16)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, NoReturn

from rune_common.domain.canonical import CanonicalError, canonical_json
from rune_common.domain.merkle import (
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    merkle_root,
    verify_consistency,
    verify_inclusion,
)

__all__ = [
    "Mismatch",
    "MismatchType",
    "consistency_proof",
    "entry_bytes",
    "genesis",
    "inclusion_proof",
    "leaf_hash",
    "link_hash",
    "merkle_root",
    "verify_chain",
    "verify_consistency",
    "verify_inclusion",
]

MismatchType = Literal["chain_break", "format_invalid", "genesis_mismatch", "run_id_mismatch", "sequence_gap"]

_LINKS = ("prev_hash", "hash")


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One fault of a log (runs-api.md 7.5, group "lines").

    `sequence` is the number that the line carries, or its position from 1 where it carries none.
    """

    type: MismatchType
    sequence: int
    expected: str | int | None = None
    actual: str | int | None = None


def genesis(tenant: str, run_id: str) -> str:
    """The `prev_hash` of sequence 1: H("rune/runs/v1" || 0x00 || tenant || 0x00 || run_id), as hex."""
    return hashlib.sha256(b"\x00".join((b"rune/runs/v1", tenant.encode(), run_id.encode()))).hexdigest()


def link_hash(prev_hash: str, leaf: str) -> str:
    """`hash` = H(0x02 || prev_hash || leaf), as hex. Raises ValueError if an argument is not hex."""
    return hashlib.sha256(b"\x02" + bytes.fromhex(prev_hash) + bytes.fromhex(leaf)).hexdigest()


def entry_bytes(event: Mapping[str, Any]) -> bytes:
    """What a leaf covers: RFC 8785 bytes of the event without `prev_hash` and `hash`."""
    return canonical_json({name: member for name, member in event.items() if name not in _LINKS})


class _Line(NamedTuple):
    run_id: Any
    sequence: int
    prev_hash: str
    hash: str
    relinked: str
    """What `hash` must be, given the line's entry and its `prev_hash`."""


def verify_chain(tenant: str, run_id: str, lines: Iterable[bytes]) -> list[Mismatch]:
    """Every fault of a stored log, sorted by type, then position; empty for what `append_event` made.

    `lines` are the stored bytes, without line ends, in order. A fault is reported once: after it the check
    goes on from what the line says about itself. A cut tail shows only against a signed size and root.
    """
    found: list[Mismatch] = []
    expected_sequence = 1
    # Hashes that the next line may name: none when the line before could not tell.
    anchors: tuple[str, ...] = (genesis(tenant, run_id),)
    foreign_run: Any = run_id
    for position, raw in enumerate(lines, start=1):
        line = _parse(raw)
        if line is None:
            found.append(Mismatch("format_invalid", position))
            expected_sequence, anchors = expected_sequence + 1, ()
            continue
        if line.run_id != run_id and line.run_id != foreign_run:
            found.append(Mismatch("run_id_mismatch", line.sequence, run_id, _shown(line.run_id)))
        foreign_run = line.run_id
        in_order = line.sequence == expected_sequence
        if not in_order:
            found.append(Mismatch("sequence_gap", line.sequence, expected_sequence, line.sequence))
        linked = not anchors or line.prev_hash in anchors
        if line.hash != line.relinked:
            found.append(Mismatch("chain_break", line.sequence, line.relinked, line.hash))
        elif not linked and in_order:
            kind: MismatchType = "genesis_mismatch" if position == 1 else "chain_break"
            found.append(Mismatch(kind, line.sequence, anchors[0], line.prev_hash))
        expected_sequence = line.sequence + 1
        anchors = (line.hash, line.relinked)
    return sorted(found, key=lambda fault: (fault.type, fault.sequence))


def _parse(raw: bytes) -> _Line | None:
    """The line's chain members, or None if it is not the RFC 8785 form of an event."""
    try:
        event = json.loads(raw.decode("utf-8"), parse_constant=_no_constant)
        if not isinstance(event, dict) or canonical_json(event) != raw:
            return None
        relinked = link_hash(event["prev_hash"], leaf_hash(entry_bytes(event)))
        sequence, prev_hash, own = event["sequence"], event["prev_hash"], event["hash"]
    except (ValueError, KeyError, TypeError, RecursionError, CanonicalError):
        return None
    if type(sequence) is not int or not isinstance(own, str):
        return None
    return _Line(event.get("run_id"), sequence, prev_hash, own, relinked)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _shown(run_id: Any) -> str | None:
    return run_id if isinstance(run_id, str) else None
