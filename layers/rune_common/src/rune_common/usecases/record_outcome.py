"""The last step of every execution: status, result and terminal event in one transaction (runs-api.md 2.6)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rune_common.domain.agent_events import aborted_call
from rune_common.domain.driver_protocol import RUN_DEADLINE, RUN_TIMED_OUT
from rune_common.domain.errors import RunFailure, RunNotFound
from rune_common.domain.events import MAX_EVENTS_PER_APPEND, Event, EventDraft, Redacting
from rune_common.domain.ports import Clock, RunStore
from rune_common.domain.run_endings import NO_OUTCOME, end_run
from rune_common.domain.runs import Outcome, Run, RunState, Trigger
from rune_common.usecases.change_run import Proposal, change_run
from rune_common.usecases.run_attempt import MAX_ATTEMPTS

LOST_ERRORS = frozenset({"States.HeartbeatTimeout", "States.Timeout", "Rune.Transient"})
"""Names under which a state machine reports an agent that went silent."""

WORKER_LOST = Outcome(RunState.FAILED, "WORKER_LOST", "worker lost")
NEVER_STARTED = Outcome(RunState.FAILED, "START_FAILED", "job could not be started")
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
    tenant: str, run_id: str, *, error: str | None, runs: RunStore, clock: Clock, redactor: Redacting
) -> bool:
    """End the run. `error` is the state machine's error name, None after success.

    True when the agent is to be asked again instead: its attempt was lost before its first model call.
    """
    run = runs.get(tenant, run_id)
    if run is None:
        raise RunNotFound(run_id)
    lost = error in LOST_ERRORS and run.outcome is None and run.state is RunState.RUNNING
    if lost and not run.model_call_begun and run.attempt < MAX_ATTEMPTS and not _expired(run, clock()):
        return True
    if not run.terminal and (error or run.outcome is None):
        _close_open_calls(run, runs=runs, clock=clock, redactor=redactor)

    def decide(run: Run) -> Proposal | None:
        return None if run.terminal else _ending(run, _outcome(run, error, clock()), now_ms=clock())

    change_run(tenant, run_id, decide, runs=runs, clock=clock, redactor=redactor)
    return False


def _outcome(run: Run, error: str | None, now_ms: int) -> Outcome:
    if run.outcome is not None:
        return run.outcome
    if run.state is RunState.QUEUED:
        return NEVER_STARTED
    if _expired(run, now_ms):
        return TIMED_OUT
    return WORKER_LOST if error in LOST_ERRORS else NO_OUTCOME


def _expired(run: Run, now_ms: int) -> bool:
    return run.deadline_at is not None and now_ms >= run.deadline_at


def _ending(run: Run, outcome: Outcome, *, now_ms: int) -> Proposal:
    """The terminal transaction of a run that has not ended. A cancel that came first wins (jobs-api.md 4.7)."""
    if run.state is RunState.CANCELLING:
        trigger = Trigger.STOPPED
    elif run.state is RunState.QUEUED:
        trigger = Trigger.NEVER_STARTED
    else:
        trigger = Trigger.COMPLETE if outcome.status is RunState.SUCCEEDED else Trigger.FAIL
    ended, drafts = end_run(run, trigger, outcome, now_ms=now_ms)
    return Proposal(ended, drafts, forget_request=True)


def _close_open_calls(run: Run, *, runs: RunStore, clock: Clock, redactor: Redacting) -> None:
    """A result for every tool call that a lost attempt left open (runs-api.md 3.2)."""
    names: dict[str, str] = {}
    for event in _events(run, runs):
        if event.type == "tool_call":
            payload = event.document()["payload"]
            names[payload["call_id"]] = payload["tool_name"]
        elif event.type == "tool_result":
            names.pop(event.document()["payload"]["call_id"], None)
    drafts = [aborted_call(call_id, name) for call_id, name in names.items()]
    for start in range(0, len(drafts), MAX_EVENTS_PER_APPEND):
        batch = drafts[start : start + MAX_EVENTS_PER_APPEND]

        def decide(run: Run, batch: Sequence[EventDraft] = batch) -> Proposal | None:
            return None if run.terminal else Proposal(run, batch)

        change_run(run.tenant, run.run_id, decide, runs=runs, clock=clock, redactor=redactor)


def _events(run: Run, runs: RunStore) -> Iterator[Event]:
    after, more = 0, True
    while more:
        page = runs.events(run.tenant, run.run_id, after=after)
        yield from page.events
        after, more = (page.events[-1].sequence if page.events else after), page.more
