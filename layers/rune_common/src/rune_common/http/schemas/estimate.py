"""Estimates on the wire (jobs-api.md 7.1)."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rune_common.domain.errors import FieldProblem, InvalidRequest
from rune_common.domain.estimates import DEFAULT_DURATION_SECONDS, Estimate, EstimateRequest
from rune_common.http.body import JsonObject
from rune_common.http.schemas.provisioning import Provisioning, flattened
from rune_common.http.schemas.tolerance import Tolerance, showable
from rune_common.http.validation import field_problems

HourlyPrice = Annotated[float, Field(ge=0, le=128, description="$/h")]
Amount = Annotated[float, Field(ge=0)]


class EstimateCost(BaseModel):
    """What to estimate; of several cost drivers the first of Vast.ai, local, AWS, GCP, Azure counts."""

    model_config = ConfigDict(strict=True)

    vastai: bool = False
    aws: bool = False
    gcp: bool = False
    azure: bool = False
    local_hardware: bool = False
    min_dph: HourlyPrice = 0.0
    max_dph: HourlyPrice = 0.0
    local_tdp_watts: Amount = 0.0
    local_energy_rate_kwh: Amount = 0.0
    local_hardware_purchase_price: Amount = 0.0
    local_hardware_lifespan_years: Amount = 0.0
    model: str = Field("", max_length=128)
    estimated_duration_seconds: int = Field(DEFAULT_DURATION_SECONDS, ge=0, le=2_592_000)
    instance_type: str = Field("", max_length=64)
    provisioning: Provisioning | None = None

    def to_request(self) -> EstimateRequest:
        return EstimateRequest(**self.model_dump(exclude={"provisioning"}))


class EstimateView(BaseModel):
    """Costs in USD. Null means unknown, then `unpriced` is true; what is not priced is not admitted."""

    projected_cost_usd: float | None
    cost_driver: Literal["vastai", "local", "aws", "gcp", "azure", "unknown"]
    resource_impact: Literal["low", "medium", "high"]
    local_energy_kwh: float
    confidence_score: float
    warning: str | None
    cost_low_usd: float | None
    cost_high_usd: float | None
    hourly_rate_usd: float | None
    estimated_duration_seconds: int
    currency: Literal["USD"]
    unpriced: bool | None = None

    @classmethod
    def of(cls, estimate: Estimate) -> Self:
        return cls(**estimate.document())


TOLERANCE = Tolerance(
    known=frozenset(EstimateCost.model_fields),
    synonyms={},
    empty_means_absent=frozenset(
        {"min_dph", "max_dph", "estimated_duration_seconds", "model", "instance_type"}
    ),
    percentages=frozenset(),
)


def parse_estimate(body: JsonObject) -> tuple[EstimateRequest, tuple[str, ...]]:
    """The request, and the names of fields without a meaning here. Raises InvalidRequest."""
    options = flattened(body.members)
    fields = TOLERANCE.read(options.members)
    spelled = {**fields.spelled, **options.spelled}
    try:
        asked = EstimateCost.model_validate(fields.values)
    except ValidationError as exc:
        found = exc.errors(include_url=False, include_input=False)
        raise InvalidRequest(*field_problems(found, spelled=spelled)) from None
    if asked.max_dph and asked.min_dph > asked.max_dph:
        named = spelled.get("min_dph", "min_dph")
        raise InvalidRequest(FieldProblem(named, "too_large", "must not be greater than max_dph"))
    return asked.to_request(), showable((*options.ignored, *fields.ignored))
