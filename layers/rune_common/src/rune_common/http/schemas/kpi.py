"""The KPI on the wire (runs-api.md 8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field


class WindowView(BaseModel):
    """Half-open: `from` is in it, `to` is not."""

    model_config = ConfigDict(populate_by_name=True)

    start: str = Field(alias="from")
    to: str
    days: int


class WindowsView(BaseModel):
    compare: WindowView
    baseline: WindowView


class MetricView(BaseModel):
    """A figure of both windows. Null: nothing to divide by. `n_*`: how many observations it rests on."""

    key: str
    unit: str
    direction: Literal["higher", "lower", "neutral"]
    compare: float | None
    baseline: float | None
    delta: float | None
    delta_pct: float | None
    n_compare: int
    n_baseline: int
    verdict: Literal["insufficient_data", "neutral", "flat", "improved", "regressed"]


class BreakdownView(BaseModel):
    runs_total: int
    success_rate: float | None
    cost_usd_total: float | None


class BreakdownsView(BaseModel):
    """By key, the most runs first, at most twenty and `other`; `none` is the key of runs without a value."""

    by_mode: dict[str, BreakdownView]
    by_repo: dict[str, BreakdownView]
    by_model: dict[str, BreakdownView]
    by_exit_reason: dict[str, BreakdownView]


class KpiView(BaseModel):
    as_of: str
    windows: WindowsView
    metrics: list[MetricView]
    open_runs: int
    breakdowns: BreakdownsView
    definitions_version: Literal["1"]

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        return cls.model_validate(found)
