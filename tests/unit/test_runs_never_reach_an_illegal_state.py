"""Whatever is done to a run, in any order, its states follow runs-api.md 2.6 and its log stays whole."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rune_common.adapters.memory import MemoryRunStore
from rune_common.domain.access import Principal
from rune_common.domain.chain import genesis, verify_chain
from rune_common.domain.errors import IllegalTransition, RunCancelled, RunFailure, RunTerminal
from rune_common.domain.events import EventDraft, append_event
from rune_common.domain.ports import RunRequest
from rune_common.domain.redaction import Redactor
from rune_common.domain.runs import (
    TERMINAL,
    TRANSITIONS,
    LogHead,
    Outcome,
    Run,
    RunKind,
    RunState,
    Trigger,
    transition,
)
from rune_common.usecases.admit_run import admit_run
from rune_common.usecases.cancel_job import cancel_job
from rune_common.usecases.change_run import Proposal, change_run
from rune_common.usecases.record_outcome import note_failure, record_outcome

LEGAL = {(before, after) for (before, _), after in TRANSITIONS.items()}


@pytest.mark.parametrize("state", RunState)
@pytest.mark.parametrize("trigger", Trigger)
def test_every_pair_that_the_table_does_not_name_is_refused(state: RunState, trigger: Trigger) -> None:
    if (state, trigger) in TRANSITIONS:
        assert transition(state, trigger) is TRANSITIONS[state, trigger]
    else:
        with pytest.raises(IllegalTransition):
            transition(state, trigger)


@pytest.mark.parametrize("state", TERMINAL)
def test_terminal_states_absorb(state: RunState) -> None:
    assert not any(before is state for before, _ in TRANSITIONS)


class Operations(RuleBasedStateMachine):
    """Every operation that the product has on a run, in any order, on one run."""

    @initialize()
    def create(self) -> None:
        self.now = 1_000_000
        self.seen: list[RunState] = [RunState.QUEUED]
        self.runs = MemoryRunStore(on_change=lambda before, after: self.seen.append(after.state))
        head = LogHead("t", "r", 0, genesis("t", "r"))
        event, head = append_event(head, EventDraft("run_queued", {}), now_ms=self.now, redactor=Redactor())
        run = Run("t", "r", RunKind.AGENT, RunState.QUEUED, self.now, self.now, "me", head)
        self.runs.create(run, RunRequest({"question": "q"}), [event])

    def ports(self) -> dict:
        self.now += 1_000
        return {"runs": self.runs, "clock": lambda: self.now, "redactor": Redactor()}

    @rule()
    def claim_a_slot(self) -> None:
        run = self.runs.get("t", "r")
        if run.state is RunState.QUEUED and not run.holds_slot:
            self.runs.claim_slot(run, owner="o", max_running=1, now_ms=self.now)

    @rule()
    def admit(self) -> None:
        try:
            admit_run("t", "r", **self.ports())
        except RunCancelled:
            assert self.runs.get("t", "r").state is RunState.CANCELLING

    @rule()
    def work_succeeds(self) -> None:
        def decide(run: Run) -> Proposal | None:
            return (
                Proposal(replace(run, outcome=Outcome(RunState.SUCCEEDED)), [EventDraft("narrative", {})])
                if run.state is RunState.RUNNING
                else None
            )

        change_run("t", "r", decide, **self.ports())

    @rule()
    def a_step_fails(self) -> None:
        note_failure("t", "r", RunFailure("LLM_UNREACHABLE", "no answer"), **self.ports())

    @rule()
    def cancel(self) -> None:
        ports = self.ports()
        try:
            cancel_job("r", Principal("me", "human", "t"), **ports)
        except RunTerminal:
            assert self.runs.get("t", "r").terminal

    @rule()
    def record(self) -> None:
        record_outcome("t", "r", error=None, **self.ports())

    @rule()
    def record_a_lost_worker(self) -> None:
        record_outcome("t", "r", error="States.HeartbeatTimeout", **self.ports())

    @invariant()
    def every_step_was_legal(self) -> None:
        if not hasattr(self, "seen"):
            return
        for before, after in pairwise(self.seen):
            assert before is after or (before, after) in LEGAL

    @invariant()
    def the_log_is_whole_and_ends_with_the_run(self) -> None:
        if not hasattr(self, "runs"):
            return
        run = self.runs.get("t", "r")
        events = self.runs.events("t", "r", limit=1000).events
        assert verify_chain("t", "r", [event.body for event in events]) == []
        assert [event.sequence for event in events] == list(range(1, run.head.sequence + 1))
        assert [event.terminal for event in events[:-1]] == [False] * (len(events) - 1)
        assert events[-1].terminal == run.terminal


TestOperations = Operations.TestCase
TestOperations.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
