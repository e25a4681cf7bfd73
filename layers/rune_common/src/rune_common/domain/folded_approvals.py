"""A run's approvals as its events leave them (runs-api.md 6.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rune_common.domain.json_fields import items, members, text

APPROVAL_MEMBERS = (
    "approval_id", "run_id", "target_run_id", "pause_id", "loop_id", "iteration", "gate", "status",
    "requested_at", "expires_at", "settled_at", "requested_by", "summary", "why", "risk", "traffic_light",
    "subject", "tool", "budget_remaining", "policy", "required_approvals", "approvers", "decisions",
    "superseded_by", "on_timeout",
)  # fmt: skip
_STATUS_AFTER = {
    "approval_approved": "approved",
    "approval_denied": "denied",
    "approval_expired": "expired",
    "approval_cancelled": "cancelled",
    "approval_superseded": "superseded",
}
_DECISIONS = frozenset({"approval_approved", "approval_denied"})
PARTIAL = "partial"
"""The decision of an approver who is not the last one needed; it settles nothing (runs-api.md 3.2)."""


@dataclass(slots=True)
class FoldedApprovals:
    """Approvals by id, oldest first."""

    approvals: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, event: Mapping[str, Any]) -> None:
        kind = event.get("type")
        if kind == "approval_requested":
            self._requested(event)
        elif kind in _STATUS_AFTER:
            self._settled(str(kind), event)

    @property
    def pending(self) -> list[dict[str, Any]]:
        return [each for each in self.approvals.values() if each["status"] == "pending"]

    def _requested(self, event: Mapping[str, Any]) -> None:
        payload = members(event, "payload")
        shown = members(payload, "approval")
        key = text(payload, "approval_id") or text(shown, "approval_id") or str(event.get("event_id", ""))
        approval = {**dict.fromkeys(APPROVAL_MEMBERS), **shown}
        known = {
            "run_id": event.get("run_id"),
            "pause_id": payload.get("pause_id"),
            "gate": payload.get("gate"),
            "requested_at": event.get("ts"),
            "expires_at": payload.get("expires_at"),
            "summary": payload.get("summary"),
            "on_timeout": "deny",
            "required_approvals": 1,
        }
        approval |= {name: value for name, value in known.items() if approval[name] is None}
        if not isinstance(approval["subject"], Mapping) and payload.get("subject_digest"):
            approval["subject"] = {"digest": payload["subject_digest"]}
        status = {
            "approval_id": key,
            "status": "pending",
            "settled_at": None,
            "decisions": [*items(shown, "decisions")],
        }
        self.approvals[key] = approval | status | {"approvers": [*items(shown, "approvers")]}

    def _settled(self, kind: str, event: Mapping[str, Any]) -> None:
        payload = members(event, "payload")
        approval = self.approvals.get(text(payload, "approval_id") or "")
        if approval is None:
            return
        changed = dict(approval)
        if kind in _DECISIONS:
            changed["decisions"] = [*approval["decisions"], _decision(event, payload)]
        if payload.get("decision") != PARTIAL:
            changed |= {"status": _STATUS_AFTER[kind], "settled_at": event.get("ts")}
        if payload.get("superseded_by") is not None:
            changed["superseded_by"] = payload["superseded_by"]
        self.approvals[approval["approval_id"]] = changed


def _decision(event: Mapping[str, Any], payload: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: payload.get(name) for name in ("decision", "reason", "scope", "subject_digest")}
    inherited = {"inherited_from": payload["inherited_from"]} if payload.get("inherited_from") else {}
    return {"actor": event.get("actor"), "at": event.get("ts"), **found, **inherited}
