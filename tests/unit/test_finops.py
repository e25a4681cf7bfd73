"""What runs will cost, from those that the tenant has had (jobs-api.md 7.2; acceptance 28)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rune_common.adapters.memory import MemoryRunStore
from rune_common.adapters.memory_quotes import MemoryGpuQuotes
from rune_common.adapters.memory_settings import MemorySettingsStore
from rune_common.domain.access import Principal
from rune_common.domain.chain import genesis
from rune_common.domain.errors import Unavailable
from rune_common.domain.finops import FinopsRequest, GpuQuote, RunSample, simulate
from rune_common.domain.ports import RunChange, RunFilter, RunRequest
from rune_common.domain.runs import LogHead, Run, RunKind, RunState, UsageTotals
from rune_common.domain.tenant_settings import TenantSettings
from rune_common.settings import Settings
from rune_common.usecases.remember_quotes import remember_quotes
from rune_common.usecases.simulate_finops import history, simulate_finops

MODEL = "llama3.1:8b"
NOW = 1_790_000_000_000
DAY = 86_400_000
CALLER = Principal("tester", "human", "default")


def sample(seconds=60.0, tokens=(1000, 100), **fields) -> RunSample:
    known = {"agent": "holmes", "model": MODEL, "suite": ""} | fields
    given, taken = tokens or (None, None)
    return RunSample(duration_ms=round(seconds * 1000), input_tokens=given, output_tokens=taken, **known)


def of(history=(), quote=None, now_ms=NOW, **request):
    return simulate(FinopsRequest(**request), history, default_model=MODEL, quote=quote, now_ms=now_ms)


def test_without_history_the_assumptions_apply():
    found = of(agent="holmes", model=MODEL, gpu="rtx4090")
    assert found.document() == {
        "projected_cost_usd": 0.033333,
        "total_cost_usd": 0.033333,
        "gpu_cost_usd": 0.033333,
        "token_cost_usd": 0.0,
        "projected_total_usd": 0.033333,
        "runs_per_period": 1,
        "period_days": 1,
        "cost_low_usd": 0.005833,
        "cost_high_usd": 0.15,
        "confidence": 0.4,
        "confidence_level": "low",
        "confidence_score": 0.4,
        "historical_match": False,
        "historical_basis": "default_assumptions",
        "historical_sample_count": 0,
        "token_samples_from_history": 0,
        "avg_duration_seconds": 300.0,
        "duration_low_seconds": 75.0,
        "duration_high_seconds": 900.0,
        "llm_input_tokens_assumed": 8192,
        "llm_output_tokens_assumed": 2048,
        "gpu": "rtx4090",
        "gpu_dph_usd": 0.4,
        "gpu_dph_low_usd": 0.28,
        "gpu_dph_high_usd": 0.6,
        "llm_model_effective": MODEL,
        "vast_pricing_source": "static_table",
        "token_pricing_source": "self_hosted",
        "components_usd": {"gpu_compute": 0.033333, "llm_tokens": 0.0},
        "currency": "USD",
    }


def test_history_gives_mean_and_bounds_of_duration_and_mean_tokens():
    runs = [sample(60, (1000, 100)), sample(120, (3000, 300)), sample(240, None)]
    found = of(runs)
    assert (found.duration_low_seconds, found.avg_duration_seconds, found.duration_high_seconds) == (
        60,
        140,
        240,
    )
    assert (found.llm_input_tokens_assumed, found.llm_output_tokens_assumed) == (2000, 200)
    assert (found.historical_sample_count, found.token_samples_from_history) == (3, 2)
    assert (found.historical_match, found.historical_basis) == (True, "from_history")


def test_hosted_models_pay_for_tokens_beside_the_gpu():
    found = of(model="gpt-4o", gpu="h100")
    assert found.gpu_cost_usd == 1.0
    # 8192 × 2.5 + 2048 × 10, per million.
    assert found.token_cost_usd == 0.04096
    assert found.projected_cost_usd == found.total_cost_usd == 1.04096
    assert found.cost_low_usd == round(75 * 8.4 / 3600 + 0.02048, 6)
    assert found.cost_high_usd == round(900 * 18 / 3600 + 0.08192, 6)
    assert found.components_usd == {"gpu_compute": 1.0, "llm_tokens": 0.04096}
    assert found.token_pricing_source == "table"


def test_the_period_multiplies_the_exact_cost_of_a_run():
    found = of(runs_per_period=100_000, period_days=366)
    assert found.projected_cost_usd == 0.033333
    assert found.projected_total_usd == 1_220_000.0


@pytest.mark.parametrize(
    ("runs", "with_tokens", "level", "confidence"),
    [
        (0, 0, "low", 0.4),
        (1, 0, "medium", 0.7),
        (4, 4, "medium", 0.7),
        (5, 2, "medium", 0.7),
        (5, 3, "high", 0.9),
    ],
)
def test_the_confidence_grows_with_runs_and_token_samples(runs, with_tokens, level, confidence):
    found = of([sample(tokens=(10, 1) if turn < with_tokens else None) for turn in range(runs)])
    assert (found.confidence_level, found.confidence, found.confidence_score) == (
        level,
        confidence,
        confidence,
    )


@pytest.mark.parametrize("request_fields", [{"gpu": "GTX 1060"}, {"model": "mistral-large"}])
def test_a_price_that_is_a_guess_makes_the_projection_one(request_fields):
    runs = [sample(model=request_fields.get("model", MODEL)) for _ in range(9)]
    found = of(runs, **request_fields)
    assert (found.historical_sample_count, found.confidence_level, found.confidence) == (9, "low", 0.4)


def test_only_runs_of_the_agent_the_suite_and_the_model_count():
    runs = [
        sample(10),
        sample(20, agent="other"),
        sample(30, model="llama3.1:70b"),
        sample(40, suite="tpl"),
    ]
    assert of(runs, agent="holmes").historical_sample_count == 2
    assert of(runs).historical_sample_count == 3
    assert of(runs, model="llama3.1:70b").avg_duration_seconds == 30
    assert of(runs, suite="tpl").avg_duration_seconds == 40
    assert of(runs, model="llama3.1").historical_sample_count == 0


def test_a_fresh_quote_counts_instead_of_the_table():
    quote = GpuQuote("RTX 4090", 240_000, 360_000, 720_000, NOW - 3_599_999)
    found = of(quote=quote, gpu="RTX 4090")
    assert (found.gpu_dph_low_usd, found.gpu_dph_usd, found.gpu_dph_high_usd) == (0.24, 0.36, 0.72)
    assert (found.vast_pricing_source, found.gpu_cost_usd) == ("vast_cached", 0.03)
    stale = of(quote=replace(quote, seen_at=NOW - 3_600_000), gpu="RTX 4090")
    assert (stale.vast_pricing_source, stale.gpu_dph_usd) == ("static_table", 0.4)


def test_a_quoted_gpu_is_no_guess():
    quote = GpuQuote("GTX 1060", 10_000, 20_000, 30_000, NOW)
    assert of([sample()], quote=quote, gpu="gtx1060").confidence_level == "medium"


class Store:
    """A run store with runs in it."""

    def __init__(self) -> None:
        self.runs = MemoryRunStore()
        self._made = 0

    def add(self, tenant="default", *, seconds=60, result=None, at=NOW - DAY, **fields) -> None:
        self._made += 1
        run_id = f"01999999-0000-7000-8000-{self._made:012d}"
        log = LogHead(tenant, run_id, 0, genesis(tenant, run_id))
        known = {"kind": RunKind.AGENT, "state": RunState.SUCCEEDED, "model": MODEL} | fields
        run = Run(
            tenant=tenant,
            run_id=run_id,
            created_at=at,
            updated_at=at,
            created_by="tester",
            head=log,
            started_at=at,
            finished_at=at + seconds * 1000,
            has_result=result is not None,
            **known,
        )
        self.runs.create(run, RunRequest({}), [])
        if result is not None:
            self.runs.commit(RunChange(run, replace(run, revision=2), result=result))


@pytest.fixture
def store():
    return Store()


def simulated(store, settings=None, quotes=None, caller=CALLER, **request):
    return simulate_finops(
        FinopsRequest(**request),
        caller,
        runs=store.runs,
        quotes=quotes or MemoryGpuQuotes(),
        settings=settings or MemorySettingsStore(),
        server=Settings(),
        retention_days=90,
        clock=lambda: NOW,
    )


def test_succeeded_agent_and_benchmark_runs_of_the_tenant_are_the_history(store):
    store.add(seconds=10)
    store.add(seconds=20, kind=RunKind.BENCHMARK, usage=UsageTotals(input_tokens=500, output_tokens=50))
    store.add(seconds=999, state=RunState.FAILED)
    store.add(seconds=999, state=RunState.CANCELLED)
    store.add(seconds=999, kind=RunKind.COMMAND)
    store.add(seconds=999, at=NOW - 91 * DAY)
    store.add("teamb", seconds=999)
    found = simulated(store)
    assert (found.historical_sample_count, found.avg_duration_seconds) == (2, 15)
    assert (found.token_samples_from_history, found.llm_input_tokens_assumed) == (1, 500)


def test_another_tenants_history_changes_nothing(store):
    store.add(seconds=10)
    before = simulated(store)
    for _ in range(9):
        store.add("teamb", seconds=500)
    assert simulated(store) == before
    assert simulated(store, caller=replace(CALLER, tenant="teamb")).avg_duration_seconds == 500


def test_a_suite_is_the_template_that_a_benchmark_ran_on(store):
    store.add(kind=RunKind.BENCHMARK, seconds=10, result={"metadata": {"template_hash": "tpl-1"}})
    store.add(kind=RunKind.BENCHMARK, seconds=20, result={"metadata": {"template_hash": "tpl-2"}})
    store.add(kind=RunKind.BENCHMARK, seconds=30, result={"metadata": None})
    store.add(kind=RunKind.BENCHMARK, seconds=40)
    store.add(seconds=50, result={"metadata": {"template_hash": "tpl-1"}})
    assert simulated(store, suite="tpl-1").avg_duration_seconds == 10
    assert simulated(store, suite="tpl-3").historical_match is False
    assert simulated(store).historical_sample_count == 5


def test_without_a_model_the_tenants_counts(store):
    settings = MemorySettingsStore()
    settings.write("default", TenantSettings({"model": "gpt-4o"}))
    store.add(seconds=10)
    store.add(seconds=20, model="gpt-4o")
    found = simulated(store, settings)
    assert (found.llm_model_effective, found.avg_duration_seconds) == ("gpt-4o", 20)
    assert simulated(store, settings, model=MODEL).avg_duration_seconds == 10


def test_the_newest_quote_of_the_gpu_is_used_whatever_the_spelling(store):
    quotes = MemoryGpuQuotes()
    quotes.remember(GpuQuote("RTX_4090", 1, 2, 3, NOW))
    quotes.remember(GpuQuote("RTX 4090", 200_000, 300_000, 400_000, NOW))
    assert simulated(store, quotes=quotes, gpu="rtx-4090").gpu_dph_usd == 0.3
    assert simulated(store, quotes=quotes, gpu="A100").vast_pricing_source == "static_table"


def test_the_prices_of_a_search_become_one_quote_for_each_gpu():
    quotes = MemoryGpuQuotes()
    offers = [("RTX 4090", 0.3), ("A100", 1.5), ("rtx_4090", 0.5), ("RTX 4090", 0.35), ("", 1.0), ("T4", 0.0)]
    remember_quotes([*offers, ("x" * 65, 1.0)], quotes=quotes, clock=lambda: NOW)
    assert quotes.latest("RTX 4090") == GpuQuote("RTX 4090", 300_000, 350_000, 500_000, NOW)
    assert quotes.latest("A100") == GpuQuote("A100", 1_500_000, 1_500_000, 1_500_000, NOW)
    assert quotes.latest("T4") is None
    assert quotes.latest("x" * 65) is None


def test_a_search_stores_a_bounded_number_of_quotes_and_never_fails_for_them():
    class Full(MemoryGpuQuotes):
        def remember(self, quote):
            if quote.gpu == "gpu 3":
                raise Unavailable("table")
            super().remember(quote)

    offers = [(f"gpu {turn}", 1.0) for turn in range(20)]
    quotes = Full()
    remember_quotes(offers, quotes=quotes, clock=lambda: NOW)
    assert [bool(quotes.latest(f"gpu {turn}")) for turn in range(5)] == [True, True, True, False, False]
    quotes = MemoryGpuQuotes()
    remember_quotes(offers, quotes=quotes, clock=lambda: NOW)
    assert [turn for turn in range(20) if quotes.latest(f"gpu {turn}")] == list(range(10))


def test_the_history_is_the_newest_runs_and_never_more_than_its_limit(store):
    for turn in range(9):
        store.add(seconds=turn)
    found = history("default", (RunKind.AGENT,), runs=store.runs, limit=3)
    assert [sample.duration_ms for sample in found] == [8000, 7000, 6000]


def test_a_run_without_known_times_is_no_sample(store):
    store.add(seconds=10)
    (run,) = store.runs.list("default", RunFilter(), limit=9).runs
    store.runs.commit(RunChange(run, replace(run, revision=run.revision + 1, started_at=None)))
    assert history("default", (RunKind.AGENT,), runs=store.runs) == ()
