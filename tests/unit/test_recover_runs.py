"""After an engine was killed, its runs are resumed or end with a reason, and no others are touched."""

from __future__ import annotations

import pytest
from tests.unit.agent_runs import REDACTOR, START, Executions, changed, log, queued, running, stored

from rune_common.adapters.memory import MemoryRunStore
from rune_common.domain.runs import Outcome, RunState
from rune_common.usecases.recover_runs import recover_runs


@pytest.fixture
def store() -> MemoryRunStore:
    return MemoryRunStore()


@pytest.fixture
def executions() -> Executions:
    return Executions()


def recover(store: MemoryRunStore, executions: Executions, *, most: int = 10) -> int:
    return recover_runs(
        runs=store,
        executions=executions,
        clock=lambda: START + 1000,
        redactor=REDACTOR,
        owner="me",
        max_running=most,
    )


def test_a_run_that_had_a_slot_is_started_again(store: MemoryRunStore, executions: Executions) -> None:
    queued(store, "a")
    changed(store, "a", holds_slot=True, owner="me")
    assert recover(store, executions) == 1
    assert executions.started == [("a", 0)]


def test_waiting_runs_are_started_up_to_the_limit(store: MemoryRunStore, executions: Executions) -> None:
    for run_id in "cba":
        queued(store, run_id)
    assert recover(store, executions, most=2) == 0
    assert executions.ids == ["a", "b"]


def test_a_run_whose_model_was_not_asked_is_resumed(store: MemoryRunStore, executions: Executions) -> None:
    running(store, "a", owner="me", attempt=1, attempt_id="a1")
    assert recover(store, executions) == 1
    assert executions.started == [("a", 1)]
    assert stored(store, "a").state is RunState.RUNNING


def test_a_run_whose_model_was_asked_ends_as_worker_lost(
    store: MemoryRunStore, executions: Executions
) -> None:
    running(store, "a", owner="me", attempt=1, attempt_id="a1", model_call_begun=True)
    assert recover(store, executions) == 1
    run = stored(store, "a")
    assert (run.state, run.error_code, run.holds_slot) == (RunState.FAILED, "WORKER_LOST", False)
    assert executions.started == []
    assert log(store, "a")[-1]["type"] == "run_failed"


def test_an_outcome_that_was_stored_before_the_kill_is_recorded(
    store: MemoryRunStore, executions: Executions
) -> None:
    running(store, "a", owner="me", model_call_begun=True, outcome=Outcome(RunState.SUCCEEDED))
    assert recover(store, executions) == 1
    assert stored(store, "a").state is RunState.SUCCEEDED


def test_a_run_that_was_being_cancelled_is_cancelled(store: MemoryRunStore, executions: Executions) -> None:
    running(store, "a", owner="me", attempt=1, attempt_id="a1")
    changed(store, "a", state=RunState.CANCELLING)
    assert recover(store, executions) == 1
    assert stored(store, "a").state is RunState.CANCELLED
    assert executions.started == []


def test_the_freed_slots_are_given_to_waiting_runs(store: MemoryRunStore, executions: Executions) -> None:
    running(store, "a", owner="me", attempt=1, attempt_id="a1", model_call_begun=True)
    queued(store, "b")
    assert recover(store, executions, most=1) == 1
    assert executions.ids == ["b"]


def test_runs_of_another_engine_and_ended_runs_are_left_alone(
    store: MemoryRunStore, executions: Executions
) -> None:
    running(store, "a", owner="somebody else", attempt=1, attempt_id="a1", model_call_begun=True)
    running(store, "b", owner="me")
    changed(store, "b", state=RunState.SUCCEEDED, holds_slot=False)
    before = stored(store, "a"), stored(store, "b")
    assert recover(store, executions) == 0
    assert (stored(store, "a"), stored(store, "b")) == before
    assert executions.started == []


def test_recovering_twice_changes_nothing_more(store: MemoryRunStore, executions: Executions) -> None:
    running(store, "a", owner="me", attempt=1, attempt_id="a1", model_call_begun=True)
    recover(store, executions)
    before = log(store, "a")
    assert recover(store, executions) == 0
    assert log(store, "a") == before
