"""Choosing an offer, without trust in the provider's filtering (jobs-api.md 6.2)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rune_common.domain.gpu_market import Offer, OfferQuery
from rune_common.domain.offers import choices

QUERY = OfferQuery(min_dph=0.0, max_dph=3.0, vram_mb=50_000, disk_gb=89, reliability=0.99)
FAIR = Offer(1, 2.9, 96_000, 0.995, 200.0, 100.0, "H100 NVL")


def ids(offers, query=QUERY, model="llama3.1:70b"):
    return [choice.offer_id for choice in choices(offers, query, model)]


def test_the_cheapest_that_fits_comes_first():
    small = replace(FAIR, offer_id=2, dph=2.4, gpu_ram_total=24_000)
    dear = replace(FAIR, offer_id=3, dph=9.0)
    cheaper = replace(FAIR, offer_id=4, dph=2.5)
    assert ids([small, FAIR, dear, cheaper]) == [4, 1]


@pytest.mark.parametrize(
    "fields",
    [
        {"dph": 3.01},
        {"dph": None},
        {"dph": float("nan")},
        {"dph": -1.0},
        {"dph": 0.0},
        {"gpu_ram_total": 49_999},
        {"gpu_ram_total": None},
        {"reliability": 0.98},
        {"reliability": None},
        {"disk_gb": 88.9},
        {"disk_gb": None},
        {"fit": False},
    ],
    ids=str,
)
def test_what_should_not_have_been_shown_is_rejected(fields):
    assert ids([replace(FAIR, **fields)]) == []


def test_a_total_below_a_thousand_is_in_gb():
    assert ids([replace(FAIR, gpu_ram_total=80.0)]) == [1]
    assert ids([replace(FAIR, gpu_ram_total=40.0)]) == []


def test_equal_prices_go_by_reliability_then_speed_then_id():
    offers = [
        replace(FAIR, offer_id=4),
        replace(FAIR, offer_id=3),
        replace(FAIR, offer_id=2, dlperf=200.0),
        replace(FAIR, offer_id=1, reliability=0.999),
    ]
    assert ids(offers) == [1, 2, 3, 4]


def test_without_a_model_the_most_memory_wins_and_the_largest_model_that_fits_is_taken():
    query = replace(QUERY, vram_mb=8_000, disk_gb=41)
    small, large = replace(FAIR, offer_id=2, dph=0.5, gpu_ram_total=24_000), FAIR
    found = choices([small, large], query, "")
    assert [(each.offer_id, each.model) for each in found] == [(1, "mixtral:8x22b"), (2, "llama3.1:8b")]


def test_the_model_has_to_fit_on_the_disk_as_well():
    (found,) = choices([replace(FAIR, disk_gb=90.0)], replace(QUERY, vram_mb=8_000, disk_gb=41), "")
    assert found.model == "llama3.1:70b"


NUMBERS = st.none() | st.floats() | st.integers(-10, 10**7).map(float)


@given(st.lists(st.builds(Offer, st.integers(1, 99), NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.floats(0, 100))))
def test_whatever_is_offered_what_is_chosen_keeps_the_terms(offers):
    found = choices(offers, QUERY, "m")
    for each in found:
        assert QUERY.min_dph <= each.dph <= QUERY.max_dph
        assert each.vram_mb >= QUERY.vram_mb
        assert each.reliability >= QUERY.reliability
        assert each.disk_gb >= QUERY.disk_gb
    assert [each.dph for each in found] == sorted(each.dph for each in found)
