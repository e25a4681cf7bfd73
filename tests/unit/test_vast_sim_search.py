"""Filters, order and units of the simulated GPU market (holmes-driver.md 6.3)."""

from __future__ import annotations

import pytest

from rune.sandbox.vast import Offer
from rune.sandbox.vast.market import OFFER_FIELDS, Dialect, Market
from rune.sandbox.vast.offers import read_offers
from rune.sandbox.vast.refusal import Refused
from rune.sandbox.vast.search import read_search

SMALL = Offer(1, 10, "RTX 4090", 1, 24564, 0.4, reliability=0.99, dlperf=98.0)
BIG = Offer(2, 20, "H100 SXM", 2, 81559, 4.8, reliability=0.999, disk_space=1000.0)
VAGUE = Offer(3, 30, "RTX 4090", 1, 24564, 0.1, left_out=frozenset({"gpu_total_ram", "dlperf"}))
SHADY = Offer(4, 40, "RTX 3090", 1, 24576, 0.2, reliability=0.9, verified=False, taken=True)


def found(body: dict[str, object], **dialect: object) -> list[int]:
    market = Market(read_offers([SMALL, BIG, VAGUE, SHADY]), [], Dialect(**dialect))
    return [offer["id"] for offer in market.search(body, rented=())]


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ({}, [1, 2, 3, 4]),
        ({"dph_total": {"lte": 0.4}}, [1, 3, 4]),
        ({"dph_total": {"lt": 0.4}}, [3, 4]),
        ({"dph_total": {"gte": 0.2, "lte": 1.0}}, [1, 4]),
        ({"dph_total": {"gt": 0.2}}, [1, 2]),
        ({"verified": {"eq": True}}, [1, 2, 3]),
        ({"verification": {"neq": "verified"}}, [4]),
        ({"rented": {"eq": False}, "rentable": {"eq": True}}, [1, 2, 3]),
        ({"gpu_name": {"in": ["RTX 4090", "A100"]}}, [1, 3]),
        ({"gpu_name": {"notin": ["RTX 4090"]}}, [2, 4]),
        ({"num_gpus": {"in": ["2", 4]}}, [2]),
        ({"reliability2": {"gte": 0.99}}, [1, 2, 3]),
    ],
)
def test_filters_select(filters, ids):
    assert found(filters) == ids


def test_filters_may_come_as_strings():
    typed = {"gpu_total_ram": {"gte": 30000}, "verified": {"eq": True}, "dph_total": {"lte": 128}}
    texts = {"gpu_total_ram": {"gte": "30000"}, "verified": {"eq": "True"}, "dph_total": {"lte": "128.0"}}
    assert found(typed) == found(texts) == [2, 3]


def test_an_offer_without_a_field_passes_filters_on_it():
    assert 3 in found({"gpu_total_ram": {"gte": 10**6}})


def test_orders_apply_in_turn_and_put_offers_without_the_field_last():
    assert found({"order": [["dph_total", "asc"]]}) == [3, 4, 1, 2]
    assert found({"order": [["gpu_name", "desc"], ["dph_total", "desc"]]}) == [1, 3, 4, 2]
    assert found({"order": [["dlperf", "desc"]]}) == [2, 4, 1, 3]
    assert found({"order": [["dlperf", "asc"]]}) == [1, 2, 4, 3]


@pytest.mark.parametrize("limit", [2, "2"])
def test_the_limit_counts_after_the_order(limit):
    assert found({"order": [["dph_total", "asc"]], "limit": limit}) == [3, 4]


@pytest.mark.parametrize("spelling", ["on-demand", "ondemand"])
def test_both_spellings_of_on_demand_are_understood(spelling):
    assert found({"type": spelling, "allocated_storage": 32}) == [1, 2, 3, 4]


def test_a_market_can_insist_on_one_spelling():
    assert found({"type": "ondemand"}, search_types=("ondemand",)) == [1, 2, 3, 4]
    with pytest.raises(Refused, match="type must be one of"):
        found({"type": "on-demand"}, search_types=("ondemand",))


def test_nothing_is_sold_by_bid():
    assert found({"type": "bid"}) == []


def test_a_market_can_ignore_all_filters_but_still_reads_them():
    assert found({"dph_total": {"lte": 0.1}}, filtering=False) == [1, 2, 3, 4]
    with pytest.raises(Refused):
        found({"dph_total": {"lte": "cheap"}}, filtering=False)


@pytest.mark.parametrize(
    "body",
    [
        {"colour": {"eq": "red"}},
        {"dph_total": {"below": 1}},
        {"dph_total": 1},
        {"dph_total": {"lte": None}},
        {"dph_total": {"lte": True}},
        {"dph_total": {"lte": "nan"}},
        {"verified": {"eq": "yes"}},
        {"gpu_name": {"eq": 4090}},
        {"gpu_name": {"in": "RTX 4090"}},
        {"order": [["colour", "asc"]]},
        {"order": [["dph_total", "up"]]},
        {"order": ["dph_total"]},
        {"order": "dph_total"},
        {"limit": 0},
        {"limit": "inf"},
        {"type": "free"},
        {"allocated_storage": "much"},
    ],
)
def test_what_cannot_be_understood_is_refused(body):
    with pytest.raises(Refused) as caught:
        read_search(body, OFFER_FIELDS)
    assert (caught.value.status, caught.value.error) == (400, "invalid_args")


def test_memory_is_in_mb_unless_the_market_or_the_offer_gives_gb():
    shown = {
        (market, own): Offer(
            1, 10, "A100", 2, 81920, 1.0, in_gb=own
        ).document(rented=False, gb_units=market)["gpu_total_ram"]
        for market in (False, True)
        for own in (False, True)
    }  # fmt: skip
    assert shown == {(False, False): 163840, (False, True): 160, (True, False): 160, (True, True): 160}


def test_filters_on_memory_are_in_mb_whatever_is_shown():
    assert found({"gpu_total_ram": {"gte": 100_000}}, gb_units=True) == [2, 3]


def test_an_offer_without_numbers_lacks_the_fields():
    shown = VAGUE.document(rented=False, gb_units=False)
    assert shown.keys().isdisjoint({"gpu_total_ram", "dlperf"})
    assert shown["gpu_ram"] == 24564


def test_offers_may_be_given_as_mappings():
    given = {"id": 9, "machine_id": 1, "gpu_name": "L40S", "num_gpus": 1, "gpu_ram": 46068, "dph_total": 0.9}
    assert read_offers([given])[9].gpu_total_ram == 46068


@pytest.mark.parametrize("given", [[{"id": 9}], [SMALL, SMALL]])
def test_offers_that_make_no_sense_are_refused(given):
    with pytest.raises(ValueError, match=r"not an offer|two offers"):
        read_offers(given)
