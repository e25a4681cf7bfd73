"""A run that waits for decisions: how it begins to, what settles it, how it goes on (runs-api.md 2.6, 6.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rune_common.domain.approval_policy import ApprovalPolicy, Gate
from rune_common.domain.approval_subjects import Asked
from rune_common.domain.approvals import (
    Approval,
    ApprovalStatus,
    approval_id,
    inherited,
)
from rune_common.domain.events import EventDraft, Redacting, timestamp
from rune_common.domain.runs import HEARTBEAT_PATIENCE_MS, Outcome, Pause, Run, RunState, Trigger, transition

EXPIRED = "approval expired"
"""What an agent is told about a call that nobody decided about."""

REFUSED_OUTCOMES = {
    ApprovalStatus.DENIED: Outcome(RunState.FAILED, "APPROVAL_DENIED", "approval denied"),
    ApprovalStatus.EXPIRED: Outcome(RunState.FAILED, "APPROVAL_EXPIRED", EXPIRED),
}
_SETTLING = {
    ApprovalStatus.APPROVED: "approval_approved",
    ApprovalStatus.DENIED: "approval_denied",
    ApprovalStatus.EXPIRED: "approval_expired",
    ApprovalStatus.CANCELLED: "approval_cancelled",
    ApprovalStatus.SUPERSEDED: "approval_superseded",
}
_REASONS = {
    ApprovalStatus.EXPIRED: EXPIRED,
    ApprovalStatus.CANCELLED: "the run was stopped",
    ApprovalStatus.SUPERSEDED: "the subject changed",
}


def new_approval(
    run: Run,
    asked: Asked,
    policy: ApprovalPolicy,
    earlier: Sequence[Approval],
    *,
    requested_by: str,
    budget_remaining: Any,
    now_ms: int,
    redactor: Redacting,
) -> Approval:
    """The approval of one action, redacted; approved or denied at once where an earlier decision says so."""
    shown, redacted = _shown(asked, redactor)
    number = len(earlier) + 1
    seconds = policy.timeout_seconds if asked.timeout_seconds is None else asked.timeout_seconds
    found = Approval(
        approval_id=approval_id(run.run_id, number),
        run_id=run.run_id,
        pause_id=pause_id(run),
        gate=asked.gate,
        subject_digest=asked.digest,
        requested_at=now_ms,
        expires_at=now_ms + seconds * 1000,
        requested_by=requested_by,
        summary=str(redactor.value(asked.summary)[0]),
        shown={
            **shown,
            "subject": {**shown["subject"], "redacted": redacted},
            "budget_remaining": budget_remaining,
        },
        policy={"pack": policy.pack, "rule_id": policy.rule_id(asked.gate)},
        required_approvals=policy.required_approvals,
        approvers=policy.approvers,
        call_id=asked.call_id,
        alike=asked.alike,
        stops=policy.stops or asked.gate is Gate.COMMAND,
    )
    return inherited(found, earlier, now_ms)


def pause_id(run: Run) -> str:
    """Of the pause that the run is in, or will be in next."""
    return run.pause.pause_id if run.waits and run.pause else f"{run.run_id}-p{run.pauses + 1}"


def paused(run: Run, added: Sequence[Approval], *, now_ms: int) -> Run:
    """The run, waiting for what is pending among the new approvals. Raises IllegalTransition."""
    if run.waits and run.pause is not None:
        return with_due(run, added)
    waiting = replace(
        run,
        state=transition(run.state, Trigger.PAUSE),
        pauses=run.pauses + 1,
        pause=Pause(pause_id(run), now_ms, now_ms + HEARTBEAT_PATIENCE_MS),
        message="waiting for approval",
        heartbeat_at=None,
    )
    return with_due(waiting, added)


def with_due(run: Run, approvals: Sequence[Approval]) -> Run:
    """The run, due when the first of all its pending approvals expires."""
    ends = [each.expires_at for each in approvals if each.pending]
    if run.pause is None or not ends:
        return run
    return replace(run, pause=replace(run.pause, due=min(ends)))


def settled(run: Run, *, now_ms: int, resumes: bool) -> Run:
    """The run with nothing left to wait for; `resumes`: a state machine has to be told, or an attempt to be started.

    The state is left to the caller.
    """
    if run.pause is None or not run.waits:
        return run
    waited = run.waited_ms + max(0, now_ms - run.pause.since)
    pause = replace(run.pause, settled_at=now_ms) if resumes else None
    return replace(run, pause=pause, waited_ms=waited)


def gone_on(run: Run, approvals: Sequence[Approval], *, now_ms: int, resumes: bool) -> tuple[Run, EventDraft]:
    """Row 7: the last pending approval was settled. `approvals` are those of the pause. Raises IllegalTransition."""
    state = transition(run.state, Trigger.RESUME)
    ids = [each.approval_id for each in approvals]
    after = replace(settled(run, now_ms=now_ms, resumes=resumes), state=state, message="job is running")
    summary = "run resumed"
    return after, EventDraft("run_resumed", {"summary": summary, "approval_ids": ids}, ts=timestamp(now_ms))


def requested_event(approval: Approval) -> EventDraft:
    """Says that an approval is asked for, as it was when it was."""
    asked = replace(approval, status=ApprovalStatus.PENDING, settled_at=None, decisions=())
    payload = {
        "summary": f"approval requested: {approval.summary}",
        "approval_id": approval.approval_id,
        "pause_id": approval.pause_id,
        "gate": str(approval.gate),
        "subject_digest": approval.subject_digest,
        "expires_at": timestamp(approval.expires_at),
        "approval": asked.document(),
        "span": _span("approval.requested", approval),
    }
    return EventDraft(
        "approval_requested", payload, actor=approval.requested_by, ts=timestamp(approval.requested_at)
    )


def decision_event(approval: Approval) -> EventDraft:
    """Says what the newest decision was; it settles the approval unless it is a partial one."""
    made = approval.decisions[-1]
    kind = "approval_denied" if made.decision == "deny" else "approval_approved"
    inherits = {"inherited_from": made.inherited_from} if made.inherited_from else {}
    payload = {
        "summary": f"{kind.replace('_', ' ')}: {approval.summary}",
        "approval_id": approval.approval_id,
        "gate": str(approval.gate),
        "decision": made.decision,
        "reason": made.reason,
        "scope": made.scope,
        "subject_digest": made.subject_digest,
        **inherits,
        "span": _span(kind.replace("_", ".", 1), approval),
    }
    detail = {"kind": "human", "id": made.actor}
    return EventDraft(kind, payload, actor=made.actor, actor_detail=detail, ts=timestamp(made.at))


def closing_event(approval: Approval) -> EventDraft:
    """Says that an approval ended without a decision: expired, cancelled or superseded."""
    kind = _SETTLING[approval.status]
    payload = {
        "summary": f"{kind.replace('_', ' ')}: {approval.summary}",
        "approval_id": approval.approval_id,
        "gate": str(approval.gate),
        "reason": _REASONS[approval.status],
        "span": _span(kind.replace("_", ".", 1), approval),
    }
    when = None if approval.settled_at is None else timestamp(approval.settled_at)
    return EventDraft(kind, payload, ts=when)


def tool_decision(approval: Approval | None, call_id: str) -> dict[str, Any]:
    """What the driver is told about one pending call; a call without an approval is denied."""
    if approval is not None and approval.status is ApprovalStatus.APPROVED:
        return {"tool_call_id": call_id, "approved": True}
    expired = approval is not None and approval.status is ApprovalStatus.EXPIRED
    reason = EXPIRED if expired else (approval.reason if approval is not None else None)
    return {"tool_call_id": call_id, "approved": False, "feedback": reason or "not approved"}


def _shown(asked: Asked, redactor: Redacting) -> tuple[dict[str, Any], bool]:
    raw = {
        "subject": {"document": dict(asked.document)},
        "tool": dict(asked.tool) if asked.tool else None,
        "why": asked.why,
        "risk": asked.risk,
        "traffic_light": asked.traffic_light,
    }
    found, redactions = redactor.value(raw)
    return found, bool(redactions)


def _span(name: str, approval: Approval) -> Mapping[str, Any]:
    return {"name": name, "status": "ok", "labels": {"gate": str(approval.gate)}}
