"""Before anything is rented it is written down, and before that somebody may have to say yes."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from rune.local import booked_market
from rune.local.booked_market import BookedMarket
from rune.local.instance_book import InstanceBook
from rune_common.adapters.memory_market import MemoryMarket
from rune_common.domain.gpu_market import Launch, MarketRefused, Offer, OfferQuery

LABEL = "rune/cli-00000000/job/1760000000"
LAUNCH = Launch(LABEL, 40)
QUERY = OfferQuery(0.0, 3.0, 8_000, 40, 0.9)
OFFERS = (
    Offer(1, 2.5, 24_564, 0.99, 200.0, gpu_name="RTX 4090"),
    Offer(2, 0.5, 24_564, 0.99, 200.0, gpu_name="RTX 3090"),
    Offer(3, 0.1, 4_000, 0.99, 200.0, gpu_name="T4"),
)


@pytest.fixture
def account() -> MemoryMarket:
    return MemoryMarket(OFFERS)


def booked(account: MemoryMarket, path: Path, *, asks: bool = False) -> BookedMarket:
    market = BookedMarket(account, InstanceBook(path), "session", lambda: 5, asks=asks)
    market.model = "llama3.1:8b"
    return market


def test_the_line_is_there_before_the_create_call(account: MemoryMarket, tmp_path: Path) -> None:
    path = tmp_path / "instances.jsonl"
    market, seen = booked(account, path), []
    market.search(QUERY)
    account.before = lambda call: seen.append((call, InstanceBook(path).open()))
    contract = market.create(2, LAUNCH)
    ((call, (line,)),) = seen
    assert (call, line.label, line.dph, line.asked_at, line.contract_id) == ("create", LABEL, 0.5, 5, "")
    assert [each.contract_id for each in InstanceBook(path).open()] == [contract]


def test_what_cannot_be_written_down_is_not_rented(account: MemoryMarket, tmp_path: Path) -> None:
    market = booked(account, tmp_path / "file" / "instances.jsonl")
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match="file"):
        market.create(2, LAUNCH)
    assert account.created == []


def test_a_search_ends_with_the_answer_and_asks_once(account: MemoryMarket, tmp_path: Path) -> None:
    market = booked(account, tmp_path / "i.jsonl", asks=True)
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(len(market.search(QUERY))))
    thread.start()
    while market.proposed is None and thread.is_alive():
        time.sleep(0.001)
    proposed = market.proposed
    assert proposed is not None
    assert (proposed.choice.offer_id, proposed.max_dph, found) == (2, 3.0, [])
    market.decide(True)
    thread.join()
    assert found == [3]
    assert len(market.search(QUERY)) == 3, "without another question"


def test_after_a_no_the_market_refuses(account: MemoryMarket, tmp_path: Path) -> None:
    market = booked(account, tmp_path / "i.jsonl", asks=True)
    market.decide(False)
    with pytest.raises(MarketRefused):
        market.search(QUERY)


def test_nobody_is_asked_about_nothing(account: MemoryMarket, tmp_path: Path) -> None:
    account.offers = [OFFERS[2]]
    market = booked(account, tmp_path / "i.jsonl", asks=True)
    assert len(market.search(QUERY)) == 1
    assert market.proposed is None


def test_a_search_does_not_outlast_the_call_that_waits_for_it() -> None:
    assert booked_market.PATIENCE_SECONDS < 60, "the read timeout of the step's caller"
