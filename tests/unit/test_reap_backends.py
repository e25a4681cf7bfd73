"""The reaper destroys what nobody needs, of this deployment only (jobs-api.md 6.5)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.agent_runs import Executions, log
from tests.unit.rentals import DEPLOYMENT, NOON, Rented

from rune_common.domain.access import Principal
from rune_common.domain.errors import RunNotFound, RunUnfinished, WorkOver
from rune_common.domain.rentals import RentalState
from rune_common.domain.runs import Outcome, RunState
from rune_common.usecases.admit_run import admit_run
from rune_common.usecases.reap_backends import Reaped, give_back_released, reap_backends
from rune_common.usecases.record_outcome import record_outcome
from rune_common.usecases.recover_runs import recover_runs
from rune_common.usecases.release_job import release_job

MINUTE = 60
CALLER = Principal("me", "human", "t")


@pytest.fixture
def world() -> Rented:
    found = Rented(stop_instance=False, lease_seconds=600)
    found.acquire()
    return found


def end(world: Rented, status: RunState = RunState.SUCCEEDED, *, teardown: bool = True) -> None:
    world.change(outcome=Outcome(status))
    if teardown:
        world.teardown()
    record_outcome("t", "r", error=None, runs=world.store, clock=world.time, redactor=world.ports.redactor)


def reap(world: Rented) -> Reaped:
    return reap_backends(ports=world.ports)


def release(world: Rented, caller: Principal = CALLER) -> bool:
    return release_job("r", caller, runs=world.store, clock=world.time, redactor=world.ports.redactor)


def test_what_a_job_works_with_is_left_alone(world):
    assert reap(world) == Reaped()
    assert len(world.market.instances) == 1


def test_what_an_ended_job_left_is_destroyed_and_settled_without_a_new_event(world):
    end(world, RunState.FAILED, teardown=False)
    before = log(world.store, "r")
    assert world.run.warnings == ("teardown_pending",)
    assert reap(world) == Reaped(acted=1)
    assert world.market.instances == {}
    assert world.rental.state is RentalState.DESTROYED
    assert world.spent() == world.rental.cost_micro_usd(world.time())
    assert log(world.store, "r") == before
    assert reap(world) == Reaped()


def test_a_lease_is_kept_and_ended_in_time(world):
    end(world)
    world.time.sleep(599)
    assert reap(world) == Reaped()
    world.time.sleep(2)
    assert reap(world) == Reaped(acted=1)
    assert world.market.instances == {}


def test_the_labels_expiry_counts_whatever_the_records_say(world):
    world.time.sleep(3600 + 600 + 601)
    assert reap(world).acted == 1
    assert world.market.instances == {}


def test_an_instance_of_an_unknown_job_is_destroyed_once_it_is_old(world):
    label = f"rune/{DEPLOYMENT}/nobody/{NOON // 1000 + 7200}"
    world.market.add_foreign(label, started_at=world.time())
    assert reap(world) == Reaped()
    world.time.sleep(15 * MINUTE + 1)
    assert reap(world) == Reaped(acted=1)
    assert len(world.market.instances) == 1


def test_what_is_not_ours_is_never_touched(world):
    others = [
        world.market.add_foreign(label, started_at=0)
        for label in (
            None,
            "",
            "rune/x",
            f"rune/other-deployment/r/{NOON // 1000 - 9999}",
            f"x rune/{DEPLOYMENT}/r/1",
        )
    ]
    end(world, RunState.FAILED, teardown=False)
    world.time.sleep(86_400)
    reap(world)
    assert sorted(world.market.instances) == sorted(others)


def test_what_cannot_be_destroyed_is_counted_and_tried_again(world):
    end(world, RunState.FAILED, teardown=False)
    world.market.created[0].deaf = 1
    assert reap(world) == Reaped(acted=1, failures=1)
    assert world.rental.state is RentalState.DESTROY_PENDING
    assert reap(world) == Reaped(acted=1)


def test_a_dry_run_only_tells(world):
    end(world, RunState.FAILED, teardown=False)
    assert reap_backends(ports=world.ports, dry_run=True) == Reaped(acted=1)
    assert len(world.market.instances) == 1


def test_an_instance_whose_create_call_was_never_answered_is_known_by_its_label(world):
    unheard = replace(world.rental, contract_id="", created_at=None, state=RentalState.CREATING)
    world.change(rentals=(unheard,))
    end(world, RunState.FAILED, teardown=False)
    assert reap(world) == Reaped(acted=1)
    assert world.rental.state is RentalState.DESTROYED
    assert world.spent() > 0


def test_a_released_lease_ends_at_once(world):
    end(world)
    assert release(world) is True
    assert world.rental.state is RentalState.DESTROY_PENDING
    assert give_back_released("t", "r", ports=world.ports)
    assert world.market.instances == {}
    assert release(world) is False


def test_a_job_that_works_cannot_be_released_and_a_foreign_one_is_unknown(world):
    with pytest.raises(RunUnfinished):
        release(world)
    with pytest.raises(RunNotFound):
        release(world, Principal("you", "human", "another"))


def test_a_job_without_a_lease_has_nothing_to_release():
    world = Rented()
    world.acquire()
    end(world)
    assert release(world) is False


def recover(world):
    executions = Executions()
    recover_runs(
        runs=world.store,
        executions=executions,
        clock=world.time,
        redactor=world.ports.redactor,
        owner="me",
        max_running=10,
    )
    return executions.started


def test_a_recovered_run_that_rents_goes_through_its_machine_which_only_ends_it(world):
    world.change(attempt=1, attempt_id="a", model_call_begun=True)
    assert len(recover(world)) == 1
    assert (world.run.state, world.run.outcome.error_code) == (RunState.RUNNING, "WORKER_LOST")
    with pytest.raises(WorkOver):
        admit_run("t", world.run.run_id, runs=world.store, clock=world.time, redactor=world.ports.redactor)


def test_what_a_killed_worker_had_rented_is_given_back_by_the_reaper_if_its_machine_could_not(world):
    world.change(attempt=1, attempt_id="a", model_call_begun=True)
    recover(world)
    record_outcome(
        world.run.tenant,
        world.run.run_id,
        error="WorkOver",
        runs=world.store,
        clock=world.time,
        redactor=world.ports.redactor,
    )
    assert (world.run.error_code, world.run.warnings) == ("WORKER_LOST", ("teardown_pending",))
    assert reap(world) == Reaped(acted=1)
    assert world.market.instances == {}
