"""GPU quotes in this process."""

from __future__ import annotations

from rune_common.domain.finops import GpuQuote
from rune_common.domain.price_tables import gpu_name


class MemoryGpuQuotes:
    def __init__(self) -> None:
        self._quotes: dict[str, GpuQuote] = {}

    def latest(self, gpu: str) -> GpuQuote | None:
        return self._quotes.get(gpu_name(gpu))

    def remember(self, quote: GpuQuote) -> None:
        self._quotes[gpu_name(quote.gpu)] = quote
