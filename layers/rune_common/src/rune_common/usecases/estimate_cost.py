"""Tell what work would cost (jobs-api.md 7.1). Nothing is stored and nobody is asked."""

from __future__ import annotations

from rune_common.domain.estimates import Estimate, EstimateRequest, estimate
from rune_common.domain.price_tables import PriceTable


def estimate_cost(request: EstimateRequest, *, prices: PriceTable, default_max_dph: float) -> Estimate:
    """The projection; `default_max_dph` in $/h caps a rented GPU for which the request names no price."""
    return estimate(request, prices=prices, default_max_dph=default_max_dph)
