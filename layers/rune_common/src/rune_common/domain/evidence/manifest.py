"""`manifest.json`: the in-toto Statement over a bundle's files (runs-api.md 7.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rune_common.domain.evidence.collector import Collected
from rune_common.domain.evidence.projections import json_file, redaction_total
from rune_common.domain.redaction_rules import RULESET_VERSION

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:rune:predicate:run-evidence:v1"
BUNDLE_VERSION = "1"


def statement(digests: Mapping[str, str], predicate: Mapping[str, Any]) -> bytes:
    """The file. `digests`: SHA-256 by name of every file but the two that hold the manifest."""
    subject = [
        {"name": name, "digest": {"sha256": digests[name]}}
        for name in sorted(digests, key=lambda each: each.encode())
    ]
    return json_file(
        {
            "_type": STATEMENT_TYPE,
            "subject": subject,
            "predicateType": PREDICATE_TYPE,
            "predicate": dict(predicate),
        }
    )


def predicate(log: Collected) -> dict[str, Any]:
    """What the manifest says about the run; all of it follows from the log."""
    status = log.status
    return {
        "bundle_version": BUNDLE_VERSION,
        "tenant": log.tenant,
        "run_id": log.run_id,
        "kind": status.kind,
        "mode": status.mode,
        "status": status.status,
        "complete": status.complete,
        "at_sequence": log.event_count,
        "head_hash": log.head_hash,
        "tree_size": log.event_count,
        "merkle_root": log.merkle_root,
        "request_sha256": status.request_sha256,
        "models": _models(log),
        "policy_pack": status.policy_pack,
        "redaction": {"ruleset_version": RULESET_VERSION, "total": redaction_total(log)},
        "product_version": status.product_version,
    }


def _models(log: Collected) -> list[str]:
    """Models that were asked for or used, each once."""
    request = log.status.request
    asked = (request.get(name) for name in ("orchestrator_model", "model", "subagent_model"))
    return sorted({name for name in asked if isinstance(name, str) and name} | set(log.status.usage.by_model))
