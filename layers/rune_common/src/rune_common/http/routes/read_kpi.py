from __future__ import annotations

from fastapi import APIRouter

from rune_common.http.authentication import CanReadKpi
from rune_common.http.kpi_query import AskedKpi
from rune_common.http.schemas.kpi import KpiView
from rune_common.http.wired import Wired
from rune_common.usecases import read_kpi as figures

router = APIRouter(tags=["insight"])


@router.get("/api/v1/runtime/kpi")
def read_kpi(caller: CanReadKpi, query: AskedKpi, services: Wired) -> KpiView:
    """How the tenant's runs do: the last days against the days before them."""
    return KpiView.of(
        figures.read_kpi(
            query, caller, rows=services.daily_rows, open_runs=services.open_runs, clock=services.clock
        )
    )
