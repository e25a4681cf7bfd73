"""The market: offers, their prices, and the searches over them."""

from __future__ import annotations

import threading
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rune.sandbox.vast.launch import ENV_FORMS
from rune.sandbox.vast.offers import Json, Offer, VolumeOffer
from rune.sandbox.vast.refusal import Refused
from rune.sandbox.vast.search import ON_DEMAND, read_search

OFFER_FIELDS: Mapping[str, type] = {
    name: type(value) for name, value in Offer(1, 1, "", 1, 1, 1.0).facts(rented=False).items()
}
VOLUME_FIELDS: Mapping[str, type] = {
    name: type(value) for name, value in VolumeOffer(1, 1, 1).document().items()
}


@dataclass(frozen=True, slots=True)
class Dialect:
    """Where the provider's documents disagree (jobs-api.md 6.1): what this one understands and answers.

    `filtering` off makes searches ignore their filters. `gone_status` refuses an offer that is gone (404 or
    410); `absent_status` answers the read of an instance that is gone: 200 with null, or 404.
    """

    gb_units: bool = False
    filtering: bool = True
    gone_status: int = 404
    absent_status: int = 200
    search_types: Sequence[str] = ON_DEMAND
    env_forms: Sequence[str] = ENV_FORMS
    list_versions: Sequence[str] = ("v0", "v1")


class Market:
    """Thread-safe. An offer's price is quoted whenever a search shows it."""

    def __init__(
        self, offers: Mapping[int, Offer], volume_offers: Iterable[VolumeOffer], dialect: Dialect
    ) -> None:
        self._dialect = dialect
        self._lock = threading.Lock()
        self._offers = dict(offers)
        self._quoted: dict[int, float] = {}
        self._volume_offers = {each.id: each for each in volume_offers}

    def search(self, body: Mapping[str, Any], rented: Container[int]) -> list[Json]:
        """Documents of the offers that a search finds; `rented` are those that the account has."""
        search = read_search(
            body, OFFER_FIELDS, types=self._dialect.search_types, filtering=self._dialect.filtering
        )
        with self._lock:
            found = search.pick(offer.facts(rented=offer.id in rented) for offer in self._offers.values())
            offers = [self._offers[facts["id"]] for facts in found]
            self._quoted |= {offer.id: offer.dph_total for offer in offers}
        return [
            offer.document(rented=offer.id in rented, gb_units=self._dialect.gb_units) for offer in offers
        ]

    def search_volumes(self, body: Mapping[str, Any]) -> list[Json]:
        search = read_search(body, VOLUME_FIELDS)
        return search.pick(offer.document() for offer in self._volume_offers.values())

    def offer(self, offer_id: int) -> Offer:
        with self._lock:
            offer = self._offers.get(offer_id)
        if offer is None:
            raise self.no_such_ask(offer_id)
        return offer

    def volume_offer(self, offer_id: object) -> VolumeOffer:
        found = self._volume_offers.get(offer_id) if isinstance(offer_id, int) else None
        if found is None:
            raise self.no_such_ask(offer_id)
        return found

    def no_such_ask(self, offer_id: object) -> Refused:
        return Refused(self._dialect.gone_status, "no_such_ask", f"Ask {offer_id} is not available.")

    def check_price(self, offer: Offer, named: float | None) -> None:
        """400 `invalid_price` if the caller counts on less: the price it names, else its last quote."""
        with self._lock:
            counted_on = self._quoted.get(offer.id, offer.dph_total) if named is None else named
        if counted_on < offer.dph_total:
            raise Refused(400, "invalid_price", f"The price of ask {offer.id} is now {offer.dph_total}.")

    def withdraw(self, offer_id: int) -> None:
        """Take an offer off the market, as when someone else was faster."""
        with self._lock:
            self._offers.pop(offer_id, None)

    def reprice(self, offer_id: int, dph_total: float) -> None:
        """Change a price; renting on an older, lower quote is refused. KeyError for an unknown id."""
        with self._lock:
            self._offers[offer_id] = replace(self._offers[offer_id], dph_total=dph_total)

    def prices(self) -> dict[str, float]:
        """What is on the market, by id: $/h."""
        with self._lock:
            return {str(offer.id): offer.dph_total for offer in self._offers.values()}
