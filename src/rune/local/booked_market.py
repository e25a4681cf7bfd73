"""The provider's account as the command line uses it: written down before it is rented, and asked before."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from rune.local.instance_book import Booked, InstanceBook
from rune_common.domain.gpu_market import (
    GpuMarket,
    Instance,
    Launch,
    MarketRefused,
    MarketUnavailable,
    Offer,
    OfferQuery,
)
from rune_common.domain.offers import Choice, choices
from rune_common.domain.ports import Clock

PATIENCE_SECONDS = 20.0
"""How long a search waits for a person; the step that searches is then taken again."""


@dataclass(frozen=True, slots=True)
class Proposed:
    """The offer that would be rented now; if it is gone, another one at most `max_dph` $/h dear."""

    choice: Choice
    max_dph: float


class BookedMarket:
    """A GpuMarket. With `asks` no search ends before a person has said yes to the best offer (`proposed`).

    `model` is the one that is to run, "" for the largest that fits.
    """

    def __init__(
        self, market: GpuMarket, book: InstanceBook, session: str, clock: Clock, *, asks: bool
    ) -> None:
        self._market, self._book, self._session, self._clock = market, book, session, clock
        self._dph: dict[int, float] = {}
        self._asks, self._answer = asks, False
        self._answered = threading.Event()
        self._proposed: Proposed | None = None
        self.model = ""

    @property
    def proposed(self) -> Proposed | None:
        """What waits for an answer."""
        return None if self._answered.is_set() else self._proposed

    def decide(self, yes: bool) -> None:
        """The person's answer, once and for all instances of this process's job."""
        self._answer = yes
        self._answered.set()

    def search(self, query: OfferQuery) -> Sequence[Offer]:
        if self._asks and self._answered.is_set() and not self._answer:
            raise MarketRefused("declined")
        offers = self._market.search(query)
        self._dph |= {each.offer_id: each.dph for each in offers if each.dph}
        if self._asks and not self._answered.is_set():
            self._ask(offers, query)
        return offers

    def create(self, offer_id: int, launch: Launch) -> str:
        self._book.create(
            Booked(launch.label, offer_id, self._dph.get(offer_id, 0.0), self._clock(), self._session)
        )
        contract_id = self._market.create(offer_id, launch)
        self._book.created(launch.label, contract_id)
        return contract_id

    def get(self, contract_id: str) -> Instance | None:
        return self._market.get(contract_id)

    def list_owned(self) -> Sequence[Instance]:
        return self._market.list_owned()

    def label(self, contract_id: str, label: str) -> None:
        self._market.label(contract_id, label)

    def destroy(self, contract_id: str) -> None:
        self._market.destroy(contract_id)

    def _ask(self, offers: Sequence[Offer], query: OfferQuery) -> None:
        found = choices(offers, query, self.model)
        if not found:
            return
        self._proposed = Proposed(found[0], query.max_dph)
        if not self._answered.wait(PATIENCE_SECONDS):
            raise MarketUnavailable("a person has not answered yet")
        if not self._answer:
            raise MarketRefused("declined")
