"""A tenant's experience with its models, from the rows that its ended runs left (runs-api.md 8, 10)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rune_common.domain.kpi_metrics import WindowRuns, cost_per_closed_finding, nearest_rank
from rune_common.domain.kpi_rows import RunRow
from rune_common.domain.model_catalog import bare_name
from rune_common.domain.models_offered import ModelHistory

HISTORY_DAYS = 28
"""How far back a tenant's experience counts; older versions of a model are other models."""

LAST_RUNS = 100
MODEL_ERRORS = frozenset(
    {
        *("LLM_UNREACHABLE", "MODEL_NOT_AVAILABLE", "MODEL_LACKS_TOOLS", "MODEL_LACKS_VISION"),
        *("CONTEXT_WINDOW", "EMPTY_ANSWER", "MAX_STEPS"),
    }
)
"""Ends of a run that its model or the model's server is to blame for (codes of runs-api.md 14)."""


def model_history(model_ids: Iterable[str], rows: Sequence[RunRow]) -> dict[str, ModelHistory]:
    """By model id; only models that were used. A run counts for each model that it used.

    Success and errors are of the runs that came to an end of their own, so a cancelled run says nothing. The
    latency is the median over the runs of their mean time per model call.
    """
    used: dict[str, list[RunRow]] = {}
    newest = sorted(rows, key=lambda row: (row.ended_at, row.run_id), reverse=True)
    for row in newest:
        for name in {bare_name(model) for model in row.used_models}:
            used.setdefault(name, []).append(row)
    last = {row.run_id for row in newest[:LAST_RUNS]}
    found = ((model_id, used.get(bare_name(model_id))) for model_id in model_ids)
    return {model_id: _experience(runs, last) for model_id, runs in found if runs}


def _experience(rows: Sequence[RunRow], last: set[str]) -> ModelHistory:
    decided = [row for row in rows if row.decided]
    latency = nearest_rank((row.call_ms for row in decided if row.call_ms is not None), 50)
    cost = cost_per_closed_finding(WindowRuns(decided, HISTORY_DAYS)).value
    return ModelHistory(
        runs=len(decided),
        successes=sum(row.succeeded for row in decided),
        model_errors=sum(row.error_code in MODEL_ERRORS for row in decided),
        p50_latency_ms=None if latency is None else round(latency),
        cost_per_closed_finding=None if cost is None else round(cost, 6),
        share=sum(row.run_id in last for row in rows) / len(last),
    )
