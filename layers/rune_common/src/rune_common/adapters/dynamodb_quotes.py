"""GPU quotes in the runs table: one item per GPU, written by whoever searched the provider's offers."""

from __future__ import annotations

from rune_common.adapters import dynamodb_keys as keys
from rune_common.adapters.dynamodb_client import TableClient
from rune_common.domain.finops import QUOTE_LIFETIME_MS, GpuQuote
from rune_common.domain.price_tables import gpu_name


class DynamoGpuQuotes:
    def __init__(self, table: str, client: TableClient) -> None:
        self._table = table
        self._client = client

    def latest(self, gpu: str) -> GpuQuote | None:
        """Strongly consistent; a quote that has gone stale but is not deleted yet is returned, too."""
        item = self._client.get(self._table, keys.quote_key(gpu_name(gpu)))
        if item is None:
            return None
        return GpuQuote(
            gpu=item["gpu"],
            low=int(item["low"]),
            mid=int(item["mid"]),
            high=int(item["high"]),
            seen_at=int(item["seen_at"]),
        )

    def remember(self, quote: GpuQuote) -> None:
        self._client.put(
            self._table,
            {
                **keys.quote_key(gpu_name(quote.gpu)),
                "gpu": quote.gpu,
                "low": quote.low,
                "mid": quote.mid,
                "high": quote.high,
                "seen_at": quote.seen_at,
                "ttl": -(-(quote.seen_at + QUOTE_LIFETIME_MS) // 1000),
            },
        )
