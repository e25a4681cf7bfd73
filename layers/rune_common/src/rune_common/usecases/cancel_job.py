"""Ask a job to stop (jobs-api.md 4.7, runs-api.md 2.6 rows 4 and 8)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rune_common.domain.access import Principal
from rune_common.domain.errors import RunTerminal
from rune_common.domain.events import EventDraft, Redacting
from rune_common.domain.jobs import checked_job_id
from rune_common.domain.ports import Clock, RunStore
from rune_common.domain.runs import Run, RunKind, RunState, Trigger, UsageTotals, transition
from rune_common.usecases.change_run import Proposal, Seal, change_run, unsealed
from rune_common.usecases.close_chain import ended_chain
from rune_common.usecases.settle_approvals import cancel_pending

CANCELLED_TEXT = "Cancelled by user"
GRACE_MS = 30_000
"""What a run's client gets to end it, where nobody says otherwise (runs-api.md 2.7)."""


def cancel_job(
    job_id: str,
    caller: Principal,
    *,
    runs: RunStore,
    clock: Clock,
    redactor: Redacting,
    seal: Seal = unsealed,
) -> Run:
    """The run, `cancelled` at once if it was queued, else `cancelling`. Repeating changes nothing.

    `seal` adds the evidence of a run that ends here.
    Raises RunNotFound, and RunTerminal for a job that succeeded or failed.
    """

    def decide(run: Run) -> Proposal | None:
        if run.state in (RunState.CANCELLED, RunState.CANCELLING):
            return None
        if run.terminal:
            raise RunTerminal(job_id)
        if run.state is RunState.QUEUED:
            ended = Proposal(_cancelled(run, clock()), [_requested(), _ended(run)], forget_request=True)
            return seal(run, replace(ended, chain=ended_chain(run, runs, now_ms=clock())))
        # A client's run has no worker that would notice: its client has the usual grace to end it.
        stop_by = clock() + GRACE_MS if run.kind is RunKind.EXTERNAL else None
        stopping = replace(run, state=transition(run.state, Trigger.CANCEL), stop_by=stop_by)
        undecided = cancel_pending(stopping, runs, clock())
        return replace(undecided, drafts=[_requested(), *undecided.drafts])

    return change_run(
        caller.tenant, checked_job_id(job_id), decide, runs=runs, clock=clock, redactor=redactor
    )


def _cancelled(run: Run, now_ms: int) -> Run:
    return replace(
        run,
        state=transition(run.state, Trigger.CANCEL_QUEUED),
        finished_at=now_ms,
        message="job cancelled",
        error=CANCELLED_TEXT,
        error_code="CANCELLED",
        phase=None,
        percent=None,
        holds_slot=False,
    )


def _requested() -> EventDraft:
    payload = {
        "summary": "cancel requested",
        "reason": CANCELLED_TEXT,
        "mode": "graceful",
        "span": {"name": "job.cancel_requested", "status": "ok", "labels": {}},
    }
    return EventDraft("cancel_requested", payload)


def _ended(run: Run) -> EventDraft:
    payload: dict[str, Any] = {
        "summary": "job cancelled",
        "status": "cancelled",
        "exit_reason": "cancelled",
        "stop_class": "manual_stop",
        "stop_code": "MANUAL_STOP",
        "totals": {"artifacts": 0, "findings": {}, "redactions": run.redactions, "usage": _usage(run.usage)},
        "span": {"name": "job.cancelled", "status": "error", "error_type": "cancelled", "labels": {}},
    }
    return EventDraft("run_cancelled", payload)


def _usage(usage: UsageTotals) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "llm_calls": usage.llm_calls,
        "tool_calls": usage.tool_calls,
        "cost_usd": None if usage.unpriced else (usage.cost_micro_usd or 0) / 1_000_000,
        "unpriced": usage.unpriced,
    }
