"""After the work nothing stays that was not asked to stay, and it is told what it cost (jobs-api.md 6.5)."""

from __future__ import annotations

import pytest
from tests.unit.agent_runs import log
from tests.unit.rentals import NOON, Rented

from rune_common.domain.errors import RunFailure
from rune_common.domain.gpu_market import AmbiguousCreate
from rune_common.domain.money import micro_usd
from rune_common.domain.rentals import RentalState
from rune_common.domain.runs import Outcome, RunState
from rune_common.usecases.record_outcome import record_outcome

SUCCEEDED = Outcome(RunState.SUCCEEDED)


def acquired(**terms) -> Rented:
    world = Rented(**terms)
    world.acquire()
    world.time.sleep(600)
    return world


def recorded(world: Rented, error: str | None = None):
    record_outcome(
        "t",
        "r",
        error=error,
        runs=world.store,
        clock=world.time,
        redactor=world.ports.redactor,
    )
    return world.store.result("t", "r")


def test_the_instance_is_destroyed_and_its_cost_settled_and_logged():
    world = acquired()
    reserved = world.spent()
    world.change(outcome=SUCCEEDED)
    assert world.teardown().done
    assert world.market.instances == {}
    rental = world.rental
    assert (rental.state, rental.verified, rental.settled) == (RentalState.DESTROYED, True, True)
    cost = rental.cost_micro_usd(world.time())
    assert cost == world.spent() == world.run.usage.cost_micro_usd < reserved
    assert cost >= micro_usd(1.0 * 600 / 3600)
    assert world.spans()[-1] == "vastai.instance.destroy"
    world.time.sleep(3600)
    assert world.rental.cost_micro_usd(world.time()) == cost


def test_a_repeat_changes_nothing():
    world = acquired()
    world.teardown()
    before, spent = log(world.store, "r"), world.spent()
    assert world.teardown().done
    assert (log(world.store, "r"), world.spent()) == (before, spent)


def test_a_deaf_instance_is_asked_again_and_seen_gone():
    world = acquired()
    world.market.created[0].deaf = 3
    began = world.time()
    assert world.teardown().done
    assert world.time() - began == 30_000
    assert world.run.warnings == ()


def test_after_two_minutes_the_reaper_goes_on_and_the_outcome_stays():
    world = acquired()
    world.change(outcome=SUCCEEDED)
    world.market.created[0].deaf = 10**6
    began = world.time()
    step = world.teardown()
    assert (step.done, step.pending) == (True, True)
    assert 120_000 <= world.time() - began <= 130_000
    result = recorded(world)
    run = world.run
    assert (run.state, run.warnings) == (RunState.SUCCEEDED, ("teardown_pending",))
    assert result["teardown"]["verification_ok"] is False
    assert result["teardown"]["destroyed_instance"] is False


def test_an_end_without_a_teardown_says_that_it_is_pending():
    world = acquired()
    recorded(world, "States.ALL")
    assert (world.run.state, world.run.warnings) == (RunState.FAILED, ("teardown_pending",))
    assert log(world.store, "r")[-1]["type"] == "run_failed"


def test_a_kept_instance_stays_until_its_lease_ends():
    world = acquired(stop_instance=False, lease_seconds=600)
    world.change(outcome=SUCCEEDED)
    assert world.teardown().done
    assert len(world.market.instances) == 1
    assert world.rental.lease_expires_at == world.time() + 600_000
    result = recorded(world)
    assert result["teardown"]["destroyed_instance"] is False
    assert world.run.warnings == ()


def test_a_lease_is_as_long_as_the_money_lasts():
    world = acquired(stop_instance=False, lease_seconds=86_400, spend_limit_per_job_usd=2.0)
    world.change(outcome=SUCCEEDED)
    world.teardown()
    lease = (world.rental.lease_expires_at - world.time()) / 1000
    spent_usd = world.rental.cost_micro_usd(world.time()) / 1e6
    assert 0 < lease <= (2.0 - spent_usd) / 1.0 * 3600


@pytest.mark.parametrize(
    "fields",
    [
        {"outcome": Outcome(RunState.FAILED, "AGENT_ERROR", "no")},
        {"outcome": SUCCEEDED, "state": RunState.CANCELLING},
        {"outcome": None},
    ],
    ids=["failed", "cancelled", "nothing known"],
)
def test_only_success_keeps_an_instance(fields):
    world = acquired(stop_instance=False)
    world.change(**fields)
    assert world.teardown().done
    assert world.market.instances == {}


def test_a_cancel_after_the_lease_began_ends_it():
    world = acquired(stop_instance=False)
    world.change(outcome=SUCCEEDED)
    world.teardown()
    world.change(state=RunState.CANCELLING)
    assert world.teardown().done
    assert world.market.instances == {}
    assert recorded(world)["teardown"]["destroyed_instance"] is True
    assert world.run.state is RunState.CANCELLED


def test_an_attempt_that_is_to_be_repeated_keeps_the_instance():
    world = acquired()
    world.change(attempt=1, attempt_id="a")
    assert world.teardown("States.HeartbeatTimeout").again
    assert len(world.market.instances) == 1
    world.change(model_call_begun=True)
    assert world.teardown("States.HeartbeatTimeout").done
    assert world.market.instances == {}


def test_a_create_call_that_nobody_heard_of_again_is_looked_for_and_let_go():
    world = Rented()

    def fail(name):
        if name == "create":
            raise AmbiguousCreate

    world.market.before = fail
    world.acquire(lambda _: bool(world.run.rentals))
    world.market.before = lambda _: None
    assert world.teardown().done
    assert world.rental.state is RentalState.DESTROYED
    assert world.time() - NOON >= 30_000
    assert world.spent() == 0


def test_a_create_call_that_succeeded_unheard_is_found_and_destroyed():
    world = Rented()

    def lose(_):
        raise AmbiguousCreate

    world.market.after_create = lose
    world.acquire(lambda _: bool(world.run.rentals))
    assert len(world.market.instances) == 1
    world.time.sleep(60)
    assert world.teardown().done
    assert world.market.instances == {}
    assert world.spent() >= micro_usd(1.0 * 60 / 3600)


def test_money_set_aside_for_nothing_is_free_again():
    world = Rented(vram_mb=200_000)
    world.ledger.reserve("t", "r/1", micro_usd(2), "2025-10-09", micro_usd(25))
    assert world.spent() == micro_usd(2)
    with pytest.raises(RunFailure):
        world.acquire()
    world.teardown()
    assert world.spent() == 0


def test_a_failed_benchmark_tells_what_it_used_and_what_it_cost():
    world = acquired()
    world.change(outcome=Outcome(RunState.FAILED, "AGENT_ERROR", "no"))
    world.teardown()
    result = recorded(world)
    assert result["backend_url"] == "http://127.0.0.1:11434"
    assert result["contract_id"] == world.rental.contract_id
    assert result["telemetry"]["cost_usd"] == pytest.approx(0.17, abs=0.01)
    assert (result["artifacts"], result["token_usage"]) == ([], {})
    assert [each["name"] for each in result["phases"]] == ["acquire", "teardown"]
