"""A chain's steps in the run's log (runs-api.md 3.2, jobs-api.md 4.9)."""

from __future__ import annotations

from rune_common.domain.chains import CANCELLED, StepRecord, StepState
from rune_common.domain.events import EventDraft

_LOG_WORDS = {
    StepState.SUCCEEDED: "succeeded",
    StepState.FAILED: "failed",
    StepState.SKIPPED: "skipped",
}


def step_started(step: StepRecord, model: str) -> EventDraft:
    payload = {
        "summary": f"step {step.name} started",
        "step_id": step.name,
        "command": None,
        "agent": step.agent,
        "model": model,
        "attempt": step.attempts,
    }
    return EventDraft("step_started", payload, step_id=step.name)


def step_completed(step: StepRecord) -> EventDraft:
    """A settled step: succeeded, failed, stopped or never started."""
    word = "cancelled" if step.error == CANCELLED else _LOG_WORDS[step.state]
    failed = {"error_type": "step_failed"} if step.state is StepState.FAILED else {}
    payload = {
        "summary": f"step {step.name}: {step.error or step.state}",
        "step_id": step.name,
        "state": word,
        "exit_code": None,
        **({"error": step.error} if step.error else {}),
        "span": {
            "name": "chain.step",
            "status": "error" if failed else "ok",
            **failed,
            "labels": {"step": step.name, "status": str(step.state)},
        },
    }
    ran = (step.finished_at or 0) - step.started_at if step.started_at else 0
    return EventDraft("step_completed", payload, duration_ms=max(0, ran), step_id=step.name)
