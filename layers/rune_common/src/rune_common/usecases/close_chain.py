"""The end of a chain's work: every step settled and logged, the result complete (jobs-api.md 8)."""

from __future__ import annotations

from dataclasses import replace

from rune_common.domain.chain_results import chain_result
from rune_common.domain.chains import CANCELLED, ChainState, close
from rune_common.domain.driver_protocol import RUN_DEADLINE, RUN_TIMED_OUT
from rune_common.domain.events import Redacting
from rune_common.domain.ports import Clock, RunStore
from rune_common.domain.runs import Outcome, PhaseRecord, Run, RunKind, RunState
from rune_common.usecases.attempt_repeats import is_expired
from rune_common.usecases.change_chain import ChainProposal, change_chain
from rune_common.usecases.phase import ended

STEP_FAILED = Outcome(RunState.FAILED, "CHAIN_STEP_FAILED", "a step of the chain failed")
TIMED_OUT = Outcome(RunState.FAILED, RUN_DEADLINE.run, RUN_TIMED_OUT)


def finish_chain(tenant: str, run_id: str, *, runs: RunStore, clock: Clock, redactor: Redacting) -> None:
    """Note what a chain came to whose steps are all settled. Repeating changes nothing."""

    def decide(run: Run, chain: ChainState) -> ChainProposal | None:
        if run.terminal or any(each.name == "ask" for each in run.phases):
            return None
        now = clock()
        outcome = run.outcome or (Outcome(RunState.SUCCEEDED) if chain.succeeded else STEP_FAILED)
        if outcome is STEP_FAILED and is_expired(run, now):
            outcome = TIMED_OUT
        status = "ok" if chain.succeeded else "error"
        over = ended(run, PhaseRecord("ask", status, now - (run.phase_since or now)))
        return _completed(replace(over, outcome=outcome, heartbeat_at=now), chain, runs, now)

    change_chain(tenant, run_id, decide, runs=runs, clock=clock, redactor=redactor)


def close_chain(run: Run, outcome: Outcome, *, runs: RunStore, clock: Clock, redactor: Redacting) -> Run:
    """Settle and log what is still open in a chain whose run is about to end with `outcome`."""
    text = CANCELLED if run.state is RunState.CANCELLING else outcome.error or "internal error"

    def decide(run: Run, chain: ChainState) -> ChainProposal | None:
        if run.terminal or (chain.settled and run.has_result and not run.legs):
            return None
        now = clock()
        return _completed(replace(run, legs=()), close(chain, text, now_ms=now), runs, now)

    return change_chain(run.tenant, run.run_id, decide, runs=runs, clock=clock, redactor=redactor)[0]


def ended_chain(run: Run, runs: RunStore, *, now_ms: int) -> ChainState | None:
    """The steps as they are stored with the end of their run, which may never have begun.

    None for a run without steps.
    """
    chain = runs.chain(run.tenant, run.run_id) if run.kind is RunKind.CHAIN else None
    return None if chain is None else replace(close(chain, CANCELLED, now_ms=now_ms), token="")


def _completed(run: Run, chain: ChainState, runs: RunStore, now_ms: int) -> ChainProposal:
    before = runs.result(run.tenant, run.run_id)
    counted = replace(run, has_result=True)
    return ChainProposal(counted, chain, result=chain_result(counted, chain, before, now_ms=now_ms))
