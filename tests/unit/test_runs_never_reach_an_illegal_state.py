"""Whatever is done to a run, in any order, its states follow runs-api.md 2.6 and its log stays whole."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rune_common.adapters.memory import MemoryBlobStore, MemoryRunStore
from rune_common.domain.access import Principal
from rune_common.domain.approval_errors import ApprovalAlreadyDecided, ApprovalExpired
from rune_common.domain.approval_policy import ApprovalPolicy
from rune_common.domain.approval_subjects import asked_tool_call
from rune_common.domain.approvals import Decision
from rune_common.domain.chain import genesis, verify_chain
from rune_common.domain.errors import (
    IllegalTransition,
    RunCancelled,
    RunFailure,
    RunTerminal,
    WaitOver,
    WorkOver,
)
from rune_common.domain.events import EventDraft, append_event
from rune_common.domain.fold import fold
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
from rune_common.usecases.await_approval import await_approval
from rune_common.usecases.cancel_job import cancel_job
from rune_common.usecases.change_run import Proposal, change_run
from rune_common.usecases.decide_approvals import DecisionPorts, NamedDecision, decide_approval
from rune_common.usecases.record_outcome import note_failure, record_outcome
from rune_common.usecases.settle_approvals import AskingPorts, ask_approvals, expire_approvals

SETTLING = ("approval_approved", "approval_denied", "approval_expired", "approval_cancelled")
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
        except WorkOver:
            assert self.runs.get("t", "r").outcome is not None
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

    @rule(calls=st.integers(1, 3), stops=st.booleans())
    def ask_somebody(self, calls: int, stops: bool) -> None:
        policy = ApprovalPolicy("policy", timeout_seconds=60, stops=stops)
        ports = self.ports()
        asking = AskingPorts(self.runs, MemoryBlobStore(), ports["clock"], ports["redactor"])

        def decide(run: Run) -> Proposal | None:
            if run.state is not RunState.RUNNING or run.pause is not None or run.outcome is not None:
                return None
            asked = [
                asked_tool_call("r", {"tool_call_id": f"{self.now}-{n}", "tool_name": "bash"})
                for n in range(calls)
            ]
            return ask_approvals(run, asked, policy, asking, requested_by="agent:holmes")

        change_run("t", "r", decide, **ports)

    @rule(
        approve=st.booleans(),
        which=st.integers(0, 3),
        late=st.booleans(),
        scope=st.sampled_from(["once", "run"]),
    )
    def decide(self, approve: bool, which: int, late: bool, scope: str) -> None:
        found = self.runs.approvals("t", "r")
        if not found:
            return
        self.now += 60_000 if late else 0
        named = NamedDecision(Decision(approve, "no", scope), found[which % len(found)].approval_id)
        with suppress(ApprovalAlreadyDecided, ApprovalExpired):
            decide_approval(
                "r", named, Principal("b", "human", "t"), None, ports=DecisionPorts(**self.ports())
            )

    @rule()
    def time_to_decide_is_over(self) -> None:
        self.now += 60_000
        expire_approvals("t", "r", **self.ports())

    @rule()
    def wait(self) -> None:
        with suppress(WaitOver):
            await_approval("t", "r", "token", **self.ports())

    @rule()
    def an_attempt_goes_on(self) -> None:
        def decide(run: Run) -> Proposal | None:
            gone_on = run.state is RunState.RUNNING and run.pause is not None and run.outcome is None
            return Proposal(replace(run, pause=None)) if gone_on else None

        change_run("t", "r", decide, **self.ports())

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
    def every_approval_is_settled_once_and_before_the_end(self) -> None:
        if not hasattr(self, "runs"):
            return
        run, approvals = self.runs.get("t", "r"), self.runs.approvals("t", "r")
        documents = [event.document() for event in self.runs.events("t", "r", limit=1000).events]
        status = fold(documents)
        assert [each.document() for each in approvals] == list(status.approvals.approvals.values())
        waiting = run.state is RunState.AWAITING_APPROVAL
        assert waiting == run.waits == any(each.pending for each in approvals)
        asked = [each["payload"]["approval_id"] for each in documents if each["type"] == "approval_requested"]
        settled = [each["payload"]["approval_id"] for each in documents if each["type"] in SETTLING]
        assert len(settled) == len(set(settled))
        assert set(settled) <= set(asked)
        assert not run.terminal or set(settled) == set(asked)

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
