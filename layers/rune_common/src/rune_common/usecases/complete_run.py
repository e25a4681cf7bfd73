"""Close a run whose work a client did (runs-api.md 2.7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rune_common.domain.access import Principal
from rune_common.domain.actors import actor_of
from rune_common.domain.errors import RunTerminal
from rune_common.domain.events import EventDraft, Redacting
from rune_common.domain.external_events import closing_events
from rune_common.domain.ports import Clock, RunChange, RunStore
from rune_common.domain.runs import ReportedWork, Run, RunState, Trigger, transition
from rune_common.usecases.change_run import Proposal, Seal, change_run, unsealed
from rune_common.usecases.find_run import find_run, reportable
from rune_common.usecases.keyed_answers import Answer, KeyedAnswers
from rune_common.usecases.run_status import run_status, status_with
from rune_common.usecases.settle_approvals import stop_waiting

OK = 200


@dataclass(frozen=True, slots=True)
class Completion:
    """How a client says that its work ended. `findings` and `usage` count where no event told them."""

    succeeded: bool
    exit_reason: str
    stop_class: str
    stop_code: str = "NONE"
    summary: str | None = None
    findings: Mapping[str, Any] = field(default_factory=dict)
    usage: Mapping[str, Any] = field(default_factory=dict)
    change_set: Mapping[str, Any] | None = None


def complete_run(
    run_id: str,
    told: Completion,
    caller: Principal,
    answers: KeyedAnswers,
    *,
    runs: RunStore,
    clock: Clock,
    redactor: Redacting,
    seal: Seal = unsealed,
) -> Answer:
    """The status of the run, which has ended; a run that was being cancelled is cancelled.

    The same end told again is answered with `already_terminal`. Raises RunNotFound, RunNotExternallyOwned,
    RunTerminal, IdempotencyKeyReused.
    """

    def act() -> Answer:
        reportable(find_run(run_id, caller, runs=runs), caller, by_worker=False)
        written: list[Answer] = []

        def decide(run: Run) -> Proposal | None:
            written.clear()
            if run.terminal:
                return None
            if run.waits:
                # This reading is stale after it, so the whole decision is made once more on a fresh one.
                stop_waiting(run.tenant, run_id, runs=runs, clock=clock, redactor=redactor)
            proposal = seal(run, _completed(run, told, caller, clock()))

            def claim(change: RunChange) -> Any:
                written.append(Answer(OK, status_with(run_status(run, runs=runs), change.events).document()))
                return answers.claim(run_id, written[-1])

            return replace(proposal, claim=claim)

        run = change_run(caller.tenant, run_id, decide, runs=runs, clock=clock, redactor=redactor)
        if written:
            return written[-1]
        document = run_status(run, runs=runs).document()
        if document["exit_reason"] != told.exit_reason:
            raise RunTerminal(run_id)
        return answers.keep(run_id, Answer(OK, {**document, "already_terminal": True}))

    return answers.once(act)


def _completed(run: Run, told: Completion, caller: Principal, now_ms: int) -> Proposal:
    if run.state is RunState.AWAITING_APPROVAL:
        run = replace(run, state=transition(run.state, Trigger.RESUME))
    if run.state is RunState.CANCELLING:
        state = transition(run.state, Trigger.STOPPED)
    else:
        state = transition(run.state, Trigger.COMPLETE if told.succeeded else Trigger.FAIL)
    terminal = _terminal_event(state, told, caller, run)
    failed = state is RunState.FAILED
    ended = replace(
        run,
        state=state,
        finished_at=now_ms,
        message=str(terminal.payload["summary"]),
        error=str(terminal.payload["summary"]) if state is not RunState.SUCCEEDED else None,
        error_code="CANCELLED" if state is RunState.CANCELLED else "AGENT_ERROR" if failed else None,
        reported=ReportedWork(run.reported.terminal_seq),
        stop_by=None,
    )
    return Proposal(ended, [*closing_events(run.reported), terminal], forget_request=True)


def _terminal_event(state: RunState, told: Completion, caller: Principal, run: Run) -> EventDraft:
    payload: dict[str, Any] = {
        "exit_reason": told.exit_reason,
        "stop_class": told.stop_class,
        "stop_code": told.stop_code,
        "totals": {"artifacts": 0, "findings": {}, "redactions": run.redactions, "usage": {}},
    }
    kind, status, summary = "run_completed", "completed", "run completed"
    if state is RunState.CANCELLED:
        kind, status, summary = "run_cancelled", "cancelled", "run cancelled"
        payload |= {"exit_reason": "cancelled", "stop_class": "manual_stop", "stop_code": "MANUAL_STOP"}
        payload["completed_before_stop"] = told.succeeded
    elif state is RunState.FAILED:
        kind, status, summary = "run_failed", "failed", "run failed"
        payload["error"] = {"code": "AGENT_ERROR", "message": told.summary or told.exit_reason}
    payload |= {"summary": told.summary or summary, "status": status}
    reported = {"findings": dict(told.findings), "usage": dict(told.usage)}
    payload |= {"reported": reported} if any(reported.values()) else {}
    payload |= {"change_set": dict(told.change_set)} if told.change_set else {}
    return EventDraft(kind, payload, actor=caller.subject, actor_detail=actor_of(caller))
