"""Choosing an offer (jobs-api.md 6.2). Nothing here trusts the provider's own filtering."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from rune_common.domain.gpu_market import Offer, OfferQuery
from rune_common.domain.model_catalog import CATALOG, CatalogModel

MB_PER_GB = 1024
LARGEST_IN_GB = 1000
"""A total below this is in GB: no GPU has less than a GB, and no machine a TB."""


@dataclass(frozen=True, slots=True)
class Choice:
    """An offer that fits, its numbers known and in our units, with the model that is to run on it."""

    offer_id: int
    dph: float
    vram_mb: float
    reliability: float
    disk_gb: float
    dlperf: float
    gpu_name: str
    model: str


def choices(offers: Iterable[Offer], query: OfferQuery, model: str) -> list[Choice]:
    """The offers that fit, best first. `model` "": the largest catalog model that fits, on the most memory."""
    found = [choice for offer in offers if (choice := _fitting(offer, query, model)) is not None]
    if model:
        return sorted(found, key=_by_price)
    return sorted(found, key=lambda choice: (-choice.vram_mb, *_by_price(choice)))


def _by_price(choice: Choice) -> tuple[float, float, float, int]:
    return choice.dph, -choice.reliability, -choice.dlperf, choice.offer_id


def _fitting(offer: Offer, query: OfferQuery, model: str) -> Choice | None:
    numbers = (offer.dph, offer.gpu_ram_total, offer.reliability, offer.disk_gb)
    dph, ram, reliability, disk = (number if _known(number) else None for number in numbers)
    if not offer.fit or dph is None or ram is None or reliability is None or disk is None:
        return None
    vram_mb = ram * MB_PER_GB if ram < LARGEST_IN_GB else ram
    fits = (
        query.min_dph <= dph <= query.max_dph
        and vram_mb >= query.vram_mb
        and reliability >= query.reliability
        and disk >= query.disk_gb
    )
    chosen = model or _largest(vram_mb, disk)
    if not fits or not chosen:
        return None
    return Choice(offer.offer_id, dph, vram_mb, reliability, disk, offer.dlperf, offer.gpu_name, chosen)


def _known(number: float | None) -> bool:
    return number is not None and math.isfinite(number) and number > 0


def _largest(vram_mb: float, disk_gb: float) -> str:
    fitting: Iterable[CatalogModel] = CATALOG
    return next(
        (each.name for each in fitting if each.vram_mb <= vram_mb and each.required_disk_gb <= disk_gb), ""
    )
