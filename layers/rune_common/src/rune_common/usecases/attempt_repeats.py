"""Whether a run whose step failed goes on instead of ending (jobs-api.md 4.1, runs-api.md 2.6)."""

from __future__ import annotations

from rune_common.domain.runs import Run, RunState
from rune_common.usecases.run_attempt import MAX_ATTEMPTS

LOST_ERRORS = frozenset({"States.HeartbeatTimeout", "States.Timeout", "Rune.Transient"})
"""Names under which a state machine reports an agent that went silent."""


def is_repeated(run: Run, error: str | None, *, now_ms: int) -> bool:
    """An attempt that was lost before its first model call is repeated, a few times and within the deadline."""
    lost = error in LOST_ERRORS and run.outcome is None and run.state is RunState.RUNNING
    # Until an attempt takes a pause over, nothing of what comes after the pause has begun.
    begun = run.model_call_begun and run.pause is None
    return lost and not begun and run.attempt < MAX_ATTEMPTS and not is_expired(run, now_ms)


def is_expired(run: Run, now_ms: int) -> bool:
    return run.deadline_at is not None and now_ms >= run.deadline_at
