"""What runs will cost, from what earlier ones took (jobs-api.md 7.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Literal, Protocol

from rune_common.domain.money import HOUR_SECONDS, MICRO, micro_usd, usd
from rune_common.domain.price_tables import GpuRate, TokenPricing, gpu_name, gpu_rate, token_rate

DEFAULT_GPU = "RTX 4090"
MAX_GPU_NAME = 64
HISTORY_LIMIT = 500
QUOTE_LIFETIME_MS = 60 * 60 * 1000

Level = Literal["low", "medium", "high"]
CONFIDENCE: Mapping[Level, float] = {"low": 0.4, "medium": 0.7, "high": 0.9}
SURE_RUNS, SURE_TOKEN_SAMPLES = 5, 3

ASSUMED_SECONDS = Decimal(300)
ASSUMED_INPUT_TOKENS, ASSUMED_OUTPUT_TOKENS = Decimal(8192), Decimal(2048)


@dataclass(frozen=True, slots=True)
class FinopsRequest:
    """What to simulate; "" means any agent or suite, and the tenant's model."""

    agent: str = ""
    suite: str = ""
    gpu: str = DEFAULT_GPU
    model: str = ""
    runs_per_period: int = 1
    period_days: int = 1


@dataclass(frozen=True, slots=True)
class RunSample:
    """An earlier run that succeeded. Tokens are None when the run has none recorded."""

    agent: str
    model: str
    suite: str
    duration_ms: int
    input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class GpuQuote:
    """What a provider asked for a GPU, in micro-USD per hour: the lowest, the median and the highest offer."""

    gpu: str
    low: int
    mid: int
    high: int
    seen_at: int


class GpuQuotes(Protocol):
    """The newest quote of each GPU, by `price_tables.gpu_name`. Raises Unavailable."""

    def latest(self, gpu: str) -> GpuQuote | None: ...

    def remember(self, quote: GpuQuote) -> None:
        """Replace the GPU's quote."""
        ...


def gpu_quotes(offers: Iterable[tuple[str, float]], *, seen_at: int) -> tuple[GpuQuote, ...]:
    """One quote for each GPU among offers of (name, $/h), in their order. The names are the provider's word."""
    prices: dict[str, list[int]] = {}
    names: dict[str, str] = {}
    for name, dph in offers:
        key = gpu_name(name)
        if key and len(name) <= MAX_GPU_NAME and dph > 0:
            names.setdefault(key, name)
            prices.setdefault(key, []).append(micro_usd(dph))
    return tuple(
        GpuQuote(names[key], found[0], found[len(found) // 2], found[-1], seen_at)
        for key, found in ((key, sorted(prices[key])) for key in prices)
    )


@dataclass(frozen=True, slots=True)
class Simulation:
    """The answer, in USD with at most six decimals; every field is as jobs-api.md 7.2 names it."""

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
    confidence_level: Level
    confidence_score: float
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
    token_pricing_source: TokenPricing
    components_usd: Mapping[str, float]
    currency: str = "USD"

    def document(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Habits:
    """What a run takes: seconds, and mean tokens."""

    low: Decimal
    mean: Decimal
    high: Decimal
    input_tokens: Decimal
    output_tokens: Decimal


def matching(samples: Sequence[RunSample], request: FinopsRequest, model: str) -> tuple[RunSample, ...]:
    """The samples of the request's agent, suite and model. A suite belongs to benchmarks only."""
    return tuple(
        sample
        for sample in samples
        if request.agent in ("", sample.agent)
        and request.suite in ("", sample.suite)
        and sample.model == model
    )


def simulate(
    request: FinopsRequest,
    history: Sequence[RunSample],
    *,
    default_model: str,
    quote: GpuQuote | None = None,
    now_ms: int = 0,
) -> Simulation:
    """The projection. `history` are the tenant's newest runs, `quote` counts while it is fresh."""
    model = request.model or default_model
    samples = matching(history, request, model)
    priced = [sample for sample in samples if sample.input_tokens is not None]
    habits = _habits(samples, priced)
    fresh = quote if quote is not None and now_ms - quote.seen_at < QUOTE_LIFETIME_MS else None
    gpu = gpu_rate(request.gpu) if fresh is None else _quoted(fresh)
    tokens = token_rate(model)
    gpu_cost = habits.mean * gpu.mid / HOUR_SECONDS
    token_cost = (habits.input_tokens * tokens.input + habits.output_tokens * tokens.output) / MICRO
    total = gpu_cost + token_cost
    level = _level(len(samples), len(priced), guessed=not gpu.known or tokens.source == "default")
    return Simulation(
        projected_cost_usd=usd(total),
        total_cost_usd=usd(total),
        gpu_cost_usd=usd(gpu_cost),
        token_cost_usd=usd(token_cost),
        projected_total_usd=usd(total * request.runs_per_period * request.period_days),
        runs_per_period=request.runs_per_period,
        period_days=request.period_days,
        cost_low_usd=usd(habits.low * gpu.low / HOUR_SECONDS + token_cost / 2),
        cost_high_usd=usd(habits.high * gpu.high / HOUR_SECONDS + token_cost * 2),
        confidence=CONFIDENCE[level],
        confidence_level=level,
        confidence_score=CONFIDENCE[level],
        historical_match=bool(samples),
        historical_basis="from_history" if samples else "default_assumptions",
        historical_sample_count=len(samples),
        token_samples_from_history=len(priced),
        avg_duration_seconds=_seconds(habits.mean),
        duration_low_seconds=_seconds(habits.low),
        duration_high_seconds=_seconds(habits.high),
        llm_input_tokens_assumed=round(habits.input_tokens),
        llm_output_tokens_assumed=round(habits.output_tokens),
        gpu=request.gpu,
        gpu_dph_usd=usd(gpu.mid),
        gpu_dph_low_usd=usd(gpu.low),
        gpu_dph_high_usd=usd(gpu.high),
        llm_model_effective=model,
        vast_pricing_source="static_table" if fresh is None else "vast_cached",
        token_pricing_source=tokens.source,
        components_usd={"gpu_compute": usd(gpu_cost), "llm_tokens": usd(token_cost)},
    )


def _habits(samples: Sequence[RunSample], priced: Sequence[RunSample]) -> _Habits:
    low, mean, high = ASSUMED_SECONDS / 4, ASSUMED_SECONDS, ASSUMED_SECONDS * 3
    if samples:
        seconds = [Decimal(sample.duration_ms) / 1000 for sample in samples]
        low, mean, high = min(seconds), sum(seconds, Decimal(0)) / len(seconds), max(seconds)
    input_tokens, output_tokens = ASSUMED_INPUT_TOKENS, ASSUMED_OUTPUT_TOKENS
    if priced:
        input_tokens = Decimal(sum(sample.input_tokens or 0 for sample in priced)) / len(priced)
        output_tokens = Decimal(sum(sample.output_tokens or 0 for sample in priced)) / len(priced)
    return _Habits(low, mean, high, input_tokens, output_tokens)


def _quoted(quote: GpuQuote) -> GpuRate:
    return GpuRate(quote.low / MICRO, quote.mid / MICRO, quote.high / MICRO)


def _level(runs: int, token_samples: int, *, guessed: bool) -> Level:
    """How sure the projection is; a price that is a guess makes all of it one."""
    if runs == 0 or guessed:
        return "low"
    return "high" if runs >= SURE_RUNS and token_samples >= SURE_TOKEN_SAMPLES else "medium"


def _seconds(value: Decimal) -> float:
    return float(round(value, 3))
