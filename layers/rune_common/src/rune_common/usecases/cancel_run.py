"""Ask a run to stop, with or without grace (runs-api.md 2.6 rows 4, 8 and 9, 2.7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rune_common.domain.access import Principal
from rune_common.domain.actors import actor_of
from rune_common.domain.events import EventDraft, Redacting
from rune_common.domain.external_events import closing_events
from rune_common.domain.ports import Clock, RunChange, RunStore
from rune_common.domain.run_endings import end_run
from rune_common.domain.runs import Outcome, ReportedWork, Run, RunKind, RunState, Trigger, transition
from rune_common.usecases.change_run import Proposal, Seal, change_run, unsealed
from rune_common.usecases.close_chain import ended_chain
from rune_common.usecases.find_run import find_run
from rune_common.usecases.keyed_answers import Answer, KeyedAnswers
from rune_common.usecases.run_status import run_status, status_with
from rune_common.usecases.settle_approvals import cancel_pending

STOPPING, DONE = 202, 200
CANCELLED = Outcome(RunState.CANCELLED)


@dataclass(frozen=True, slots=True)
class Cancellation:
    """`grace_seconds` is what a worker gets to end by itself; with `force` it gets none."""

    reason: str | None = None
    force: bool = False
    grace_seconds: int = 30


def cancel_run(
    run_id: str,
    asked: Cancellation,
    caller: Principal,
    answers: KeyedAnswers,
    *,
    runs: RunStore,
    clock: Clock,
    redactor: Redacting,
    seal: Seal = unsealed,
) -> Answer:
    """The status: 202 while it is being cancelled, 200 once it is, with `already_terminal` if it had ended.

    `seal` adds the evidence of a run that ends here. Raises RunNotFound, IdempotencyKeyReused.
    """

    def act() -> Answer:
        find_run(run_id, caller, runs=runs)
        told: list[Answer] = []

        def decide(run: Run) -> Proposal | None:
            told.clear()
            if run.terminal or run.state is RunState.CANCELLING and not _forces(run, asked):
                return None
            proposal = seal(run, _stopped(run, asked, caller, runs, clock()))

            def claim(change: RunChange) -> Any:
                told.append(
                    _answer(change.after, status_with(run_status(run, runs=runs), change.events).document())
                )
                return answers.claim(run.run_id, told[-1])

            return replace(proposal, claim=claim)

        run = change_run(caller.tenant, run_id, decide, runs=runs, clock=clock, redactor=redactor)
        if told:
            return told[-1]
        document = run_status(run, runs=runs).document()
        ended = {"already_terminal": True} if run.terminal else {}
        return answers.keep(run_id, _answer(run, {**document, **ended}))

    return answers.once(act)


def _answer(run: Run, document: Mapping[str, Any]) -> Answer:
    return Answer(DONE if run.terminal else STOPPING, document)


def _forces(run: Run, asked: Cancellation) -> bool:
    """A second cancel may take away the grace that the first one gave; only a client has any to lose."""
    return run.kind is RunKind.EXTERNAL and (asked.force or asked.grace_seconds == 0)


def _stopped(run: Run, asked: Cancellation, caller: Principal, runs: RunStore, now_ms: int) -> Proposal:
    if run.state is RunState.QUEUED:
        ended, drafts = end_run(run, Trigger.CANCEL_QUEUED, CANCELLED, now_ms=now_ms)
        chain = ended_chain(run, runs, now_ms=now_ms)
        return Proposal(ended, [_requested(asked, caller), *drafts], forget_request=True, chain=chain)
    requested = [] if run.state is RunState.CANCELLING else [_requested(asked, caller)]
    stopping = (
        run if run.state is RunState.CANCELLING else replace(run, state=transition(run.state, Trigger.CANCEL))
    )
    if run.waits:
        undecided = cancel_pending(stopping, runs, now_ms)
        grace = 0 if _forces(run, asked) else asked.grace_seconds * 1000
        stop_by = now_ms + grace if run.kind is RunKind.EXTERNAL else None
        after = replace(undecided.run, stop_by=stop_by)
        return replace(undecided, run=after, drafts=[*requested, *undecided.drafts])
    if run.kind is not RunKind.EXTERNAL:
        return Proposal(stopping, requested)
    if not _forces(run, asked):
        return Proposal(replace(stopping, stop_by=now_ms + asked.grace_seconds * 1000), requested)
    return ended_cancelled(stopping, requested, now_ms=now_ms)


def ended_cancelled(run: Run, before: list[EventDraft], *, now_ms: int) -> Proposal:
    """The end of a client's run that is being cancelled; `before` are the events that go first."""
    closing = closing_events(run.reported)
    ended, drafts = end_run(run, Trigger.STOPPED, CANCELLED, now_ms=now_ms)
    ended = replace(ended, reported=ReportedWork(run.reported.terminal_seq), stop_by=None)
    return Proposal(ended, [*before, *closing, *drafts], forget_request=True)


def _requested(asked: Cancellation, caller: Principal) -> EventDraft:
    payload = {
        "summary": "cancel requested",
        "reason": asked.reason,
        "mode": "force" if asked.force else "graceful",
        "grace_seconds": 0 if asked.force else asked.grace_seconds,
        "span": {"name": "job.cancel_requested", "status": "ok", "labels": {}},
    }
    return EventDraft("cancel_requested", payload, actor_detail=actor_of(caller))
