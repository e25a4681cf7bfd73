"""Approvals on the wire (runs-api.md 6.3, 6.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from rune_common.domain.approvals import MAX_PENDING, Decision
from rune_common.domain.errors import FieldProblem, InvalidRequest
from rune_common.http.schemas.create_run import Strict
from rune_common.http.schemas.run_status import RunStatusView
from rune_common.http.schemas.strict_fields import parsed
from rune_common.usecases.decide_approvals import NamedDecision

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class DecideApproval(Strict):
    """One decision. To approve, name the approval or the digest of what is approved; to deny, give a reason."""

    approval_id: str | None = Field(None, min_length=1, max_length=128)
    subject_digest: Digest | None = None
    decision: Literal["approve", "deny"]
    reason: str | None = Field(None, min_length=1, max_length=2000)
    scope: Literal["once", "run"] = "once"

    def named(self, path: str = "") -> NamedDecision:
        """Raises InvalidRequest; `path` goes before the names of fields."""
        if self.decision == "deny" and self.reason is None:
            raise InvalidRequest(FieldProblem(f"{path}reason", "missing", "is required to deny"))
        if self.decision == "approve" and self.approval_id is None and self.subject_digest is None:
            raise InvalidRequest(
                FieldProblem(f"{path}approval_id", "missing", "or subject_digest is required")
            )
        decision = Decision(self.decision == "approve", self.reason, self.scope, self.subject_digest)
        return NamedDecision(decision, self.approval_id)


class DecideApprovals(Strict):
    """Several decisions, each for itself."""

    decisions: list[DecideApproval] = Field(min_length=1, max_length=MAX_PENDING)


class ApprovalView(BaseModel):
    """Every member is present; what is not known is null. `subject.document` and `tool` are redacted."""

    approval_id: str
    run_id: str
    target_run_id: str | None
    pause_id: str | None
    loop_id: str | None
    iteration: int | None
    gate: Literal["tool_call", "command", "edit", "git_commit", "git_push", "git_pr", "continue_loop"]
    status: Literal["pending", "approved", "denied", "expired", "superseded", "cancelled"]
    requested_at: str
    expires_at: str
    settled_at: str | None
    requested_by: str
    summary: str
    why: str | None
    risk: Literal["low", "medium", "high"] | None
    traffic_light: Literal["green", "yellow", "red"] | None
    subject: dict[str, Any]
    tool: dict[str, Any] | None
    budget_remaining: dict[str, Any] | None
    policy: dict[str, Any]
    required_approvals: int
    approvers: list[str]
    decisions: list[dict[str, Any]]
    superseded_by: str | None
    on_timeout: Literal["deny"]


class ApprovalsView(BaseModel):
    run_id: str
    approvals: list[ApprovalView]


class DecidedView(BaseModel):
    approval: ApprovalView
    run: RunStatusView


class DecisionResultView(BaseModel):
    """`approval` where the decision holds, else `error` as in an error's answer."""

    approval_id: str | None
    ok: bool
    approval: ApprovalView | None = None
    error: dict[str, Any] | None = None


class DecisionResultsView(BaseModel):
    results: list[DecisionResultView]
    run: RunStatusView


def parse_decisions(members: Mapping[str, Any]) -> tuple[list[NamedDecision], bool, tuple[str, ...]]:
    """The decisions, whether they came as a list, and the names of what has no meaning. Raises InvalidRequest."""
    if members.get("decisions") is None:
        one = parsed(DecideApproval, members)
        return [one.value.named()], False, one.ignored
    several = parsed(DecideApprovals, members)
    named = [each.named(f"decisions.{place}.") for place, each in enumerate(several.value.decisions)]
    return named, True, several.ignored
