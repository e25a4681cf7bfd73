"""The operator's reference prices from a JSON file (`RUNE_PRICE_TABLE`), in $/h:

`{"aws": {"default": 0.6, "g5": 1.3}, "gcp": {…}, "azure": {…}}`. What it does not name keeps its built-in price.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from rune_common.domain.errors import Misconfigured
from rune_common.domain.price_tables import CLOUDS, InstancePrices, PriceTable

DEFAULT = "default"
HIGHEST_PRICE = 10_000


def read_price_table(path: str) -> PriceTable:
    """The built-in table when no file is configured. Raises Misconfigured for a file that is no price table."""
    if not path:
        return PriceTable()
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"), parse_float=Decimal, parse_int=Decimal)
        return PriceTable().overridden(_clouds(found))
    except (OSError, ValueError, TypeError, AttributeError) as exc:
        raise Misconfigured("RUNE_PRICE_TABLE is not a readable price table") from exc


def _clouds(found: Mapping[str, Mapping[str, Any]]) -> Mapping[str, InstancePrices]:
    if unknown := sorted(set(found) - set(CLOUDS)):
        raise ValueError(f"unknown clouds: {unknown}")
    return {
        cloud: {"" if name == DEFAULT else name.lower(): _price(price) for name, price in prices.items()}
        for cloud, prices in found.items()
    }


def _price(value: Any) -> Decimal:
    if not isinstance(value, Decimal) or not 0 < value <= HIGHEST_PRICE:
        raise ValueError("a price is a number above 0")
    return value
