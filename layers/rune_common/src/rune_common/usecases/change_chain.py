"""The one way to change a chain: its steps, its run and its log in one transaction (jobs-api.md 8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rune_common.domain.chain_events import step_completed
from rune_common.domain.chains import ChainState, ends_to_log, with_ends_logged
from rune_common.domain.errors import RunNotFound
from rune_common.domain.events import MAX_EVENTS_PER_APPEND, EventDraft, Redacting
from rune_common.domain.ports import Clock, RunStore
from rune_common.domain.runs import Run
from rune_common.usecases.change_run import Proposal, change_run


@dataclass(frozen=True, slots=True)
class ChainProposal:
    """What shall become of a chain. The ends of its steps are logged by whoever carries it out."""

    run: Run
    chain: ChainState
    drafts: Sequence[EventDraft] = ()
    result: Mapping[str, Any] | None = None


DecideChain = Callable[[Run, ChainState], ChainProposal | None]
"""Looks at a run and its steps as they are now; None means that nothing is to be done."""


def change_chain(
    tenant: str, run_id: str, decide: DecideChain, *, runs: RunStore, clock: Clock, redactor: Redacting
) -> tuple[Run, ChainState]:
    """Carry out what `decide` proposes. Returns run and steps as they then are. Raises as `change_run`.

    Every change of a chain passes through its run's revision, so steps that were read after the run belong to it
    unless somebody else was first. A transaction takes 40 events; what ends more steps is followed by others.
    """
    turn = _Turn(tenant, run_id, decide, runs)
    run = change_run(tenant, run_id, turn.decide, runs=runs, clock=clock, redactor=redactor)
    while ends_to_log(turn.chain) and not run.terminal:
        turn = _Turn(tenant, run_id, _as_it_is, runs)
        run = change_run(tenant, run_id, turn.decide, runs=runs, clock=clock, redactor=redactor)
    return run, turn.chain


class _Turn:
    """One decision, on as many readings as it takes. `chain`: the steps as the last of them leaves them."""

    def __init__(self, tenant: str, run_id: str, decide: DecideChain, runs: RunStore) -> None:
        self._tenant, self._run_id, self._decide, self._runs = tenant, run_id, decide, runs
        self.chain = ChainState()

    def decide(self, run: Run) -> Proposal | None:
        found = self._runs.chain(self._tenant, self._run_id)
        if found is None:
            raise RunNotFound(self._run_id)
        self.chain = found
        proposal = self._decide(run, found)
        if proposal is None:
            return None
        ends = ends_to_log(proposal.chain)[: MAX_EVENTS_PER_APPEND - len(proposal.drafts)]
        self.chain = with_ends_logged(proposal.chain, (step.name for step in ends))
        drafts = [*proposal.drafts, *map(step_completed, ends)]
        changed = None if self.chain == found else self.chain
        return Proposal(proposal.run, drafts, result=proposal.result, chain=changed)


def _as_it_is(run: Run, chain: ChainState) -> ChainProposal | None:
    return None if run.terminal else ChainProposal(run, chain)
