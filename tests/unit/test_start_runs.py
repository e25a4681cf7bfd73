"""Slots: as many runs of a tenant at once as it may have, the longest waiting first."""

from __future__ import annotations

import pytest
from tests.unit.agent_runs import START, Executions, changed, queued, stored

from rune_common.adapters.memory import MemoryRunStore
from rune_common.domain.errors import Unavailable
from rune_common.domain.runs import Run, RunState
from rune_common.usecases.start_runs import start_run, start_waiting_runs


@pytest.fixture
def store() -> MemoryRunStore:
    return MemoryRunStore()


@pytest.fixture
def executions() -> Executions:
    return Executions()


def start(
    store: MemoryRunStore, executions: Executions, run_id: str, *, most: int = 2, owner: str = "me"
) -> bool:
    return start_run(
        "t",
        run_id,
        runs=store,
        executions=executions,
        clock=lambda: START + 5,
        owner=owner,
        max_running=most,
    )


def start_waiting(store: MemoryRunStore, executions: Executions, *, most: int = 2, tenant: str = "t") -> int:
    return start_waiting_runs(
        tenant, runs=store, executions=executions, clock=lambda: START + 5, owner="me", max_running=most
    )


def test_a_queued_run_gets_a_slot_an_owner_and_an_execution(
    store: MemoryRunStore, executions: Executions
) -> None:
    queued(store, "a")
    assert start(store, executions, "a")
    run = stored(store, "a")
    assert (run.holds_slot, run.owner, run.state) == (True, "me", RunState.QUEUED)
    assert executions.started == [("a", 0)]


def test_a_run_without_a_free_slot_goes_on_waiting(store: MemoryRunStore, executions: Executions) -> None:
    for run_id in "abc":
        queued(store, run_id)
    assert [start(store, executions, run_id) for run_id in "abc"] == [True, True, False]
    assert executions.ids == ["a", "b"]
    assert not stored(store, "c").holds_slot


def test_starting_again_uses_the_slot_that_the_run_has(store: MemoryRunStore, executions: Executions) -> None:
    queued(store, "a")
    assert start(store, executions, "a", most=1)
    assert start(store, executions, "a", most=1)
    assert executions.started == [("a", 0), ("a", 0)]
    assert stored(store, "a").revision == 2


@pytest.mark.parametrize("state", [RunState.RUNNING, RunState.CANCELLED, RunState.FAILED])
def test_a_run_that_is_not_queued_is_not_started(
    store: MemoryRunStore, executions: Executions, state: RunState
) -> None:
    queued(store, "a")
    changed(store, "a", state=state)
    assert not start(store, executions, "a")
    assert not start(store, executions, "unknown")
    assert executions.started == []


def test_the_longest_waiting_runs_are_started_while_slots_are_free(
    store: MemoryRunStore, executions: Executions
) -> None:
    for run_id in "dbac":
        queued(store, run_id)
    assert start_waiting(store, executions, most=3) == 3
    assert executions.ids == ["a", "b", "c"]
    assert start_waiting(store, executions, most=3) == 0
    changed(store, "b", state=RunState.SUCCEEDED, holds_slot=False)
    assert start_waiting(store, executions, most=3) == 1
    assert executions.ids[-1] == "d"


def test_a_tenants_runs_take_no_slot_from_another(store: MemoryRunStore, executions: Executions) -> None:
    for run_id in "abc":
        queued(store, run_id)
    queued(store, "z", tenant="other")
    assert start_waiting(store, executions, most=2) == 2
    assert start_waiting(store, executions, most=2, tenant="other") == 1


def test_a_run_whose_execution_could_not_be_started_keeps_its_slot_for_the_next_try(
    store: MemoryRunStore, executions: Executions
) -> None:
    class Broken:
        def start(self, run: Run) -> None:
            raise Unavailable("no answer")

    queued(store, "a")
    with pytest.raises(Unavailable):
        start_run("t", "a", runs=store, executions=Broken(), clock=lambda: START, owner="me", max_running=1)
    assert stored(store, "a").holds_slot
    assert start(store, executions, "a", most=1)
    assert executions.ids == ["a"]
