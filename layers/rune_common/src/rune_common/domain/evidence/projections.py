"""The files that follow from a log, by name (runs-api.md 7.2, 7.3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rune_common.domain.canonical import canonical_json
from rune_common.domain.evidence.collector import Collected
from rune_common.domain.evidence.keys import ALGORITHM, EvidenceKey
from rune_common.domain.evidence.notes import Checkpoint, checkpoint_origin
from rune_common.domain.evidence.sarif import sarif
from rune_common.domain.evidence.spool import Member, Meter, member
from rune_common.domain.evidence.verify_text import VERIFY_MD
from rune_common.domain.json_fields import members
from rune_common.domain.redaction_rules import RULESET_VERSION
from rune_common.domain.stored_lines import plain_json

TIMELINE = "timeline.ndjson"
INTEGRITY = "integrity.json"
CHECKPOINT = "checkpoint.txt"
MANIFEST = "manifest.json"
ENVELOPE = "manifest.dsse.json"


def json_file(document: Any) -> bytes:
    """RFC 8785 and one line feed."""
    return canonical_json(document) + b"\n"


def projections(log: Collected, key: EvidenceKey) -> dict[str, Member]:
    """Every file of the bundle but artifacts, checkpoint and manifest. `key` is the one that signs."""
    status = log.status
    documents: dict[str, Any] = {
        "run.json": status.document(),
        "request.json": dict(status.request),
        INTEGRITY: integrity(log, key),
        "findings.sarif": sarif(status.findings.findings.values()),
        "findings_summary.json": _findings_summary(log),
        "approvals.json": {"approvals": list(status.approvals.approvals.values())},
        "gates.json": {"gate_status": status.gate_status, "gates": list(status.findings.gates.values())},
        "usage.json": {"total": status.document()["usage"], "by_model": status.usage.models()},
    }
    if status.kind == "loop":
        documents["loop.json"] = {"limits": dict(status.loop_limits), "iterations": status.loop_records}
    small = {name: json_file(document) for name, document in documents.items()}
    small["findings.jsonl"] = b"".join(map(json_file, status.findings.findings.values()))
    small["timeline.sha256"] = f"{log.timeline.digest.sha256}  {TIMELINE}\n".encode()
    small["VERIFY.md"] = VERIFY_MD.encode()
    found = [member(name, content) for name, content in small.items()]
    found += [log.timeline.member(TIMELINE), _redaction(log)]
    found += [stream.member(name) for name, stream in log.terminal.items()]
    return {each.name: each for each in found}


def checkpoint(log: Collected, key: EvidenceKey) -> Checkpoint:
    return Checkpoint(checkpoint_origin(key.name, log.tenant, log.run_id), log.event_count, log.merkle_root)


def integrity(log: Collected, key: EvidenceKey) -> dict[str, Any]:
    return {
        "algorithm": "sha-256",
        "canonicalization": "RFC8785",
        "genesis": log.genesis,
        "head_hash": log.head_hash,
        "event_count": log.event_count,
        "first_sequence": 1 if log.event_count else 0,
        "last_sequence": log.status.last_sequence,
        "tree_size": log.event_count,
        "merkle_root": log.merkle_root,
        "complete": log.status.complete,
        "checkpoint_origin": checkpoint_origin(key.name, log.tenant, log.run_id),
        "key_id": key.key_id,
        "signature_algorithm": ALGORITHM,
        "verifier_key": key.verifier_key,
    }


def redaction_total(log: Collected) -> int:
    return sum(log.redacted_by_rule.values())


def _findings_summary(log: Collected) -> dict[str, Any]:
    status = log.status
    return {
        "findings": status.findings.by_state(),
        "blocking": status.findings.summary()["blocking"],
        "gate_status": status.gate_status,
        "exit_reason": status.terminal.get("exit_reason"),
        "scan_complete": _scan_complete(log),
    }


def _scan_complete(log: Collected) -> bool | None:
    """What the loop's last decision knew of its scan; None where nothing scanned."""
    records = log.status.loop_records
    last = records[-1] if records and isinstance(records[-1], Mapping) else {}
    decision = log.status.loop_decision or members(last, "decision")
    found = members(members(decision, "inputs"), "scan").get("complete")
    return found if isinstance(found, bool) else None


def _redaction(log: Collected) -> Member:
    """The one JSON file that can be as long as the log, so it is never held: its list is spooled already."""
    total = redaction_total(log)
    head = plain_json({"by_rule": dict(log.redacted_by_rule)})[:-1] + ',"fields":['
    rest = {
        "ruleset_version": RULESET_VERSION,
        "status": "applied" if total else "none",
        "total": total,
        "unredacted_export": False,
    }
    tail = "]," + plain_json(rest)[1:] + "\n"

    def chunks() -> Iterator[bytes]:
        yield head.encode()
        yield from log.redacted_fields.chunks()
        yield tail.encode()

    meter = Meter()
    for chunk in chunks():
        meter.add(chunk)
    return Member("redaction.json", meter.digest, chunks)
