"""What becomes of a run when its approvals are settled (runs-api.md 2.6 rows 6 to 8 and 11, 6.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rune_common.domain.approval_policy import ApprovalPolicy
from rune_common.domain.approval_subjects import Asked
from rune_common.domain.approvals import Approval, ApprovalStatus, cancelled, expired
from rune_common.domain.events import MAX_EVENTS_PER_APPEND, EventDraft, Redacting
from rune_common.domain.pauses import (
    REFUSED_OUTCOMES,
    closing_event,
    decision_event,
    gone_on,
    new_approval,
    paused,
    requested_event,
    settled,
    with_due,
)
from rune_common.domain.ports import BlobStore, Clock, RunStore
from rune_common.domain.runs import Run, RunKind, RunState
from rune_common.usecases.change_run import Proposal, change_run
from rune_common.usecases.fit_draft import fit_draft
from rune_common.usecases.run_status import run_status

EVENTS_OF_ONE = 2
"""An approval's request, and its decision where an earlier one covers it."""


@dataclass(frozen=True, slots=True)
class AskingPorts:
    runs: RunStore
    blobs: BlobStore
    clock: Clock
    redactor: Redacting


def ask_approvals(
    run: Run,
    asked: Sequence[Asked],
    policy: ApprovalPolicy,
    ports: AskingPorts,
    *,
    requested_by: str,
    conversation: Mapping[str, Any] | None = None,
    before: Sequence[EventDraft] = (),
) -> Proposal:
    """The run, waiting for people; it goes on at once where earlier decisions cover everything (row 6).

    `before` are events that go first. Raises IllegalTransition for a run that cannot wait.
    """
    now = ports.clock()
    earlier = list(ports.runs.approvals(run.tenant, run.run_id))
    remaining = run_status(run, runs=ports.runs).document()["budget"]["remaining"]
    made: list[Approval] = []
    drafts = list(before)
    for each in asked:
        if len(drafts) > MAX_EVENTS_PER_APPEND - EVENTS_OF_ONE - 1:
            break  # what is left over has no approval, and so is refused
        approval = new_approval(
            run,
            each,
            policy,
            [*earlier, *made],
            requested_by=requested_by,
            budget_remaining=remaining,
            now_ms=now,
            redactor=ports.redactor,
        )
        draft = fit_draft(
            requested_event(approval), run.tenant, run.run_id, blobs=ports.blobs, redactor=ports.redactor
        )
        made.append(as_logged(approval, draft))
        drafts += [draft, *([] if approval.pending else [decision_event(approval)])]
    return replace(waiting_proposal(run, earlier, made, drafts, now), conversation=conversation)


def waiting_proposal(
    run: Run, earlier: Sequence[Approval], made: Sequence[Approval], drafts: Sequence[EventDraft], now_ms: int
) -> Proposal:
    """The run, waiting for what is pending among the approvals `made`. Raises IllegalTransition."""
    found = [*earlier, *made]
    return _after(paused(run, found, now_ms=now_ms), found, made, drafts, now_ms)


def settled_proposal(
    run: Run,
    found: Sequence[Approval],
    changed: Sequence[Approval],
    drafts: Sequence[EventDraft],
    now_ms: int,
) -> Proposal:
    """The run after some of its approvals were settled; `found` are all as they were before.

    A refusal that stops the run cancels what is pending and leaves an outcome for the run's last step.
    """
    newer = {each.approval_id: each for each in changed}
    return _after(run, [newer.get(each.approval_id, each) for each in found], changed, drafts, now_ms)


def cancel_pending(run: Run, runs: RunStore, now_ms: int) -> Proposal:
    """The run with its pending approvals cancelled; its state is left to the caller."""
    if not run.waits:
        return Proposal(run)
    gone = [cancelled(each, now_ms) for each in runs.approvals(run.tenant, run.run_id) if each.pending]
    after = settled(run, now_ms=now_ms, resumes=run.kind is not RunKind.EXTERNAL)
    return Proposal(after, [closing_event(each) for each in gone], approvals=gone)


def stop_waiting(tenant: str, run_id: str, *, runs: RunStore, clock: Clock, redactor: Redacting) -> None:
    """Cancel what an external run waits for, whose client has ended its work all the same."""

    def decide(run: Run) -> Proposal | None:
        if run.state is not RunState.AWAITING_APPROVAL:
            return None
        now = clock()
        found = runs.approvals(tenant, run_id)
        gone = [cancelled(each, now) for each in found if each.pending]
        return settled_proposal(run, found, gone, [closing_event(each) for each in gone], now)

    change_run(tenant, run_id, decide, runs=runs, clock=clock, redactor=redactor)


def expire_approvals(tenant: str, run_id: str, *, runs: RunStore, clock: Clock, redactor: Redacting) -> None:
    """Settle what nobody decided about in time. Repeating changes nothing."""

    def decide(run: Run) -> Proposal | None:
        if run.state is not RunState.AWAITING_APPROVAL:
            return None
        now = clock()
        found = runs.approvals(tenant, run_id)
        changed = [after for each in found if each.pending and not (after := expired(each, now)).pending]
        if not changed and any(each.pending for each in found):
            return None
        return settled_proposal(run, found, changed, [closing_event(each) for each in changed], now)

    change_run(tenant, run_id, decide, runs=runs, clock=clock, redactor=redactor)


def _after(
    run: Run,
    found: Sequence[Approval],
    changed: Sequence[Approval],
    drafts: Sequence[EventDraft],
    now_ms: int,
) -> Proposal:
    external = run.kind is RunKind.EXTERNAL
    approvals, events = list(changed), list(drafts)
    stopping = next((each for each in changed if each.stops and each.status in REFUSED_OUTCOMES), None)
    if stopping is not None and not external:
        run = replace(run, outcome=REFUSED_OUTCOMES[ApprovalStatus(stopping.status)])
        gone = [cancelled(each, now_ms) for each in found if each.pending]
        approvals += gone
        events += [closing_event(each) for each in gone]
        newer = {each.approval_id: each for each in gone}
        found = [newer.get(each.approval_id, each) for each in found]
    if any(each.pending for each in found):
        return Proposal(with_due(run, found), events, approvals=approvals)
    if run.state is RunState.AWAITING_APPROVAL and run.pause is not None:
        of_pause = [each for each in found if each.pause_id == run.pause.pause_id]
        run, resumed = gone_on(run, of_pause, now_ms=now_ms, resumes=not external)
        events.append(resumed)
    return Proposal(run, events, approvals=approvals)


def as_logged(approval: Approval, draft: EventDraft) -> Approval:
    """The approval with what is shown of it as the log has it: without what was too large."""
    logged = draft.payload["approval"]
    names = ("subject", "tool", "why", "risk", "traffic_light", "budget_remaining")
    return replace(approval, shown={name: logged.get(name) for name in names})
