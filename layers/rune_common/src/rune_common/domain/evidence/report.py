"""What the check of a bundle found (runs-api.md 7.5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from rune_common.domain.evidence.keys import EvidenceKey, Verify

FaultType = Literal[
    "artifact_missing",
    "artifact_sha_mismatch",
    "chain_break",
    "checkpoint_signature_invalid",
    "count_mismatch",
    "file_missing",
    "file_sha_mismatch",
    "file_unexpected",
    "format_invalid",
    "genesis_mismatch",
    "head_mismatch",
    "key_unknown",
    "manifest_signature_invalid",
    "projection_mismatch",
    "root_mismatch",
    "run_id_mismatch",
    "sequence_gap",
    "terminal_missing",
]

Signatures = Literal["valid", "invalid", "unchecked"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One mismatch. `path` is a file of the bundle, `sequence` an event's."""

    type: FaultType
    path: str | None = None
    sequence: int | None = None
    expected: str | int | None = None
    actual: str | int | None = None

    def document(self) -> dict[str, Any]:
        """Without the members that do not apply."""
        names = ("type", "path", "sequence", "expected", "actual")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


@dataclass(frozen=True, slots=True)
class Report:
    """`mismatches` are sorted by type, then position; each check reports a place once."""

    run_id: str | None
    complete: bool | None
    event_count: int
    head_hash: str | None
    merkle_root: str
    key_id: str | None
    signatures: Signatures
    mismatches: tuple[Fault, ...]

    @property
    def ok(self) -> bool:
        """Everything matches and a trusted key signed it."""
        return not self.mismatches and self.signatures == "valid"

    def document(self) -> dict[str, Any]:
        return {
            "ok": self.ok,
            "run_id": self.run_id,
            "complete": self.complete,
            "event_count": self.event_count,
            "head_hash": self.head_hash,
            "merkle_root": self.merkle_root,
            "key_id": self.key_id,
            "signatures": self.signatures,
            "mismatches": [each.document() for each in self.mismatches],
        }


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """Whom the reader trusts. Without keys only the bundle's own consistency is checked.

    `bundle_key`: trust the key that the bundle names, which proves nothing about who made it.
    """

    verify: Verify
    keys: tuple[EvidenceKey, ...] = ()
    bundle_key: bool = False
    expect_head: str | None = field(default=None)


def in_order(faults: list[Fault]) -> tuple[Fault, ...]:
    distinct = dict.fromkeys(faults)
    return tuple(sorted(distinct, key=lambda each: (each.type, each.sequence or 0, each.path or "")))
