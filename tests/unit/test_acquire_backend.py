"""A model server for the run, step by step: given or rented (jobs-api.md 4.10, 6.2 to 6.4, 7.3)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.rentals import DEPLOYMENT, NOON, OFFERS, Fault, Rented

from rune_common.domain.errors import RunCancelled, RunFailure
from rune_common.domain.gpu_market import (
    AmbiguousCreate,
    KeyRefused,
    MarketRefused,
    MarketUnavailable,
    StaleQuote,
)
from rune_common.domain.labels import parse_label
from rune_common.domain.money import micro_usd
from rune_common.domain.rentals import RentalState
from rune_common.domain.runs import RunKind, RunState
from rune_common.domain.spend import spend_day


def refusal(world: Rented) -> tuple[str, str]:
    with pytest.raises(RunFailure) as caught:
        world.acquire()
    return caught.value.run_code, caught.value.text


def test_the_cheapest_offer_is_rented_under_our_label_and_its_address_kept():
    world = Rented()
    world.acquire()
    (made,) = world.market.created
    label = parse_label(made.label)
    assert made.offer_id == 11
    assert (label.deployment_id, label.job_id) == (DEPLOYMENT, "r")
    assert label.expires_at == NOON // 1000 + 3600 + 600
    assert (made.launch.template_hash, made.launch.disk_gb) == ("abc", 41)
    assert made.launch.env == {"OLLAMA_HOST": "0.0.0.0:11434"}
    assert world.run.backend_url == "http://127.0.0.1:11434"
    assert world.rental.state is RentalState.RUNNING
    assert world.spans() == [
        "vastai.offer_search",
        "cost.admission",
        "vastai.instance.create",
        "vastai.instance.wait_running",
    ]
    assert [(each.name, each.status) for each in world.run.phases] == [("acquire", "ok")]


def test_the_intent_is_stored_and_the_money_set_aside_before_the_create_call():
    world, seen = Rented(), []

    def look(name: str) -> None:
        if name == "create":
            seen.append((world.rental.label, world.rental.state, world.spent(), world.rented.tenant_of("r")))

    world.market.before = look
    world.acquire()
    assert seen == [(world.rental.label, RentalState.CREATING, micro_usd(1.0), "t")]


def test_a_given_address_is_taken_as_it_is():
    world = Rented()
    world.document["rental"] = None
    world.document["backend_url"] = "http://127.0.0.9:1"
    assert world.step().done
    assert world.run.backend_url == "http://127.0.0.9:1"
    assert world.market.created == []


def test_an_offer_that_is_gone_makes_place_for_the_next():
    world = Rented()
    world.market.before = Fault("create", StaleQuote())
    world.acquire()
    assert [each.offer_id for each in world.market.created] == [12]
    assert world.spent() == micro_usd(1.5)
    assert [each.state for each in world.run.rentals] == [RentalState.DESTROYED, RentalState.RUNNING]


def test_a_failed_instance_is_destroyed_before_the_next_offer_is_tried():
    world = Rented()
    world.market.boots = [["loading", "exited"], ["loading", "running"]]
    alive_at_create = []
    world.market.after_create = lambda _: alive_at_create.append(len(world.market.instances))
    world.acquire()
    assert [each.offer_id for each in world.market.created] == [11, 12]
    assert alive_at_create == [1, 1]
    assert [each.state for each in world.run.rentals] == [RentalState.DESTROYED, RentalState.RUNNING]


def test_three_instances_are_enough():
    world = Rented()
    world.market.boots = [["exited"]] * 4
    assert refusal(world) == ("INSTANCE_FAILED", "the rented instance failed")
    assert len(world.market.created) == 3
    assert world.market.instances == {}


@pytest.mark.parametrize(
    "boot", [["unknown", "unknown"], ["loading"], ["dreaming"]], ids=["unknown", "stuck", "strange"]
)
def test_an_instance_that_does_not_come_up_is_given_up(boot):
    world = Rented()
    world.market.boots = [list(boot), ["running"]]
    world.acquire()
    assert [each.offer_id for each in world.market.created] == [11, 12]


def test_one_odd_look_is_no_failure():
    world = Rented()
    world.market.boots = [["unknown", "loading", "unknown", "running"]]
    world.acquire()
    assert len(world.market.created) == 1


def test_a_running_instance_without_its_port_is_given_up_after_a_minute():
    world = Rented()

    def hide(made):
        made.address = None if len(world.market.created) == 1 else made.address

    world.market.after_create = hide
    world.acquire()
    assert [each.offer_id for each in world.market.created] == [11, 12]
    first, second = world.run.rentals
    assert 60_000 <= first.destroyed_at - first.created_at < 100_000


def test_an_address_that_the_policy_refuses_is_not_used():
    world = Rented()

    def inside(made):
        made.address = ("10.0.0.1", 11434) if len(world.market.created) == 1 else made.address

    world.market.after_create = inside
    world.acquire()
    assert world.run.backend_url == "http://127.0.0.1:11434"
    assert [each.offer_id for each in world.market.created] == [11, 12]


def test_an_unanswered_create_call_that_succeeded_is_adopted():
    world = Rented()

    def lose(_):
        world.market.after_create = lambda _: None
        raise AmbiguousCreate

    world.market.after_create = lose
    world.acquire()
    assert len(world.market.created) == 1
    assert world.rental.contract_id == world.market.created[0].contract_id
    assert world.rental.created_at == world.rental.intended_at


def test_an_unanswered_create_call_that_failed_is_repeated_only_after_a_second_look():
    world = Rented()
    world.market.before = Fault("create", AmbiguousCreate())
    world.acquire()
    (made,) = world.market.created
    assert made.started_at - NOON >= 30_000
    assert made.offer_id == 12


def test_a_process_that_ended_before_the_answer_finds_its_instance_again():
    world = Rented()

    class Killed(BaseException):
        pass

    def kill(_):
        world.market.after_create = lambda _: None
        raise Killed

    world.market.after_create = kill
    with pytest.raises(Killed):
        world.acquire()
    world.acquire()
    assert len(world.market.created) == 1


def test_an_instance_of_somebody_else_is_never_adopted():
    world = Rented()
    world.market.add_foreign(None)
    world.market.add_foreign(f"rune/another-deployment/r/{NOON // 1000}")
    world.market.before = Fault("create", AmbiguousCreate())
    world.acquire()
    assert world.rental.contract_id == world.market.created[0].contract_id


def test_a_missing_label_is_set_once():
    world = Rented()
    world.market.after_create = lambda made: setattr(made, "label", None)
    world.acquire()
    assert world.market.created[0].label == world.rental.label


def test_an_instance_that_does_not_take_its_label_cannot_be_kept():
    world = Rented()
    world.market.after_create = lambda made: setattr(made, "label", None)
    world.market.label = lambda contract_id, label: None
    assert refusal(world)[0] == "INSTANCE_FAILED"
    world.teardown()
    assert world.market.instances == {}


@pytest.mark.parametrize("call", ["search", "create", "get"])
def test_a_provider_that_does_not_answer_is_asked_again(call):
    world = Rented()
    world.market.before = Fault(call, MarketUnavailable(), times=2)
    world.acquire()
    assert len(world.market.created) == 1


def test_a_provider_that_refuses_ends_the_job():
    world = Rented()
    world.market.before = Fault("search", MarketRefused(), times=9)
    assert refusal(world) == ("INSTANCE_FAILED", "the provider refused to create an instance")


def test_a_key_that_is_not_taken_is_no_configuration():
    world = Rented()
    world.market.before = Fault("search", KeyRefused(), times=9)
    assert refusal(world) == ("INSTANCE_FAILED", "provider is not configured")


def test_without_a_fitting_offer_the_job_fails_and_nothing_stays_set_aside():
    world = Rented(vram_mb=200_000)
    assert refusal(world) == ("NO_OFFER", "no offer matches the request")
    assert world.teardown().done
    assert world.spent() == 0


def test_the_cap_follows_the_limit_and_the_time():
    world = Rented(spend_limit_per_job_usd=0.9)
    assert refusal(world)[0] == "NO_OFFER"
    world = Rented(spend_limit_per_job_usd=0.9, min_dph=1.0)
    assert refusal(world)[0] == "SPEND_LIMIT_EXCEEDED"


def test_the_operators_limit_holds_when_it_was_lowered_after_the_submission():
    world = Rented(min_dph=1.0)
    world.lowered(per_job=0.5, per_day=25.0)
    assert refusal(world)[0] == "SPEND_LIMIT_EXCEEDED"


def test_what_is_left_of_the_day_counts():
    world = Rented(min_dph=1.0)
    world.ledger.reserve("t", "another", micro_usd(24.5), spend_day(NOON), micro_usd(25))
    assert refusal(world)[0] == "SPEND_LIMIT_EXCEEDED"


def test_accrued_cost_ends_the_job_at_its_limit():
    world = Rented()
    world.market.boots = [["loading"]]
    world.acquire(lambda _: len(world.market.created) == 1)
    rental = replace(world.rental, limit_micro_usd=micro_usd(0.01))
    world.change(rentals=(rental,))
    world.time.sleep(60)
    assert refusal(world)[0] == "SPEND_LIMIT_EXCEEDED"


def test_a_cancel_ends_the_wait():
    world = Rented()
    world.market.boots = [["loading"]]
    world.acquire(lambda _: len(world.market.created) == 1)
    world.change(state=RunState.CANCELLING)
    with pytest.raises(RunCancelled):
        world.step()


def test_the_deadline_ends_the_wait():
    world = Rented()
    world.market.boots = [["loading"]]
    world.change(timeout_seconds=100)
    assert refusal(world) == ("RUN_TIMEOUT", "execution timeout exceeded")


def test_an_instance_without_a_model_gets_the_largest_that_fits():
    world = Rented(RunKind.LLM_INSTANCE, model="")
    world.acquire()
    assert world.run.model == "llama3.1:8b"


def test_what_was_offered_is_remembered_for_simulations():
    world = Rented()
    offers = [
        replace(OFFERS[0], gpu_name="RTX 4090", dph=dph, gpus=gpus, offer_id=n)
        for n, (dph, gpus) in enumerate([(0.3, 1), (0.5, 1), (0.9, 2)], 1)
    ]
    world.market.offers = offers
    world.acquire()
    quote = world.quotes.latest("rtx4090")
    assert (quote.low, quote.high, quote.seen_at) == (300_000, 500_000, NOON)
