"""How a run ends: the record and the terminal event, which is always the log's last (runs-api.md 2.6)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rune_common.domain.events import EventDraft
from rune_common.domain.runs import Outcome, Run, RunState, Trigger, transition

CANCELLED_TEXT = "Cancelled by user"
NO_OUTCOME = Outcome(RunState.FAILED, "INTERNAL", "internal error")

_ENDS = {
    RunState.SUCCEEDED: ("run_completed", "completed", "completed", "clean", "NONE"),
    RunState.CANCELLED: ("run_cancelled", "cancelled", "cancelled", "manual_stop", "MANUAL_STOP"),
}
_FAILED_ENDS = {
    "RUN_TIMEOUT": ("timeout", "infra_error", "MAX_RUNTIME_EXCEEDED"),
    "APPROVAL_DENIED": ("approval_denied", "blocked_by_policy", "APPROVAL_DENIED"),
    "APPROVAL_EXPIRED": ("approval_expired", "awaiting_hitl", "APPROVAL_EXPIRED"),
    "POLICY_DENIED": ("policy_denied", "blocked_by_policy", "POLICY_RULE"),
}


def end_run(run: Run, trigger: Trigger, outcome: Outcome, *, now_ms: int) -> tuple[Run, list[EventDraft]]:
    """The ended run and its last events. A run that never started passes through `run_started`.

    Raises IllegalTransition.
    """
    state = transition(run.state, trigger)
    ended = _ended(run, state, outcome, now_ms)
    drafts = []
    if trigger is Trigger.NEVER_STARTED:
        drafts.append(EventDraft("run_started", {"summary": "run started", "context_files": []}))
    if ended.started_at is not None:
        span = _span("job.execute", ended)
        payload = {"summary": "work has ended", "span": span}
        drafts.append(
            EventDraft("run_progress", payload, duration_ms=now_ms - ended.started_at - ended.waited_ms)
        )
    drafts.append(_terminal_event(ended, outcome))
    return ended, drafts


def _ended(run: Run, state: RunState, outcome: Outcome, now_ms: int) -> Run:
    error, code, message = None, None, "job completed"
    if state is RunState.CANCELLED:
        error, code, message = CANCELLED_TEXT, "CANCELLED", "job cancelled"
    elif state is RunState.FAILED:
        error = message = outcome.error or "internal error"
        code = outcome.error_code or "INTERNAL"
    never_started = state is RunState.FAILED and run.state is RunState.QUEUED
    return replace(
        run,
        state=state,
        started_at=now_ms if never_started else run.started_at,
        finished_at=now_ms,
        message=message,
        error=error,
        error_code=code,
        phase=None,
        percent=None,
        holds_slot=False,
        pause=None,
    )


def _terminal_event(run: Run, outcome: Outcome) -> EventDraft:
    failed = (
        "run_failed",
        "failed",
        *_FAILED_ENDS.get(run.error_code or "", ("failed", "infra_error", "ERROR")),
    )
    kind, status, reason, stop_class, stop_code = _ENDS.get(run.state, failed)
    payload: dict[str, Any] = {
        "summary": run.message,
        "status": status,
        "exit_reason": reason,
        "stop_class": stop_class,
        "stop_code": stop_code,
        "totals": {"artifacts": 0, "findings": {}, "redactions": run.redactions, "usage": _usage(run)},
        "span": _span(f"job.{run.state}", run),
    }
    if run.state is RunState.CANCELLED and outcome.status is RunState.SUCCEEDED:
        payload["completed_before_stop"] = True
    if run.state is RunState.FAILED:
        payload["error"] = {"code": run.error_code, "message": run.error}
        if outcome.driver_error_code:
            payload["holmes"] = {"error_code": outcome.driver_error_code}
    return EventDraft(kind, payload)


def _span(name: str, run: Run) -> dict[str, Any]:
    failed = {"error_type": (run.error_code or "").lower()} if run.state is RunState.FAILED else {}
    return {"name": name, "status": "error" if failed else "ok", "labels": {"kind": run.kind}, **failed}


def _usage(run: Run) -> dict[str, Any]:
    usage = run.usage
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "llm_calls": usage.llm_calls,
        "tool_calls": usage.tool_calls,
        "cost_usd": None if usage.unpriced else (usage.cost_micro_usd or 0) / 1_000_000,
        "unpriced": usage.unpriced,
    }
