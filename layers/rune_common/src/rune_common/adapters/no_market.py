"""The market of a process that has no provider's key: whatever is asked for is refused."""

from __future__ import annotations

from collections.abc import Sequence

from rune_common.domain.gpu_market import Instance, KeyRefused, Launch, Offer, OfferQuery


class NoMarket:
    def search(self, query: OfferQuery) -> Sequence[Offer]:
        raise KeyRefused("no provider is configured")

    def create(self, offer_id: int, launch: Launch) -> str:
        raise KeyRefused("no provider is configured")

    def get(self, contract_id: str) -> Instance | None:
        raise KeyRefused("no provider is configured")

    def list_owned(self) -> Sequence[Instance]:
        raise KeyRefused("no provider is configured")

    def label(self, contract_id: str, label: str) -> None:
        raise KeyRefused("no provider is configured")

    def destroy(self, contract_id: str) -> None:
        raise KeyRefused("no provider is configured")
