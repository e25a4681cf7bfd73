"""The one way to change a run: read, decide, commit, and again if somebody else was first (runs-api.md 13)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rune_common.domain.approvals import Approval
from rune_common.domain.chains import ChainState
from rune_common.domain.errors import RunChanged, RunNotFound
from rune_common.domain.events import (
    MAX_EVENTS_PER_APPEND,
    Event,
    EventDraft,
    Redacting,
    append_event,
    total_usage,
)
from rune_common.domain.ports import Clock, IdempotencyClaim, Producer, RunChange, RunStore
from rune_common.domain.runs import Run
from rune_common.usecases.run_status import keep_snapshot_of

ATTEMPTS = 60


@dataclass(frozen=True, slots=True)
class Proposal:
    """What shall become of a run: its fields, and the events that say so. Head and revision are filled in."""

    run: Run
    drafts: Sequence[EventDraft] = ()
    result: Mapping[str, Any] | None = None
    forget_request: bool = False
    chain: ChainState | None = None
    producers: Sequence[Producer] = ()
    claim: Callable[[RunChange], IdempotencyClaim | None] | None = None
    """Makes the idempotency key's record, which holds the answer, from the change as it will be written."""

    approvals: Sequence[Approval] = ()
    conversation: Mapping[str, Any] | None = None


Decide = Callable[[Run], Proposal | None]
"""Looks at the run as it is now; None means that nothing is to be done."""

Seal = Callable[[Run, Proposal], Proposal]
"""Completes what ends a run, given the run before it; any other proposal is passed on as it is."""


def unsealed(before: Run, proposal: Proposal) -> Proposal:
    return proposal


def change_run(
    tenant: str, run_id: str, decide: Decide, *, runs: RunStore, clock: Clock, redactor: Redacting
) -> Run:
    """Carry out what `decide` proposes, on a fresh reading each time. Returns the run as it then is.

    Raises RunNotFound, whatever `decide` raises, IdempotencyKeyTaken, and RunChanged if others win too often in
    a row.
    """
    written: Run | None = None
    for _ in range(ATTEMPTS):
        run = runs.get(tenant, run_id)
        if run is None:
            raise RunNotFound(run_id)
        if run == written:
            return run  # the answer to the last commit was lost, the commit was not
        proposal = decide(run)
        if proposal is None:
            return run
        change = plan_change(run, proposal, now_ms=clock(), redactor=redactor)
        written = change.after
        try:
            runs.commit(change)
        except RunChanged:
            continue
        keep_snapshot_of(change, runs)
        return written
    raise RunChanged(run_id)


def plan_change(run: Run, proposal: Proposal, *, now_ms: int, redactor: Redacting) -> RunChange:
    """The transaction that a proposal means: at most 40 events, linked to the run's log."""
    if len(proposal.drafts) > MAX_EVENTS_PER_APPEND:
        raise ValueError("too many events in one append")
    head, events = run.head, []
    for draft in proposal.drafts:
        event, head = append_event(head, draft, now_ms=now_ms, redactor=redactor)
        events.append(event)
    after = replace(
        proposal.run,
        head=head,
        revision=run.revision + 1,
        updated_at=max(now_ms, run.updated_at),
        usage=total_usage(run.usage, (draft.usage for draft in proposal.drafts)),
        redactions=run.redactions + sum(event.redactions for event in events),
    )
    change = RunChange(
        before=run,
        after=after,
        events=tuple[Event, ...](events),
        producers=(
            *(
                Producer(draft.producer_key, event.sequence, draft.producer_digest)
                for draft, event in zip(proposal.drafts, events, strict=True)
                if draft.producer_key
            ),
            *proposal.producers,
        ),
        result=proposal.result,
        forget_request=proposal.forget_request,
        chain=proposal.chain,
        approvals=tuple(proposal.approvals),
        conversation=proposal.conversation,
        artifacts=tuple(
            artifact if artifact.created_at else replace(artifact, created_at=now_ms)
            for draft in proposal.drafts
            for artifact in draft.artifacts
        ),
    )
    return replace(change, claim=proposal.claim(change)) if proposal.claim else change
