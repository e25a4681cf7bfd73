"""The last step of every execution: status, result and terminal event in one transaction (runs-api.md 2.6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rune_common.domain.approvals import ApprovalStatus
from rune_common.domain.driver_protocol import RUN_DEADLINE, RUN_TIMED_OUT
from rune_common.domain.errors import RunFailure, RunNotFound
from rune_common.domain.events import MAX_EVENTS_PER_APPEND, EventDraft, Redacting
from rune_common.domain.external_events import closing_events
from rune_common.domain.pauses import EXPIRED, REFUSED_OUTCOMES
from rune_common.domain.ports import Clock, RunStore
from rune_common.domain.run_endings import NO_OUTCOME, end_run
from rune_common.domain.runs import Outcome, ReportedWork, Run, RunKind, RunState, Trigger
from rune_common.domain.tool_results import aborted_call, refused_call
from rune_common.usecases.attempt_repeats import LOST_ERRORS, is_expired, is_repeated
from rune_common.usecases.change_run import Proposal, Seal, change_run, unsealed
from rune_common.usecases.close_chain import close_chain, ended_chain
from rune_common.usecases.job_results import final_result
from rune_common.usecases.phase import warned
from rune_common.usecases.settle_approvals import cancel_pending
from rune_common.usecases.teardown_backend import TEARDOWN_PENDING
from rune_common.usecases.whole_log import whole_log

WORKER_LOST = Outcome(RunState.FAILED, "WORKER_LOST", "worker lost")
NEVER_STARTED = Outcome(RunState.FAILED, "START_FAILED", "job could not be started")
REFUSALS = frozenset(each.error_code for each in REFUSED_OUTCOMES.values())
TIMED_OUT = Outcome(RunState.FAILED, RUN_DEADLINE.run, RUN_TIMED_OUT)


def note_failure(
    tenant: str, run_id: str, failure: RunFailure, *, runs: RunStore, clock: Clock, redactor: Redacting
) -> None:
    """Keep why a step failed, for `record_outcome`: a state machine carries only the error's name."""

    def decide(run: Run) -> Proposal | None:
        if run.terminal or run.outcome is not None:
            return None
        return Proposal(replace(run, outcome=Outcome(RunState.FAILED, failure.run_code, failure.text)))

    change_run(tenant, run_id, decide, runs=runs, clock=clock, redactor=redactor)


def record_outcome(
    tenant: str,
    run_id: str,
    *,
    error: str | None,
    runs: RunStore,
    clock: Clock,
    redactor: Redacting,
    seal: Seal = unsealed,
) -> bool:
    """End the run. `error` is the state machine's error name, None after success; `seal` adds its evidence.

    True when the agent is to be asked again instead: its attempt was lost before its first model call.
    """
    run = runs.get(tenant, run_id)
    if run is None:
        raise RunNotFound(run_id)
    if is_repeated(run, error, now_ms=clock()):
        return True
    refused = run.outcome is not None and run.outcome.error_code in REFUSALS
    if not run.terminal and (error or run.outcome is None or refused or run.kind is RunKind.CHAIN):
        _close_open_calls(run, runs=runs, clock=clock, redactor=redactor)
    if run.kind is RunKind.CHAIN and not run.terminal and run.state is not RunState.QUEUED:
        outcome = _outcome(run, error, clock())
        run = close_chain(run, outcome, runs=runs, clock=clock, redactor=redactor)
    stored = runs.result(tenant, run_id) if run.has_result and not run.terminal else None

    def decide(run: Run) -> Proposal | None:
        if run.terminal:
            return None
        undecided = cancel_pending(run, runs, clock())
        ending = _ending(undecided.run, _outcome(run, error, clock()), stored, now_ms=clock())
        drafts = [*undecided.drafts, *closing_events(run.reported), *ending.drafts]
        ended = replace(ending.run, reported=ReportedWork(run.reported.terminal_seq))
        ending = replace(ending, run=ended, drafts=drafts, approvals=undecided.approvals)
        return seal(run, replace(ending, chain=ended_chain(run, runs, now_ms=clock())))

    change_run(tenant, run_id, decide, runs=runs, clock=clock, redactor=redactor)
    return False


def _refused_calls(run: Run, runs: RunStore) -> dict[str, str]:
    """Calls that were denied or not decided about in time, with the reason."""
    if not run.pauses:
        return {}
    found = runs.approvals(run.tenant, run.run_id)
    return {
        each.call_id: each.reason or EXPIRED
        for each in found
        if each.status in (ApprovalStatus.DENIED, ApprovalStatus.EXPIRED)
    }


def _outcome(run: Run, error: str | None, now_ms: int) -> Outcome:
    if run.outcome is not None:
        return run.outcome
    if run.state is RunState.QUEUED:
        return NEVER_STARTED
    if is_expired(run, now_ms):
        return TIMED_OUT
    return WORKER_LOST if error in LOST_ERRORS else NO_OUTCOME


def _ending(run: Run, outcome: Outcome, stored: Mapping[str, Any] | None, *, now_ms: int) -> Proposal:
    """The terminal transaction of a run that has not ended. A cancel that came first wins (jobs-api.md 4.7).

    What is still rented without a lease is the reaper's from now on, and the run says so (G3).
    """
    left = any(rental.open and not rental.leased(now_ms) for rental in run.rentals)
    warning = warned(run, TEARDOWN_PENDING) if left else None
    run = warning.run if warning else run
    if run.state is RunState.CANCELLING:
        trigger = Trigger.STOPPED
    elif run.state is RunState.QUEUED:
        trigger = Trigger.NEVER_STARTED
    else:
        trigger = Trigger.COMPLETE if outcome.status is RunState.SUCCEEDED else Trigger.FAIL
    ended, drafts = end_run(run, trigger, outcome, now_ms=now_ms)
    result = final_result(ended, stored, now_ms=now_ms)
    return Proposal(
        replace(ended, has_result=ended.has_result or result is not None),
        [*(warning.drafts if warning else ()), *drafts],
        result=result,
        forget_request=True,
    )


def _close_open_calls(run: Run, *, runs: RunStore, clock: Clock, redactor: Redacting) -> None:
    """A result for every tool call that a lost attempt left open (runs-api.md 3.2)."""
    names: dict[tuple[str | None, str], str] = {}
    for event in whole_log(run, runs):
        if event.type in ("tool_call", "tool_result"):
            document = event.document()
            payload = document["payload"]
            call = (document.get("step_id"), payload["call_id"])
            if event.type == "tool_call":
                names[call] = payload["tool_name"]
            else:
                names.pop(call, None)
    refused = _refused_calls(run, runs)
    drafts = [
        replace(
            refused_call(call_id, name, refused[call_id])
            if call_id in refused
            else aborted_call(call_id, name),
            step_id=step_id,
        )
        for (step_id, call_id), name in names.items()
    ]
    for start in range(0, len(drafts), MAX_EVENTS_PER_APPEND):
        batch = drafts[start : start + MAX_EVENTS_PER_APPEND]

        def decide(run: Run, batch: Sequence[EventDraft] = batch) -> Proposal | None:
            return None if run.terminal else Proposal(run, batch)

        change_run(run.tenant, run.run_id, decide, runs=runs, clock=clock, redactor=redactor)
