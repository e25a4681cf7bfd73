"""Approvals that the clients of external runs ask for (runs-api.md 2.7, 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rune_common.domain.approval_errors import TooManyPendingApprovals
from rune_common.domain.approval_policy import ApprovalPolicy, Gate
from rune_common.domain.approval_subjects import Asked
from rune_common.domain.approvals import MAX_PENDING, Approval
from rune_common.domain.events import EventDraft, Redacting
from rune_common.domain.external_events import ExternalDraft, draft_time
from rune_common.domain.pauses import decision_event, new_approval, requested_event
from rune_common.domain.ports import BlobStore
from rune_common.domain.runs import Run
from rune_common.usecases.fit_draft import fit_draft
from rune_common.usecases.settle_approvals import as_logged

APPROVAL = "approval_requested"


def external_approval(
    run: Run,
    draft: ExternalDraft,
    policy: ApprovalPolicy,
    earlier: Sequence[Approval],
    *,
    subject: str,
    now_ms: int,
    blobs: BlobStore,
    redactor: Redacting,
) -> tuple[Approval, list[EventDraft]]:
    """The approval that a draft asks for, with its events; refused at once if its digest was denied before.

    The digest is the client's: it alone knows what it will do. Raises TooManyPendingApprovals.
    """
    if sum(each.pending for each in earlier) >= MAX_PENDING:
        raise TooManyPendingApprovals(run.run_id)
    approval = new_approval(
        run,
        _asked(draft),
        policy,
        earlier,
        requested_by=draft.actor or subject,
        budget_remaining=None,
        now_ms=now_ms,
        redactor=redactor,
    )
    event = replace(
        requested_event(approval),
        producer_key=draft.producer_key,
        producer_digest=draft.digest,
        actor_detail=draft.actor_detail,
        stage=draft.stage,
        iteration=draft.iteration,
        ts=draft_time(draft.sent_at, now_ms),
    )
    fitted = fit_draft(event, run.tenant, run.run_id, blobs=blobs, redactor=redactor)
    return as_logged(approval, fitted), [fitted, *([] if approval.pending else [decision_event(approval)])]


def approval_ids(found: Sequence[Approval]) -> dict[str, str]:
    """The ids of approvals by the producer keys under which they were asked for."""
    return {each.call_id: each.approval_id for each in found if each.call_id}


def _asked(draft: ExternalDraft) -> Asked:
    told = draft.payload
    return Asked(
        Gate(told["gate"]),
        told.get("subject") or {},
        told["summary"],
        why=told.get("why"),
        risk=told.get("risk"),
        call_id=draft.producer_key,
        digest_given=told["subject_digest"],
        timeout_seconds=told.get("timeout_seconds"),
    )
