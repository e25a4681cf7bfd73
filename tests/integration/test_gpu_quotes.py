"""What providers ask for GPUs, on every adapter (jobs-api.md 7.2)."""

from __future__ import annotations

import pytest
from tests.integration.run_samples import NOON

from rune_common.adapters.dynamodb_quotes import DynamoGpuQuotes
from rune_common.adapters.memory_quotes import MemoryGpuQuotes
from rune_common.domain.finops import GpuQuote

QUOTE = GpuQuote("RTX 4090", 300_000, 400_000, 500_000, NOON)


@pytest.fixture(params=["memory", "pydynox", "boto3"])
def quotes(request):
    if request.param == "memory":
        return MemoryGpuQuotes()
    table = request.getfixturevalue("tables").runs
    return DynamoGpuQuotes(table, request.getfixturevalue("table_clients")[request.param])


def test_a_quote_comes_back_under_every_spelling(quotes):
    quotes.remember(QUOTE)
    for spelling in ("RTX 4090", "rtx_4090", "RTX-4090", "rtx4090"):
        assert quotes.latest(spelling) == QUOTE


def test_an_unknown_gpu_has_no_quote(quotes):
    quotes.remember(QUOTE)
    assert quotes.latest("RTX 3090") is None
    assert quotes.latest("4090") is None


def test_a_later_quote_replaces_the_earlier_one(quotes):
    quotes.remember(QUOTE)
    later = GpuQuote("rtx 4090", 1, 2, 3, NOON + 1)
    quotes.remember(later)
    assert quotes.latest("RTX 4090") == later
