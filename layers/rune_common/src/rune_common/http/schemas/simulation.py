"""Simulations on the wire (jobs-api.md 7.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rune_common.domain.errors import InvalidRequest, UnknownAgent
from rune_common.domain.finops import DEFAULT_GPU, MAX_GPU_NAME, FinopsRequest, Simulation
from rune_common.domain.jobs import resolve_agent
from rune_common.http.schemas.tolerance import Tolerance
from rune_common.http.validation import field_problems

MAX_RUNS_PER_PERIOD = 100_000
MAX_PERIOD_DAYS = 366


class SimulateFinops(BaseModel):
    """What to simulate, and how often it is to run. `template_hash` is another name of `suite`."""

    model_config = ConfigDict(strict=True)

    agent: str = Field("", max_length=64)
    suite: str = Field("", max_length=256)
    gpu: str = Field(DEFAULT_GPU, max_length=MAX_GPU_NAME)
    model: str = Field("", max_length=128, description="the tenant's model when it is not given")
    runs_per_period: int = Field(1, ge=1, le=MAX_RUNS_PER_PERIOD)
    period_days: int = Field(1, ge=1, le=MAX_PERIOD_DAYS)

    def to_request(self) -> FinopsRequest:
        return FinopsRequest(**{**self.model_dump(), "agent": _driver(self.agent)})


class Components(BaseModel):
    gpu_compute: float
    llm_tokens: float


class SimulationView(BaseModel):
    """Costs in USD. `projected_cost_usd` and `total_cost_usd` are one run's, `projected_total_usd` the period's."""

    projected_cost_usd: float
    total_cost_usd: float
    gpu_cost_usd: float
    token_cost_usd: float
    projected_total_usd: float
    runs_per_period: int
    period_days: int
    cost_low_usd: float
    cost_high_usd: float
    confidence: float
    confidence_level: Literal["low", "medium", "high"]
    confidence_score: float
    currency: Literal["USD"]
    historical_match: bool
    historical_basis: Literal["from_history", "default_assumptions"]
    historical_sample_count: int
    token_samples_from_history: int
    avg_duration_seconds: float
    duration_low_seconds: float
    duration_high_seconds: float
    llm_input_tokens_assumed: int
    llm_output_tokens_assumed: int
    gpu: str
    gpu_dph_usd: float
    gpu_dph_low_usd: float
    gpu_dph_high_usd: float
    llm_model_effective: str
    vast_pricing_source: Literal["vast_cached", "static_table"]
    token_pricing_source: Literal["table", "default", "self_hosted"]
    components_usd: Components

    @classmethod
    def of(cls, simulation: Simulation) -> Self:
        return cls(**simulation.document())


TOLERANCE = Tolerance(
    known=frozenset(SimulateFinops.model_fields),
    synonyms={"template_hash": "suite"},
    empty_means_absent=frozenset({"agent", "suite", "gpu", "model"}),
    percentages=frozenset(),
)


def parse_simulation(members: Mapping[str, Any]) -> tuple[FinopsRequest, tuple[str, ...]]:
    """The request, and the names of fields without a meaning here. Raises InvalidRequest."""
    fields = TOLERANCE.read(members)
    try:
        asked = SimulateFinops.model_validate(fields.values)
    except ValidationError as exc:
        found = exc.errors(include_url=False, include_input=False)
        raise InvalidRequest(*field_problems(found, spelled=fields.spelled)) from None
    return asked.to_request(), fields.ignored


def _driver(agent: str) -> str:
    """The name under which runs are kept; an agent that nobody knows simply has none."""
    try:
        return resolve_agent(agent)[0] if agent else ""
    except UnknownAgent:
        return agent
