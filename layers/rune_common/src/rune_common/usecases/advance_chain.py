"""One look at a chain: what is lost is settled, what is ready is started (jobs-api.md 8)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from rune_common.domain.chain_events import step_started
from rune_common.domain.chains import (
    CANCELLED,
    STOPPED,
    ChainState,
    next_steps,
    return_step,
    settle,
    skip_waiting,
    start_step,
)
from rune_common.domain.driver_protocol import RUN_TIMED_OUT
from rune_common.domain.events import EventDraft, Redacting
from rune_common.domain.executions import AgentStarter, AgentTask, TaskCallbacks
from rune_common.domain.legs import with_leg, without_leg
from rune_common.domain.ports import Clock, RunStore
from rune_common.domain.rentals import total_cost
from rune_common.domain.runs import HEARTBEAT_PATIENCE_MS, Leg, Outcome, Run, RunState
from rune_common.usecases.attempt_repeats import is_expired
from rune_common.usecases.change_chain import ChainProposal, change_chain
from rune_common.usecases.close_chain import finish_chain
from rune_common.usecases.run_attempt import MAX_ATTEMPTS

WORKER_LOST = "worker lost"
OVERSPENT = Outcome(RunState.FAILED, "SPEND_LIMIT_EXCEEDED", "cost has reached the spend limit")
MESSAGE = "asking agent"


@dataclass(frozen=True, slots=True)
class ChainPorts:
    """`driver_timeout`: seconds that one call of a driver may take."""

    runs: RunStore
    agents: AgentStarter
    callbacks: TaskCallbacks
    clock: Clock
    redactor: Redacting
    driver_timeout: int


def advance_chain(tenant: str, run_id: str, token: str, *, ports: ChainPorts) -> None:
    """Start what is ready and leave `token` for whichever step ends next, or answer it when nothing is left.

    The state machine comes again after each answer, and after a while without any. The ids of the attempts
    follow from the token, so a repeated call starts nothing twice. Raises RunNotFound, Unavailable.
    """
    look = _Look(token, ports)
    run, chain = change_chain(
        tenant, run_id, look.decide, runs=ports.runs, clock=ports.clock, redactor=ports.redactor
    )
    if run.terminal or (chain.settled and not run.legs):
        finish_chain(tenant, run_id, runs=ports.runs, clock=ports.clock, redactor=ports.redactor)
        ports.callbacks.succeed(token, {"done": True, "pause_seconds": 0})
        return
    timeout = min(run.timeout_seconds, ports.driver_timeout)
    for leg in run.legs:
        if not leg.claimed and leg.attempt_id == attempt_id_of(token, leg.step_id):
            ports.agents.start(
                AgentTask(tenant, run_id, leg.attempt_id, "", leg.step_id), timeout_seconds=timeout
            )


def attempt_id_of(token: str, step: str) -> str:
    return hashlib.sha256(f"{token}/{step}".encode()).hexdigest()[:16]


class _Look:
    """The decision of one visit."""

    def __init__(self, token: str, ports: ChainPorts) -> None:
        self._token, self._ports = token, ports

    def decide(self, run: Run, chain: ChainState) -> ChainProposal | None:
        if run.terminal:
            return None
        now = self._ports.clock()
        run, chain = _without_lost(run, chain, now)
        drafts: list[EventDraft] = []
        if run.outcome is None and is_overspent(run, now):
            run = replace(run, outcome=OVERSPENT)
        if run.state is RunState.CANCELLING or is_expired(run, now):
            chain = skip_waiting(chain, now_ms=now)
        elif run.outcome is not None:
            text = run.outcome.error or STOPPED
            chain = skip_waiting(chain, now_ms=now)
            run = replace(run, legs=tuple(replace(leg, stopping=text) for leg in run.legs))
        elif chain.stopping:
            run = replace(run, legs=tuple(replace(leg, stopping=STOPPED) for leg in run.legs))
        else:
            run, chain, drafts = self._starting(run, chain, now)
        return ChainProposal(shown(run, chain, now), replace(chain, token=self._token), drafts)

    def _starting(self, run: Run, chain: ChainState, now: int) -> tuple[Run, ChainState, list[EventDraft]]:
        drafts = []
        for name in next_steps(chain):
            chain = start_step(chain, name, now_ms=now)
            run = with_leg(run, Leg(name, attempt_id_of(self._token, name), now))
            step = chain.step(name)
            drafts.append(step_started(step, step.model or run.model))
        return run, chain, drafts


def shown(run: Run, chain: ChainState, now_ms: int) -> Run:
    """The run with its phase, and with the share of its steps that have ended."""
    percent = round(100 * sum(step.settled for step in chain.steps) / max(1, len(chain.steps)), 1)
    known = replace(run, heartbeat_at=now_ms, percent=percent)
    if run.phase == "ask":
        return known
    return replace(known, phase="ask", phase_since=now_ms, message=MESSAGE)


def is_overspent(run: Run, now_ms: int) -> bool:
    """What was rented for the run has cost as much as it may (jobs-api.md 7.3)."""
    limits = [rental.limit_micro_usd for rental in run.rentals if rental.open]
    return bool(limits) and total_cost(run.rentals, now_ms) >= max(limits)


def _without_lost(run: Run, chain: ChainState, now_ms: int) -> tuple[Run, ChainState]:
    """Attempts that went silent: started again before their first model call, failed after it (4.1)."""
    for leg in run.legs:
        if now_ms - leg.heartbeat_at < HEARTBEAT_PATIENCE_MS:
            continue
        run = without_leg(run, leg.attempt_id)
        if may_repeat(run, chain, leg, now_ms=now_ms):
            chain = return_step(chain, leg.step_id, now_ms=now_ms)
        else:
            text = leg.stopping or end_text(run, now_ms) or WORKER_LOST
            chain = settle(chain, leg.step_id, text, now_ms=now_ms)
    return run, chain


def may_repeat(run: Run, chain: ChainState, leg: Leg, *, now_ms: int) -> bool:
    """Whether a step whose attempt failed by itself is started again."""
    goes_on = run.state is RunState.RUNNING and not is_expired(run, now_ms) and not leg.stopping
    return goes_on and not leg.model_call_begun and chain.step(leg.step_id).attempts < MAX_ATTEMPTS


def end_text(run: Run, now_ms: int) -> str | None:
    """The error of a step that ends because its run does."""
    if run.state is RunState.CANCELLING:
        return CANCELLED
    return RUN_TIMED_OUT if is_expired(run, now_ms) else None
