"""Approvals: what was asked for, and the one way to settle it (runs-api.md 6)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from rune_common.domain.access import Principal
from rune_common.domain.approval_errors import (
    ApprovalAlreadyDecided,
    ApprovalExpired,
    ApproverNotPermitted,
    SelfApprovalForbidden,
    SubjectChanged,
)
from rune_common.domain.approval_policy import Gate
from rune_common.domain.canonical import canonical_json, normalise
from rune_common.domain.errors import RunTerminal
from rune_common.domain.events import timestamp

MAX_PENDING = 30
"""Pending approvals of one run (runs-api.md 15)."""


class ApprovalStatus(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Decided:
    """One person's decision; `decision` is `approve`, `deny`, or `partial` for one that settled nothing."""

    actor: str
    decision: str
    reason: str | None
    scope: str
    at: int
    subject_digest: str
    inherited_from: str | None = None

    def document(self) -> dict[str, Any]:
        inherited = {"inherited_from": self.inherited_from} if self.inherited_from else {}
        return {
            "actor": self.actor,
            "at": timestamp(self.at),
            "decision": self.decision,
            "reason": self.reason,
            "scope": self.scope,
            "subject_digest": self.subject_digest,
            **inherited,
        }


@dataclass(frozen=True, slots=True)
class Approval:
    """A question to people about one action, bound to the digest of exactly what would be done.

    Times are epoch ms. `shown` is what everybody may see of the subject, redacted: the members `subject`
    (without kind and digest), `tool`, `why`, `risk`, `traffic_light` and `budget_remaining`. `alike` is the
    digest of a tool's name and parameters, which later calls may share; `stops`: a refusal ends the run.
    """

    approval_id: str
    run_id: str
    pause_id: str
    gate: Gate
    subject_digest: str
    requested_at: int
    expires_at: int
    requested_by: str
    summary: str
    status: ApprovalStatus = ApprovalStatus.PENDING
    settled_at: int | None = None
    shown: Mapping[str, Any] = field(default_factory=dict)
    policy: Mapping[str, Any] = field(default_factory=dict)
    required_approvals: int = 1
    approvers: tuple[str, ...] = ()
    decisions: tuple[Decided, ...] = ()
    superseded_by: str | None = None
    target_run_id: str | None = None
    loop_id: str | None = None
    iteration: int | None = None
    call_id: str = ""
    alike: str = ""
    stops: bool = False

    @property
    def pending(self) -> bool:
        return self.status is ApprovalStatus.PENDING

    @property
    def number(self) -> int:
        """Its place among the run's approvals, from 1."""
        return int(self.approval_id.rpartition("-a")[2])

    @property
    def scope_run(self) -> bool:
        """Whether it was approved for every later call that is alike."""
        return self.status is ApprovalStatus.APPROVED and any(each.scope == "run" for each in self.decisions)

    @property
    def reason(self) -> str | None:
        """Why it was refused, in the words of whoever did."""
        return next((each.reason for each in self.decisions if each.decision == "deny"), None)

    def document(self) -> dict[str, Any]:
        """The approval object of runs-api.md 6.3."""
        subject = self.shown.get("subject") or {}
        return {
            "approval_id": self.approval_id,
            "run_id": self.run_id,
            "target_run_id": self.target_run_id,
            "pause_id": self.pause_id,
            "loop_id": self.loop_id,
            "iteration": self.iteration,
            "gate": str(self.gate),
            "status": str(self.status),
            "requested_at": timestamp(self.requested_at),
            "expires_at": timestamp(self.expires_at),
            "settled_at": None if self.settled_at is None else timestamp(self.settled_at),
            "requested_by": self.requested_by,
            "summary": self.summary,
            **{name: self.shown.get(name) for name in ("why", "risk", "traffic_light")},
            "subject": {
                "kind": str(self.gate),
                "digest": self.subject_digest,
                "document": subject.get("document"),
                "redacted": bool(subject.get("redacted")),
                "files": list(subject.get("files") or ()),
                "diffstat": subject.get("diffstat"),
                "artifact_id": subject.get("artifact_id"),
            },
            "tool": self.shown.get("tool"),
            "budget_remaining": self.shown.get("budget_remaining"),
            "policy": dict(self.policy),
            "required_approvals": self.required_approvals,
            "approvers": list(self.approvers),
            "decisions": [each.document() for each in self.decisions],
            "superseded_by": self.superseded_by,
            "on_timeout": "deny",
        }


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody decides. `subject_digest` is what they were shown, if they say so."""

    approve: bool
    reason: str | None = None
    scope: str = "once"
    subject_digest: str | None = None

    @property
    def word(self) -> str:
        return "approve" if self.approve else "deny"


@dataclass(frozen=True, slots=True)
class DecisionRules:
    """What a decision depends on beside the approval. `creators` may deny but not approve unless `allow_self`."""

    creators: frozenset[str]
    allow_self: bool = False
    run_terminal: bool = False


def approval_id(run_id: str, number: int) -> str:
    """`number` from 1 counts the approvals of a run."""
    return f"{run_id}-a{number}"


def subject_digest(document: Mapping[str, Any]) -> str:
    """SHA-256 of the RFC 8785 form of what would be done, 64 hex digits; taken before redaction."""
    return hashlib.sha256(canonical_json(normalise(dict(document), strict=False))).hexdigest()


def settle_approval(
    approval: Approval, decision: Decision, actor: Principal, rules: DecisionRules, now_ms: int
) -> Approval:
    """The approval after a decision; unchanged when it repeats one, still pending after a partial one.

    Checks are made in the order of runs-api.md 6.5. Raises ApproverNotPermitted, SelfApprovalForbidden,
    ApprovalAlreadyDecided, ApprovalExpired, RunTerminal, SubjectChanged.
    """
    if actor.kind != "human":
        raise ApproverNotPermitted
    if approval.approvers and actor.subject not in approval.approvers:
        raise ApproverNotPermitted
    if decision.approve and actor.subject in rules.creators and not rules.allow_self:
        raise SelfApprovalForbidden
    if _repeats(approval, decision, actor):
        return approval
    if approval.status in (ApprovalStatus.APPROVED, ApprovalStatus.DENIED, ApprovalStatus.CANCELLED):
        raise ApprovalAlreadyDecided
    if approval.status is ApprovalStatus.EXPIRED or (approval.pending and now_ms >= approval.expires_at):
        raise ApprovalExpired
    if rules.run_terminal:
        raise RunTerminal(approval.run_id)
    if not approval.pending or decision.subject_digest not in (None, approval.subject_digest):
        raise SubjectChanged(approval.superseded_by)
    return _decided(approval, decision, actor.subject, now_ms)


def inherited(approval: Approval, earlier: Sequence[Approval], now_ms: int) -> Approval:
    """A new approval, approved at once if somebody approved calls like it for the whole run.

    What was denied stays denied: the same digest is refused at once.
    """
    denied = next((each for each in earlier if _denies(each, approval)), None)
    if denied is not None:
        said = denied.decisions[-1]
        refused = replace(said, at=now_ms, inherited_from=denied.approval_id)
        return replace(approval, status=ApprovalStatus.DENIED, settled_at=now_ms, decisions=(refused,))
    source = next(
        (each for each in earlier if approval.alike and each.alike == approval.alike and each.scope_run), None
    )
    if source is None:
        return approval
    who = next(each.actor for each in source.decisions if each.scope == "run")
    made = Decided(who, "approve", None, "once", now_ms, approval.subject_digest, source.approval_id)
    return replace(approval, status=ApprovalStatus.APPROVED, settled_at=now_ms, decisions=(made,))


def expired(approval: Approval, now_ms: int) -> Approval:
    """The approval, expired if its time is over and nobody settled it."""
    if not approval.pending or now_ms < approval.expires_at:
        return approval
    return replace(approval, status=ApprovalStatus.EXPIRED, settled_at=now_ms)


def cancelled(approval: Approval, now_ms: int) -> Approval:
    return (
        replace(approval, status=ApprovalStatus.CANCELLED, settled_at=now_ms)
        if approval.pending
        else approval
    )


def _denies(earlier: Approval, approval: Approval) -> bool:
    return earlier.status is ApprovalStatus.DENIED and earlier.subject_digest == approval.subject_digest


def _repeats(approval: Approval, decision: Decision, actor: Principal) -> bool:
    if approval.status not in (ApprovalStatus.PENDING, ApprovalStatus.APPROVED, ApprovalStatus.DENIED):
        return False
    same = (decision.word, "partial") if decision.approve else (decision.word,)
    return decision.subject_digest in (None, approval.subject_digest) and any(
        each.actor == actor.subject and each.decision in same for each in approval.decisions
    )


def _decided(approval: Approval, decision: Decision, subject: str, now_ms: int) -> Approval:
    others = {each.actor for each in approval.decisions if each.decision == "partial"}
    enough = not decision.approve or len(others | {subject}) >= approval.required_approvals
    word = decision.word if enough else "partial"
    made = Decided(subject, word, decision.reason, decision.scope, now_ms, approval.subject_digest)
    known = replace(approval, decisions=(*approval.decisions, made))
    if not enough:
        return known
    status = ApprovalStatus.APPROVED if decision.approve else ApprovalStatus.DENIED
    return replace(known, status=status, settled_at=now_ms)
