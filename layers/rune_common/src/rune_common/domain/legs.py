"""Who may still write for a run: its newest attempt, or the attempts of a chain's steps (jobs-api.md 8)."""

from __future__ import annotations

from dataclasses import replace

from rune_common.domain.runs import Leg, Run, RunState


def leg_of(run: Run, attempt_id: str) -> Leg | None:
    """The leg that an attempt is; None for the one attempt of a run with a single agent."""
    return next((leg for leg in run.legs if leg.attempt_id == attempt_id), None)


def owns(run: Run, attempt_id: str) -> bool:
    """False when the run has ended or belongs to a newer attempt."""
    return not run.terminal and (run.attempt_id == attempt_id or leg_of(run, attempt_id) is not None)


def alive(run: Run, attempt_id: str, *, now_ms: int, model_call_begun: bool = False) -> Run:
    """The run with a sign of life of an attempt that owns it."""
    leg = leg_of(run, attempt_id)
    known = replace(run, heartbeat_at=now_ms, model_call_begun=run.model_call_begun or model_call_begun)
    if leg is None:
        return known
    begun = leg.model_call_begun or model_call_begun
    return with_leg(known, replace(leg, heartbeat_at=now_ms, model_call_begun=begun))


def stop_reason(run: Run, attempt_id: str) -> str | None:
    """Why an attempt has to end, None while it may go on."""
    if not owns(run, attempt_id):
        return "superseded"
    if run.state is RunState.CANCELLING:
        return "cancelled"
    leg = leg_of(run, attempt_id)
    return (leg.stopping or None) if leg else None


def with_leg(run: Run, leg: Leg) -> Run:
    """The run with a leg as it now is; a new one is added."""
    others = [each for each in run.legs if each.attempt_id != leg.attempt_id]
    known = len(others) < len(run.legs)
    legs = (
        [leg if each.attempt_id == leg.attempt_id else each for each in run.legs] if known else [*others, leg]
    )
    return replace(run, legs=tuple(legs))


def without_leg(run: Run, attempt_id: str) -> Run:
    return replace(run, legs=tuple(leg for leg in run.legs if leg.attempt_id != attempt_id))
