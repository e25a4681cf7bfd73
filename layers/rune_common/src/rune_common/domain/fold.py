"""`fold(events)`: a run's status from its log alone (runs-api.md 2.5, 16)."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rune_common.domain.events import epoch_ms
from rune_common.domain.folded_approvals import FoldedApprovals
from rune_common.domain.folded_findings import FoldedFindings
from rune_common.domain.folded_usage import FoldedUsage, budget_document
from rune_common.domain.jobs import KIND_WORDS
from rune_common.domain.json_fields import count, items, members, text

DEFAULT_MODE = "audit_readonly"
DEFAULT_POLICY_PACK = "community"
_STAGE = re.compile(r"[A-Z_]{1,40}")
_KIND_OF_WORD = {word: str(kind) for kind, word in KIND_WORDS.items()}
_TERMINAL_STATUS = {"run_completed": "completed", "run_failed": "failed", "run_cancelled": "cancelled"}


@dataclass(slots=True)
class RunStatus:
    """What a log says about its run so far. `fold` makes it; `document()` is the object of 2.5, without links.

    `request` is the redacted create request of `run_queued`.
    """

    run_id: str | None = None
    kind: str | None = None
    status: str | None = None
    request: Mapping[str, Any] = field(default_factory=dict)
    request_sha256: str | None = None
    product_version: str | None = None
    created_by: str | None = None
    runtime_profile: str | None = None
    loop_id: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    stage: str | None = None
    iteration: int | None = None
    last_sequence: int = 0
    last_event_id: str | None = None
    head_hash: str | None = None
    terminal: Mapping[str, Any] = field(default_factory=dict)
    result: dict[str, Any] | None = None
    context_files: list[Any] = field(default_factory=list)
    artifacts: int = 0
    loop_limits: Mapping[str, Any] = field(default_factory=dict)
    loop_records: list[Any] = field(default_factory=list)
    loop_decision: Mapping[str, Any] = field(default_factory=dict)
    waiting_since: str | None = None
    waited_ms: int = 0
    usage: FoldedUsage = field(default_factory=FoldedUsage)
    findings: FoldedFindings = field(default_factory=FoldedFindings)
    approvals: FoldedApprovals = field(default_factory=FoldedApprovals)

    @property
    def complete(self) -> bool:
        return self.ended_at is not None

    @property
    def mode(self) -> str:
        return text(self.request, "mode") or DEFAULT_MODE

    @property
    def policy_pack(self) -> str:
        return text(self.request, "policy_pack") or DEFAULT_POLICY_PACK

    @property
    def gate_status(self) -> str | None:
        asked = (each.get("id") for each in items(self.request, "quality_gates") if _required(each))
        change_set = members(self.terminal, "change_set")
        return self.findings.gate_status(
            final_tree=text(change_set, "tree_sha"),
            required=[name for name in asked if isinstance(name, str)],
        )

    def take(self, event: Mapping[str, Any]) -> None:
        """Add the next event. For whoever owns this object; `fold` never changes its argument."""
        payload = members(event, "payload")
        self.run_id = text(event, "run_id") or self.run_id
        self.loop_id = text(event, "loop_id") or self.loop_id
        self.created_at = self.created_at or text(event, "ts")
        self.updated_at = text(event, "ts") or self.updated_at
        self.last_sequence = count(event, "sequence") or self.last_sequence
        self.last_event_id = text(event, "event_id") or self.last_event_id
        self.head_hash = text(event, "hash") or self.head_hash
        stage = text(event, "stage")
        self.stage = stage if stage and _STAGE.fullmatch(stage) else self.stage
        self.usage.add(event)
        handle = _HANDLERS.get(str(event.get("type")))
        if handle is not None:
            handle(self, event, payload)

    def document(self) -> dict[str, Any]:
        """The status object, every member present, unknown ones null."""
        request, end = self.request, self.terminal
        usage = self.usage.document(duration_ms=self._worked_ms(), approval_wait_ms=self._waited_ms())
        budget = {**members(request, "budget"), **self.loop_limits}
        ceilings = [n for n in (count(request, "max_iterations"), count(budget, "max_iterations")) if n]
        error = members(end, "error")
        change_set = end.get("change_set")
        return {
            "run_id": self.run_id,
            "kind": self.kind,
            "status": self.status,
            "mode": self.mode,
            "runtime_profile": self.runtime_profile or request.get("runtime_profile"),
            **{name: request.get(name) for name in ("repo", "ref")},
            "orchestrator_model": request.get("orchestrator_model") or request.get("model"),
            **{name: request.get(name) for name in ("subagent_model", "parent_run_id")},
            "loop_id": self.run_id if self.kind == "loop" else self.loop_id,
            "work_item_id": request.get("work_item_id"),
            "labels": dict(members(request, "labels")),
            **{name: request.get(name) for name in ("spec_id", "spec_hash", "spec_binding_mode")},
            "created_by": self.created_by,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "duration_ms": _between(self.started_at, self.ended_at),
            "current_stage": self.stage,
            "current_iteration": self.iteration,
            "max_iterations": min(ceilings, default=None),
            "total_events": self.last_sequence,
            "last_event_id": self.last_event_id,
            "last_sequence": self.last_sequence,
            "head_hash": self.head_hash,
            **{name: end.get(name) for name in ("exit_reason", "stop_class", "stop_code")},
            "stop_reason": end.get("stop_reason") or (end.get("summary") if end else None),
            "error": {"code": error.get("code"), "message": error.get("message")} if error else None,
            "gate_status": self.gate_status,
            "result": self.result,
            "change_set": dict(change_set) if isinstance(change_set, Mapping) else None,
            "usage": usage,
            "budget": budget_document(
                budget, usage, iterations=self.iteration or 0, warnings=self.usage.warnings
            ),
            "findings_summary": self.findings.summary(),
            "artifacts_count": self.artifacts,
            "context_files": list(self.context_files),
            "pending_approvals": self.approvals.pending,
        }

    def _worked_ms(self) -> int:
        """From start to end, or to the last event; waiting for approvals is no work."""
        total = _between(self.started_at, self.ended_at or self.updated_at) or 0
        return max(0, total - self._waited_ms())

    def _waited_ms(self) -> int:
        return self.waited_ms + (_between(self.waiting_since, self.updated_at) or 0)

    def _stop_waiting(self, event: Mapping[str, Any]) -> None:
        self.waited_ms += _between(self.waiting_since, text(event, "ts")) or 0
        self.waiting_since = None


def fold(events: Iterable[Mapping[str, Any]], start: RunStatus | None = None) -> RunStatus:
    """The status after these events; `start` is the status before them, which stays as it is.

    `fold(b, fold(a))` equals `fold(a + b)`. Event types that it does not know only move the head and add
    to usage; a member of the wrong type counts as absent.
    """
    status = RunStatus() if start is None else copy.deepcopy(start)
    for event in events:
        status.take(event)
    return status


def _queued(status: RunStatus, event: Mapping[str, Any], payload: Mapping[str, Any]) -> None:
    status.status = "queued"
    status.request = dict(members(payload, "request"))
    status.request_sha256 = text(payload, "request_sha256")
    status.product_version = text(payload, "product_version")
    status.created_by = text(members(event, "actor_detail"), "id")
    word = text(members(members(payload, "span"), "labels"), "kind") or ""
    status.kind = text(payload, "kind") or text(status.request, "kind") or _KIND_OF_WORD.get(word)


def _started(status: RunStatus, event: Mapping[str, Any], payload: Mapping[str, Any]) -> None:
    status.status = "running"
    status.started_at = status.started_at or text(event, "ts")
    status.runtime_profile = text(payload, "runtime_profile") or status.runtime_profile
    status.context_files = list(items(payload, "context_files"))


def _stage_changed(status: RunStatus, event: Mapping[str, Any], payload: Mapping[str, Any]) -> None:
    stage = text(payload, "stage")
    status.stage = stage if stage and _STAGE.fullmatch(stage) else status.stage


def _resumed(status: RunStatus, event: Mapping[str, Any], payload: Mapping[str, Any]) -> None:
    if status.status == "awaiting_approval":
        status.status = "running"
    status._stop_waiting(event)


def _cancel_requested(status: RunStatus, event: Mapping[str, Any], payload: Mapping[str, Any]) -> None:
    if status.status in ("running", "awaiting_approval"):
        status.status = "cancelling"
    status._stop_waiting(event)


def _ended(status: RunStatus, event: Mapping[str, Any], payload: Mapping[str, Any]) -> None:
    status.status = _TERMINAL_STATUS[str(event["type"])]
    status.ended_at = text(event, "ts")
    status.terminal = dict(payload)
    reported = members(payload, "reported")
    status.findings.reported = dict(members(reported, "findings"))
    status.usage.reported = dict(members(reported, "usage"))
    status._stop_waiting(event)


def _approval(status: RunStatus, event: Mapping[str, Any], payload: Mapping[str, Any]) -> None:
    status.approvals.add(event)
    if event.get("type") == "approval_requested" and status.status == "running":
        status.status = "awaiting_approval"
        status.waiting_since = text(event, "ts")


def _finding(status: RunStatus, event: Mapping[str, Any], payload: Mapping[str, Any]) -> None:
    status.findings.add(event)


def _narrative(status: RunStatus, event: Mapping[str, Any], payload: Mapping[str, Any]) -> None:
    if payload.get("final") is True:
        moved = members(payload, "text")
        status.result = {
            "analysis": text(payload, "text"),
            "artifact_id": text(payload, "artifact_id") or text(moved, "artifact_id"),
        }


def _artifact(status: RunStatus, event: Mapping[str, Any], payload: Mapping[str, Any]) -> None:
    status.artifacts += 1


def _loop(status: RunStatus, event: Mapping[str, Any], payload: Mapping[str, Any]) -> None:
    kind = event.get("type")
    if kind == "loop_started":
        status.loop_limits = dict(members(payload, "limits"))
        status.iteration = status.iteration or 0
    elif kind == "iteration_started":
        status.iteration = count(payload, "iteration")
    elif kind == "iteration_completed":
        status.loop_records.append(payload.get("record"))
    else:
        status.loop_decision = dict(members(payload, "decision"))


_HANDLERS = {
    "run_queued": _queued,
    "run_started": _started,
    "stage_changed": _stage_changed,
    "run_resumed": _resumed,
    "cancel_requested": _cancel_requested,
    **dict.fromkeys(_TERMINAL_STATUS, _ended),
    "narrative": _narrative,
    "artifact_added": _artifact,
    **dict.fromkeys(
        (
            *("approval_requested", "approval_approved", "approval_denied"),
            *("approval_expired", "approval_cancelled", "approval_superseded"),
        ),
        _approval,
    ),
    **dict.fromkeys(
        ("finding_opened", "finding_updated", "finding_resurfaced", "finding_resolved", "gate_result"),
        _finding,
    ),
    **dict.fromkeys(("loop_started", "iteration_started", "iteration_completed", "loop_stopped"), _loop),
}


def _between(start: str | None, end: str | None) -> int | None:
    """Milliseconds between two times of the log; None without both, or when one is no time."""
    if start is None or end is None:
        return None
    try:
        return max(0, epoch_ms(end) - epoch_ms(start))
    except (ValueError, OverflowError):
        return None


def _required(gate: Any) -> bool:
    return isinstance(gate, Mapping) and gate.get("required") is not False
