"""What work would cost, before it is started (jobs-api.md 7.1)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import Any

from rune_common.domain.money import HOUR_SECONDS, exact, usd
from rune_common.domain.price_tables import PriceTable

DEFAULT_DURATION_SECONDS = 3600
HOURS_PER_YEAR = 8760
ENFORCED, CALCULATED, REFERENCE, UNKNOWN = 1.0, 0.95, 0.5, 0.0
"""How sure a projection is: an upper bound, from given numbers, from a static table, not known."""

STATIC_PRICE = "static reference price"


@dataclass(frozen=True, slots=True)
class EstimateRequest:
    """A valid request. Prices in $/h, energy in watts and $/kWh; 0 and "" mean "not given"."""

    vastai: bool = False
    aws: bool = False
    gcp: bool = False
    azure: bool = False
    local_hardware: bool = False
    min_dph: float = 0.0
    max_dph: float = 0.0
    local_tdp_watts: float = 0.0
    local_energy_rate_kwh: float = 0.0
    local_hardware_purchase_price: float = 0.0
    local_hardware_lifespan_years: float = 0.0
    model: str = ""
    estimated_duration_seconds: int = DEFAULT_DURATION_SECONDS
    instance_type: str = ""

    def drivers(self) -> tuple[str, ...]:
        """What pays for the work, the one that counts first."""
        asked = {
            "vastai": self.vastai,
            "local": self.local_hardware,
            "aws": self.aws,
            "gcp": self.gcp,
            "azure": self.azure,
        }
        return tuple(name for name, wanted in asked.items() if wanted)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A projection in USD with at most six decimals. None means unknown and is never 0.

    `confidence_score` is 0 to 1; clients go on at 0.95 and above, and refuse the driver `unknown`.
    """

    projected_cost_usd: float | None
    cost_driver: str
    resource_impact: str
    local_energy_kwh: float
    confidence_score: float
    warning: str | None
    cost_low_usd: float | None
    cost_high_usd: float | None
    hourly_rate_usd: float | None
    estimated_duration_seconds: int
    currency: str = "USD"

    @property
    def unpriced(self) -> bool:
        return self.projected_cost_usd is None

    def document(self) -> dict[str, Any]:
        """The answer as JSON: of the endpoint, and the result of a `cost-estimate` job."""
        return asdict(self) | ({"unpriced": True} if self.unpriced else {})


@dataclass(frozen=True, slots=True)
class _Projection:
    """Exact amounts; `high` None: there is no upper bound."""

    cost: Decimal
    low: Decimal
    high: Decimal | None
    rate: Decimal
    confidence: float
    energy_kwh: Decimal = Decimal(0)
    warning: str | None = None


def estimate(request: EstimateRequest, *, prices: PriceTable, default_max_dph: float) -> Estimate:
    """The projected cost. `default_max_dph` is the $/h that caps a rented GPU when nothing else does."""
    drivers = request.drivers()
    hours = Decimal(request.estimated_duration_seconds) / HOUR_SECONDS
    driver = drivers[0] if drivers else None
    if driver is None:
        return _unpriced(request, "no cost driver given")
    if driver == "vastai":
        found: _Projection | None = _rented(request, hours, exact(default_max_dph))
    elif driver == "local":
        found = _owned(request, hours)
    else:
        found = _cloud(request, hours, driver, prices)
    if found is None:
        return _unpriced(request, "neither energy nor hardware price given")
    if len(drivers) > 1:
        several = f"several cost drivers given, {driver} counts"
        found = replace(found, warning="; ".join(filter(None, (several, found.warning))))
    return Estimate(
        projected_cost_usd=usd(found.cost),
        cost_driver=driver,
        resource_impact="low" if found.cost < 1 else "medium" if found.cost < 10 else "high",
        local_energy_kwh=usd(found.energy_kwh),
        confidence_score=found.confidence,
        warning=found.warning,
        cost_low_usd=usd(found.low),
        cost_high_usd=None if found.high is None else usd(found.high),
        hourly_rate_usd=usd(found.rate),
        estimated_duration_seconds=request.estimated_duration_seconds,
    )


def _rented(request: EstimateRequest, hours: Decimal, default_max: Decimal) -> _Projection:
    """An upper bound: no dearer offer is taken (jobs-api.md 6.2)."""
    low = exact(request.min_dph)
    rate = exact(request.max_dph) or max(low, default_max)
    return _Projection(rate * hours, low * hours, rate * hours, rate, ENFORCED)


def _owned(request: EstimateRequest, hours: Decimal) -> _Projection | None:
    """Energy, and the hardware's share of its life; None when neither is known."""
    watts, per_kwh = exact(request.local_tdp_watts), exact(request.local_energy_rate_kwh)
    price, years = exact(request.local_hardware_purchase_price), exact(request.local_hardware_lifespan_years)
    metered, amortised = watts > 0 and per_kwh > 0, price > 0 and years > 0
    if not metered and not amortised:
        return None
    energy_kwh = watts * hours / 1000
    wear = price / (years * HOURS_PER_YEAR) if amortised else Decimal(0)
    rate = watts * per_kwh / 1000 + wear
    # From the terms, not from the rate: a quotient that was rounded must not be multiplied again.
    cost = energy_kwh * per_kwh + (price * hours / (years * HOURS_PER_YEAR) if amortised else 0)
    warning = None
    if not metered:
        warning = "energy is not included"
    elif price > 0 and not amortised:
        warning = "hardware is not included: its lifespan is not given"
    return _Projection(
        cost,
        cost,
        cost if metered else None,
        rate,
        CALCULATED if metered else REFERENCE,
        energy_kwh,
        warning,
    )


def _cloud(request: EstimateRequest, hours: Decimal, cloud: str, prices: PriceTable) -> _Projection:
    low, high = exact(request.min_dph), exact(request.max_dph)
    if low or high:
        rate = high or low
        return _Projection(rate * hours, (low or rate) * hours, rate * hours, rate, CALCULATED)
    rate = prices.hourly(cloud, request.instance_type)
    cost = rate * hours
    return _Projection(
        cost, cost * Decimal("0.7"), cost * Decimal("1.5"), rate, REFERENCE, warning=STATIC_PRICE
    )


def _unpriced(request: EstimateRequest, reason: str) -> Estimate:
    return Estimate(
        projected_cost_usd=None,
        cost_driver="unknown",
        resource_impact="high",
        local_energy_kwh=0.0,
        confidence_score=UNKNOWN,
        warning=f"the cost is unknown: {reason}",
        cost_low_usd=None,
        cost_high_usd=None,
        hourly_rate_usd=None,
        estimated_duration_seconds=request.estimated_duration_seconds,
    )
