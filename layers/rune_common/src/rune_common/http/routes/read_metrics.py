from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from rune_common.http.authentication import CanRead
from rune_common.http.schemas.metrics import MetricsSummaryView
from rune_common.http.wired import Wired
from rune_common.usecases import read_metrics as metrics

router = APIRouter(tags=["metrics"])


@router.get("/v1/metrics/summary", response_model_exclude_unset=True)
def read_metrics(
    caller: CanRead,
    services: Wired,
    job_id: Annotated[str | None, Query()] = None,
    window_days: Annotated[int, Query(ge=1, le=metrics.MAX_WINDOW_DAYS)] = metrics.MAX_WINDOW_DAYS,
) -> MetricsSummaryView:
    """Summarise what happened in the tenant's jobs, or in one of them."""
    return MetricsSummaryView.of(
        metrics.read_metrics(
            caller,
            job_id=job_id or None,
            window_days=window_days,
            runs=services.runs,
            metrics=services.metrics,
            clock=services.clock,
        )
    )
