"""What no event announces: runs that wait in vain and workers that went silent (jobs-api.md 4.1)."""

from __future__ import annotations

import pytest
from tests.unit.agent_runs import REDACTOR, START, Answers, Executions, changed, log, queued, running, stored

from rune_common.adapters.memory import MemoryRunStore
from rune_common.domain.runs import RunState
from rune_common.usecases.expire_waits import expire_waits

SECOND = 1000
MINUTE = 60 * SECOND


@pytest.fixture
def store() -> MemoryRunStore:
    return MemoryRunStore()


@pytest.fixture
def executions() -> Executions:
    return Executions()


def sweep(store: MemoryRunStore, executions: Executions, *, after: int, most: int = 10) -> int:
    return expire_waits(
        runs=store,
        executions=executions,
        callbacks=Answers(),
        clock=lambda: START + after,
        redactor=REDACTOR,
        owner="me",
        max_running=most,
    )


def test_nothing_is_done_before_its_time(store: MemoryRunStore, executions: Executions) -> None:
    queued(store, "waits")
    queued(store, "starts")
    changed(store, "starts", holds_slot=True, owner="me")
    running(store, "works", heartbeat_at=START, attempt=1, attempt_id="a1")
    assert sweep(store, executions, after=59 * SECOND) == 0
    assert executions.started == []
    assert stored(store, "works").state is RunState.RUNNING


def test_a_run_whose_slot_was_missed_is_started(store: MemoryRunStore, executions: Executions) -> None:
    queued(store, "b")
    queued(store, "a")
    assert sweep(store, executions, after=MINUTE) == 0
    assert executions.ids == ["a", "b"]


def test_a_run_waits_for_a_slot_as_long_as_it_takes(store: MemoryRunStore, executions: Executions) -> None:
    queued(store, "a")
    assert sweep(store, executions, after=24 * 60 * MINUTE, most=0) == 0
    assert stored(store, "a").state is RunState.QUEUED


def test_a_run_that_nobody_picks_up_could_not_be_started(
    store: MemoryRunStore, executions: Executions
) -> None:
    queued(store, "a")
    changed(store, "a", holds_slot=True, owner="me")
    assert sweep(store, executions, after=15 * MINUTE - 1) == 0
    assert sweep(store, executions, after=15 * MINUTE) == 1
    run = stored(store, "a")
    assert (run.state, run.error_code, run.error) == (
        RunState.FAILED,
        "START_FAILED",
        "job could not be started",
    )
    assert not run.holds_slot
    assert [event["type"] for event in log(store, "a")][-3:] == ["run_started", "run_progress", "run_failed"]


def test_a_worker_that_is_silent_for_two_minutes_is_lost(
    store: MemoryRunStore, executions: Executions
) -> None:
    running(store, "a", heartbeat_at=START, attempt=1, attempt_id="a1", model_call_begun=True)
    assert sweep(store, executions, after=2 * MINUTE - 1) == 0
    assert sweep(store, executions, after=2 * MINUTE) == 1
    run = stored(store, "a")
    assert (run.state, run.error_code, run.error) == (RunState.FAILED, "WORKER_LOST", "worker lost")
    assert sweep(store, executions, after=4 * MINUTE) == 0


def test_a_lost_worker_is_replaced_while_the_model_was_not_asked(
    store: MemoryRunStore, executions: Executions
) -> None:
    running(store, "a", heartbeat_at=START, attempt=1, attempt_id="a1")
    assert sweep(store, executions, after=2 * MINUTE) == 0
    assert executions.started == [("a", 1)]
    assert stored(store, "a").state is RunState.RUNNING


def test_the_third_lost_worker_is_the_last(store: MemoryRunStore, executions: Executions) -> None:
    running(store, "a", heartbeat_at=START, attempt=3, attempt_id="a3")
    assert sweep(store, executions, after=2 * MINUTE) == 1
    assert stored(store, "a").error_code == "WORKER_LOST"


def test_a_cancelling_run_whose_worker_is_silent_is_cancelled(
    store: MemoryRunStore, executions: Executions
) -> None:
    running(store, "a", heartbeat_at=START, attempt=1, attempt_id="a1")
    changed(store, "a", state=RunState.CANCELLING)
    assert sweep(store, executions, after=2 * MINUTE) == 1
    run = stored(store, "a")
    assert (run.state, run.error) == (RunState.CANCELLED, "Cancelled by user")


def test_a_run_past_its_own_deadline_timed_out(store: MemoryRunStore, executions: Executions) -> None:
    running(store, "a", timeout_seconds=30, heartbeat_at=START, attempt=1, attempt_id="a1")
    assert sweep(store, executions, after=3 * MINUTE) == 1
    run = stored(store, "a")
    assert (run.error_code, run.error) == ("RUN_TIMEOUT", "execution timeout exceeded")
