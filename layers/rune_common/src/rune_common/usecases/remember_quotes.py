"""Keep what a provider's offers cost, for simulations of the next hour (jobs-api.md 7.2)."""

from __future__ import annotations

from collections.abc import Iterable

from rune_common.domain.errors import Unavailable
from rune_common.domain.finops import GpuQuotes, gpu_quotes
from rune_common.domain.ports import Clock

MAX_GPUS = 10
"""One write each: a search must not become a bill."""


def remember_quotes(offers: Iterable[tuple[str, float]], *, quotes: GpuQuotes, clock: Clock) -> None:
    """`offers` are GPU names and $/h, the best offer first. What cannot be stored is not worth a failure."""
    try:
        for quote in gpu_quotes(offers, seen_at=clock())[:MAX_GPUS]:
            quotes.remember(quote)
    except Unavailable:
        return
