"""What tokens cost: Rune's own price book, never an agent's own figure (holmes-driver.md 2.5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """USD per million tokens, which is micro-USD per token."""

    input_per_mtok: float
    output_per_mtok: float


PriceBook = Mapping[str, TokenPrice]
"""By model name as the request gives it. A model that is not in it has an unknown price."""


def cost_micro_usd(book: PriceBook, model: str, *, input_tokens: int, output_tokens: int) -> int | None:
    """None when the model has no price: unknown is never 0."""
    price = book.get(model)
    if price is None:
        return None
    return round(input_tokens * price.input_per_mtok + output_tokens * price.output_per_mtok)
