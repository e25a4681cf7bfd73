"""Refusals of decisions (runs-api.md 6.5, 14); they belong to the tree of `errors`."""

from __future__ import annotations

from rune_common.domain.errors import Conflict, Forbidden, NotFound, RuneError


class ApproverNotPermitted(Forbidden):
    code = "approver_not_permitted"


class SelfApprovalForbidden(Forbidden):
    """Whoever asked for the work does not also allow what it does."""

    code = "self_approval_forbidden"


class ApprovalNotFound(NotFound):
    code = "approval_not_found"


class ApprovalAmbiguous(Conflict):
    """Several approvals are pending and none is named."""

    code = "approval_ambiguous"


class ApprovalAlreadyDecided(Conflict):
    code = "approval_already_decided"


class SubjectChanged(Conflict):
    """What would be done is not what was decided about; `superseded_by` is the approval to decide instead."""

    code = "subject_changed"

    def __init__(self, superseded_by: str | None = None) -> None:
        super().__init__(self.code)
        self.superseded_by = superseded_by


class TooManyPendingApprovals(Conflict):
    code = "too_many_pending_approvals"


class ApprovalExpired(RuneError):
    code = "approval_expired"
