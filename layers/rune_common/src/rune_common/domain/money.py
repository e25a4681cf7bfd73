"""Money without rounding on the way: exact decimals inside, whole micro-USD in storage (jobs-api.md 1.1)."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal

MICRO = Decimal(1_000_000)
HOUR_SECONDS = 3600
LARGEST_USD = Decimal(10) ** 15
"""More is not told apart: up there a float has no decimals to give."""

_SIX_PLACES = Decimal("0.000001")


def exact(number: float | Decimal) -> Decimal:
    """The number as it was written: 0.1 is a tenth, not its binary neighbour."""
    return number if isinstance(number, Decimal) else Decimal(repr(number))


def usd(amount: Decimal) -> float:
    """Dollars for an answer, with at most six decimals."""
    return float(min(amount, LARGEST_USD).quantize(_SIX_PLACES, ROUND_HALF_UP))


def micro_usd(dollars: float | Decimal) -> int:
    """A cost in whole micro-USD: a fraction counts as one more."""
    return int((exact(dollars) * MICRO).to_integral_value(ROUND_CEILING))


def limit_micro_usd(dollars: float | Decimal) -> int:
    """A limit in whole micro-USD, at least 0: a fraction does not count."""
    return max(0, int((exact(dollars) * MICRO).to_integral_value(ROUND_FLOOR)))


def from_micro(amount_micro_usd: int) -> float:
    """Whole micro-USD in dollars."""
    return usd(amount_micro_usd / MICRO)
