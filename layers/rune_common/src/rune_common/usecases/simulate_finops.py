"""Project the cost of runs from those that the tenant has had (jobs-api.md 7.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rune_common.domain.access import Principal
from rune_common.domain.finops import (
    HISTORY_LIMIT,
    FinopsRequest,
    GpuQuotes,
    RunSample,
    Simulation,
    simulate,
)
from rune_common.domain.ports import Clock, RunFilter, RunStore
from rune_common.domain.runs import Run, RunKind, RunState
from rune_common.domain.tenant_settings import ServerDefaults, SettingsStore, effective

DAY_MS = 24 * 60 * 60 * 1000


def simulate_finops(
    request: FinopsRequest,
    caller: Principal,
    *,
    runs: RunStore,
    quotes: GpuQuotes,
    settings: SettingsStore,
    server: ServerDefaults,
    retention_days: int,
    clock: Clock,
) -> Simulation:
    """The projection for the caller's tenant. Raises Unavailable."""
    now = clock()
    kinds = (RunKind.BENCHMARK,) if request.suite else (RunKind.AGENT, RunKind.BENCHMARK)
    samples = history(
        caller.tenant,
        kinds,
        runs=runs,
        created_after=now - retention_days * DAY_MS,
        with_suites=bool(request.suite),
    )
    model = request.model or effective(settings.read(caller.tenant), server.tenant_defaults())["model"]
    return simulate(request, samples, default_model=model, quote=quotes.latest(request.gpu), now_ms=now)


def history(
    tenant: str,
    kinds: Sequence[RunKind],
    *,
    runs: RunStore,
    created_after: int | None = None,
    limit: int = HISTORY_LIMIT,
    with_suites: bool = False,
) -> tuple[RunSample, ...]:
    """The newest `limit` runs of these kinds that succeeded, whatever their number.

    `with_suites` reads their results as well, where a benchmark keeps the template that it ran on.
    """
    where = RunFilter(states=(RunState.SUCCEEDED,), kinds=tuple(kinds), created_after=created_after)
    found = runs.list(tenant, where, limit=limit).runs
    kept = [run.run_id for run in found if run.has_result] if with_suites else []
    results = runs.results(tenant, kept) if kept else {}
    samples = (_sample(run, _suite(results.get(run.run_id, {}))) for run in found)
    return tuple(sample for sample in samples if sample is not None)


def _sample(run: Run, suite: str) -> RunSample | None:
    """None for a run whose times are not known."""
    if run.started_at is None or run.finished_at is None:
        return None
    usage = run.usage
    counted = bool(usage.input_tokens or usage.output_tokens)
    return RunSample(
        agent=run.agent,
        model=run.model,
        suite=suite,
        duration_ms=max(0, run.finished_at - run.started_at),
        input_tokens=usage.input_tokens if counted else None,
        output_tokens=usage.output_tokens if counted else None,
    )


def _suite(result: Mapping[str, Any]) -> str:
    metadata = result.get("metadata")
    found = metadata.get("template_hash") if isinstance(metadata, Mapping) else None
    return found if isinstance(found, str) else ""
