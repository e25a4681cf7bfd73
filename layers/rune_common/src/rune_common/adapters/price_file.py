"""The price book from a JSON file: `{"<model>": {"input": 2.5, "output": 10}}`, USD per million tokens."""

from __future__ import annotations

import json
from pathlib import Path

from rune_common.domain.errors import Misconfigured
from rune_common.domain.prices import PriceBook, TokenPrice


def read_price_book(path: str) -> PriceBook:
    """Empty when no file is configured. Raises Misconfigured for a file that is no price book."""
    if not path:
        return {}
    try:
        found = json.loads(Path(path).read_text())
        return {model: TokenPrice(float(row["input"]), float(row["output"])) for model, row in found.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise Misconfigured("RUNE_PRICE_BOOK is not a readable price book") from exc
