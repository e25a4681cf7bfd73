"""The hash chain over a run's events and its verification (runs-api.md 3.5, 7.5, 16)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from rune_common.domain.canonical import canonical_json
from rune_common.domain.merkle import (
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    merkle_root,
    verify_consistency,
    verify_inclusion,
)
from rune_common.domain.stored_lines import LINKS, read_line

__all__ = [
    "CheckedLine",
    "LogCheck",
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
    return canonical_json({name: member for name, member in event.items() if name not in LINKS})


class CheckedLine(NamedTuple):
    """A line that is an event. `leaf` is what the tree holds for it, `sequence` what it says of itself."""

    event: dict[str, Any]
    sequence: int
    leaf: str


class LogCheck:
    """Checks a stored log line by line; what it holds does not grow with the log, except by faults.

    A fault is noted once: after it the check goes on from what the line says about itself.
    """

    def __init__(self, tenant: str, run_id: str) -> None:
        self.faults: list[Mismatch] = []
        self._run_id = run_id
        self._foreign_run: Any = run_id
        self._position = 0
        self._expected_sequence = 1
        # Hashes that the next line may name: none when the line before could not tell.
        self._anchors: tuple[str, ...] = (genesis(tenant, run_id),)

    def take(self, raw: bytes) -> CheckedLine | None:
        """Check the next line; None when it is no event."""
        self._position += 1
        line = _parse(raw)
        if line is None:
            self.faults.append(Mismatch("format_invalid", self._position))
            self._expected_sequence, self._anchors = self._expected_sequence + 1, ()
            return None
        self._place(line)
        self._expected_sequence = line.sequence + 1
        self._anchors = (line.hash, line.relinked)
        return CheckedLine(line.event, line.sequence, line.leaf)

    def _place(self, line: _Line) -> None:
        if line.run_id != self._run_id and line.run_id != self._foreign_run:
            self._note("run_id_mismatch", line, self._run_id, _shown(line.run_id))
        self._foreign_run = line.run_id
        in_order = line.sequence == self._expected_sequence
        if not in_order:
            self._note("sequence_gap", line, self._expected_sequence, line.sequence)
        linked = not self._anchors or line.prev_hash in self._anchors
        if line.hash != line.relinked:
            self._note("chain_break", line, line.relinked, line.hash)
        elif not linked and in_order:
            kind: MismatchType = "genesis_mismatch" if self._position == 1 else "chain_break"
            self._note(kind, line, self._anchors[0], line.prev_hash)

    def _note(
        self, kind: MismatchType, line: _Line, expected: str | int | None, actual: str | int | None
    ) -> None:
        self.faults.append(Mismatch(kind, line.sequence, expected, actual))


class _Line(NamedTuple):
    event: dict[str, Any]
    run_id: Any
    sequence: int
    prev_hash: str
    hash: str
    leaf: str
    relinked: str
    """What `hash` must be, given the line's entry and its `prev_hash`."""


def verify_chain(tenant: str, run_id: str, lines: Iterable[bytes]) -> list[Mismatch]:
    """Every fault of a stored log, sorted by type, then position; empty for what `append_event` made.

    `lines` are the stored bytes, without line ends, in order. A fault is reported once: after it the check
    goes on from what the line says about itself. A cut tail shows only against a signed size and root.
    """
    check = LogCheck(tenant, run_id)
    for raw in lines:
        check.take(raw)
    return sorted(check.faults, key=lambda fault: (fault.type, fault.sequence))


def _parse(raw: bytes) -> _Line | None:
    """The line's chain members, or None if it is not the RFC 8785 form of an event."""
    found = read_line(raw)
    if found is None:
        return None
    event = found.event
    sequence, prev_hash, own = event.get("sequence"), event.get("prev_hash"), event.get("hash")
    if type(sequence) is not int or not isinstance(prev_hash, str) or not isinstance(own, str):
        return None
    leaf = leaf_hash(found.entry)
    try:
        relinked = link_hash(prev_hash, leaf)
    except ValueError:
        return None
    return _Line(event, event.get("run_id"), sequence, prev_hash, own, leaf, relinked)


def _shown(run_id: Any) -> str | None:
    return run_id if isinstance(run_id, str) else None
