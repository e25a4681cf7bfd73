from __future__ import annotations

from fastapi import APIRouter

from rune_common.http.authentication import CanReadModels
from rune_common.http.cost_requests import SimulationAsked
from rune_common.http.schemas.simulation import SimulationView
from rune_common.http.wired import Wired
from rune_common.usecases import simulate_finops as costs

router = APIRouter(tags=["costs"])

SIMULATION = {"schema": {"$ref": "#/components/schemas/SimulateFinops"}}


@router.get("/v1/finops/simulate")
@router.post(
    "/v1/finops/simulate",
    operation_id="simulate_finops_by_post",
    openapi_extra={"requestBody": {"content": {"application/json": SIMULATION}}},
)
def simulate_finops(caller: CanReadModels, asked: SimulationAsked, services: Wired) -> SimulationView:
    """Project what runs will cost, from what the tenant's earlier ones took."""
    return SimulationView.of(
        costs.simulate_finops(
            asked,
            caller,
            runs=services.runs,
            quotes=services.gpu_quotes,
            settings=services.tenant_settings,
            server=services.settings,
            retention_days=services.settings.retention_days,
            clock=services.clock,
        )
    )
