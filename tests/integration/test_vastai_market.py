"""The Vast.ai adapter against the simulated provider, in its dialects and with its faults (jobs-api.md 6.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.integration.vast_world import LAUNCH, PLENTY, QUERY, RTX_4090, World, last_body

from rune.sandbox.clock import Clock
from rune.sandbox.vast import VastSim
from rune.sandbox.vast.market import Dialect
from rune_common.adapters.vastai import VastDialect
from rune_common.domain.gpu_market import (
    AmbiguousCreate,
    KeyRefused,
    MarketRefused,
    MarketUnavailable,
    OfferGone,
    StaleQuote,
)
from rune_common.domain.offers import choices

Open = Callable[..., World]
"""A world over a simulator; keyword arguments are those of `World`."""


@pytest.fixture
def open_world() -> Iterator[Open]:
    opened: list[World] = []

    def build(sim: VastSim, *dialect: VastDialect, **options: Any) -> World:
        opened.append(World(sim, *dialect, **options))
        return opened[-1]

    yield build
    for each in opened:
        each.http.close()


@pytest.fixture
def clock() -> Clock:
    return Clock(manual=True, start=1_760_000_000.0)


@pytest.fixture
def open_sim(clock: Clock) -> Iterator[Callable[..., VastSim]]:
    opened: list[VastSim] = []

    def build(**options: Any) -> VastSim:
        sim = VastSim(clock=clock, boot_seconds=30, **options)
        sim.start()
        opened.append(sim)
        return sim

    yield build
    for each in opened:
        each.stop()


@pytest.fixture
def world(open_sim: Callable[..., VastSim], open_world: Open) -> World:
    return open_world(open_sim())


def test_a_search_asks_for_what_is_needed_and_reads_what_is_offered(world: World) -> None:
    found = choices(world.market.search(QUERY), QUERY, "llama3.1:8b")
    assert found[0].offer_id == 7100103
    assert found[0].dph == 0.22
    body = last_body(world.sim, "POST", "bundles")
    assert body["verified"] == {"eq": True}
    assert body["rentable"] == {"eq": True}
    assert body["rented"] == {"eq": False}
    assert body["direct_port_count"] == {"gte": 1}
    assert body["dph_total"] == {"gte": 0.0, "lte": 3.0}
    assert body["gpu_total_ram"] == {"gte": 20_000}
    assert body["disk_space"] == {"gte": 40}
    assert (body["order"], body["limit"], body["type"]) == ([["dph_total", "asc"]], 100, "on-demand")


def test_traps_that_a_careless_provider_shows_are_not_chosen(
    open_sim: Callable[..., VastSim], open_world: Open
) -> None:
    world = open_world(open_sim(dialect=Dialect(filtering=False)))
    every = {each.offer_id for each in world.market.search(QUERY)}
    chosen = {each.offer_id for each in choices(world.market.search(QUERY), QUERY, "m")}
    assert every >= set(range(7100201, 7100209))
    assert chosen.isdisjoint(range(7100201, 7100208))
    assert 7100208 in chosen


def test_a_provider_that_counts_in_gb_is_understood(
    open_sim: Callable[..., VastSim], open_world: Open
) -> None:
    world = open_world(open_sim(dialect=Dialect(filtering=False, gb_units=True)))
    assert choices(world.market.search(QUERY), QUERY, "m")[0].offer_id == 7100103
    asking = open_world(world.sim, VastDialect(ram_unit="gb"))
    asking.market.search(QUERY)
    assert last_body(world.sim, "POST", "bundles")["gpu_total_ram"] == {"gte": 20_000 / 1024}


def test_the_search_type_is_a_setting(open_sim: Callable[..., VastSim], open_world: Open) -> None:
    sim = open_sim(dialect=Dialect(search_types=("ondemand",)))
    assert open_world(sim, VastDialect(search_type="ondemand")).market.search(QUERY)
    with pytest.raises(MarketRefused):
        open_world(sim).market.search(QUERY)


@pytest.mark.parametrize("form", ["object", "string"])
def test_an_instance_is_launched_with_port_and_variables_in_either_form(
    open_sim: Callable[..., VastSim], open_world: Open, form: str
) -> None:
    world = open_world(open_sim(dialect=Dialect(env_forms=(form,))), VastDialect(env_format=form))
    contract = world.running()
    body = last_body(world.sim, "PUT", "asks")
    assert (body["label"], body["disk"], body["cancel_unavail"]) == (LAUNCH.label, 40, True)
    assert (body["image"], body["runtype"]) == ("ollama/ollama", "args")
    instance = world.market.get(contract)
    assert instance is not None
    assert (instance.status, instance.label) == ("running", LAUNCH.label)
    assert instance.address is not None
    assert instance.address[0] == "127.0.0.1"


def test_a_template_takes_the_images_place(world: World) -> None:
    world.running(template_hash="c166c11f035d3a97871a23bd32ca6aba")
    body = last_body(world.sim, "PUT", "asks")
    assert body["template_hash_id"] == "c166c11f035d3a97871a23bd32ca6aba"
    assert {"image", "runtype"}.isdisjoint(body)


def test_an_instance_has_no_address_before_it_runs(world: World) -> None:
    contract = world.market.create(RTX_4090, LAUNCH)
    instance = world.market.get(contract)
    assert instance is not None
    assert (instance.status, instance.address) == (None, None)


def test_an_instance_whose_port_is_missing_has_no_address(world: World) -> None:
    world.sim.fault(kind="port_missing")
    instance = world.market.get(world.running())
    assert instance is not None
    assert (instance.status, instance.address) == ("running", None)


@pytest.mark.parametrize("gone", [404, 410])
def test_an_offer_that_is_gone_says_so(open_sim: Callable[..., VastSim], open_world: Open, gone: int) -> None:
    world = open_world(open_sim(dialect=Dialect(gone_status=gone)))
    with pytest.raises(OfferGone):
        world.market.create(99, LAUNCH)


def test_a_price_that_went_up_is_a_stale_quote(world: World) -> None:
    world.market.search(QUERY)
    world.sim.reprice(RTX_4090, 0.5)
    with pytest.raises(StaleQuote):
        world.market.create(RTX_4090, LAUNCH)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "rent_reply_lost"},
        {"kind": "status", "status": 500, "match": {"method": "PUT"}},
        {"kind": "status", "status": 503, "match": {"method": "PUT"}},
        {"kind": "garbage", "match": {"method": "PUT"}},
        {"kind": "truncate", "match": {"method": "PUT"}},
        {"kind": "reset", "match": {"method": "PUT"}},
        {"kind": "hang", "match": {"method": "PUT"}},
    ],
    ids=lambda fault: f"{fault['kind']}{fault.get('status', '')}",
)
def test_a_create_call_without_a_clear_answer_is_ambiguous_and_never_repeated(
    world: World, fault: dict[str, Any]
) -> None:
    world.sim.fault(**fault)
    with pytest.raises(AmbiguousCreate):
        world.market.create(RTX_4090, LAUNCH)
    assert len([each for each in world.sim.requests if each.method == "PUT"]) == 1


def test_a_create_call_that_never_left_is_not_ambiguous(world: World) -> None:
    world.sim.stop()
    with pytest.raises(MarketUnavailable):
        world.market.create(RTX_4090, LAUNCH)


def test_a_create_call_that_is_asked_for_patience_was_not_carried_out(world: World) -> None:
    world.sim.fault(kind="status", status=429, match={"method": "PUT"})
    with pytest.raises(MarketUnavailable):
        world.market.create(RTX_4090, LAUNCH)


def test_an_account_without_credit_is_refused(world: World) -> None:
    world.sim.fault(kind="no_credit")
    with pytest.raises(MarketRefused):
        world.market.create(RTX_4090, LAUNCH)


@pytest.mark.parametrize("status", [429, 500, 502, 503])
@pytest.mark.parametrize("call", ["search", "get", "list_owned", "destroy"])
def test_calls_that_may_be_repeated_are_repeated_with_longer_pauses(
    world: World, call: str, status: int
) -> None:
    contract = world.running()
    calls: dict[str, Callable[[], object]] = {
        "search": lambda: world.market.search(QUERY),
        "get": lambda: world.market.get(contract),
        "list_owned": world.market.list_owned,
        "destroy": lambda: world.market.destroy(contract),
    }
    world.sim.fault(kind="status", status=status, times=2)
    calls[call]()
    assert world.slept == [2.0, 4.0]
    world.sim.fault(kind="status", status=status)
    with pytest.raises(MarketUnavailable):
        calls[call]()


@pytest.mark.parametrize("kind", ["garbage", "truncate", "reset"])
@pytest.mark.parametrize("call", ["search", "get", "list_owned"])
def test_an_answer_that_is_none_is_no_answer(world: World, call: str, kind: str) -> None:
    contract = world.running()
    world.sim.fault(kind=kind)
    with pytest.raises(MarketUnavailable):
        {"search": lambda: world.market.search(QUERY), "get": lambda: world.market.get(contract)}.get(
            call, world.market.list_owned
        )()


def test_a_wrong_key_is_refused_and_never_shown(open_sim: Callable[..., VastSim], open_world: Open) -> None:
    world = open_world(open_sim(), api_key="not-the-key-of-this-account")
    with pytest.raises(KeyRefused) as caught:
        world.market.search(QUERY)
    assert "not-the-key" not in str(caught.value) + repr(world.http.__dict__.get("_client"))


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_the_list_is_followed_to_its_end(
    open_sim: Callable[..., VastSim], open_world: Open, version: str
) -> None:
    sim = open_sim(offers=PLENTY, dialect=Dialect(list_versions=(version,)))
    world = open_world(sim, VastDialect(list_api=version))
    made = [world.market.create(each.id, LAUNCH) for each in PLENTY[:30]]
    foreign = sim.add_foreign_instance("somebody else's")
    found = world.market.list_owned()
    assert [each.contract_id for each in found] == [*made, str(foreign)]
    assert {each.label for each in found} == {LAUNCH.label, "somebody else's"}


@pytest.mark.parametrize("status", [200, 404])
def test_an_instance_that_is_gone_is_none_and_destroying_it_no_error(
    open_sim: Callable[..., VastSim], open_world: Open, status: int
) -> None:
    world = open_world(open_sim(dialect=Dialect(absent_status=status)))
    contract = world.running()
    world.market.destroy(contract)
    assert world.market.get(contract) is None
    world.market.destroy(contract)
    world.sim.assert_no_leaks()


def test_an_end_that_is_ignored_shows_in_what_is_still_there(world: World) -> None:
    contract = world.running()
    world.sim.fault(kind="delete_ignored")
    world.market.destroy(contract)
    assert world.market.get(contract) is not None


def test_a_label_can_be_set_afterwards(world: World) -> None:
    world.sim.fault(kind="label_missing")
    contract = world.running()
    world.market.label(contract, "rune/x")
    instance = world.market.get(contract)
    assert instance is not None
    assert instance.label == "rune/x"


def test_calls_of_one_endpoint_keep_their_distance_and_others_do_not_wait(
    open_sim: Callable[..., VastSim], open_world: Open
) -> None:
    now = [100.0]
    world = open_world(open_sim(), min_interval=1.5, monotonic=lambda: now[0])
    world.market.search(QUERY)
    world.market.get("27000001")
    world.market.get("27000002")
    assert world.slept == [1.5]
    now[0] += 10
    world.market.get("27000001")
    assert world.slept == [1.5]


def test_only_numbers_get_into_a_path(world: World) -> None:
    for bad in ("", "../users/current", "1/../2", "١"):
        with pytest.raises(MarketRefused):
            world.market.get(bad)
