from __future__ import annotations

from fastapi import APIRouter

from rune_common.http.authentication import CanReadModels
from rune_common.http.cost_requests import EstimateAsked
from rune_common.http.schemas.estimate import EstimateView
from rune_common.http.wired import Wired
from rune_common.usecases import estimate_cost as costs

router = APIRouter(tags=["costs"])

ESTIMATE = {"schema": {"$ref": "#/components/schemas/EstimateCost"}}


@router.post(
    "/v1/estimates",
    response_model_exclude_unset=True,
    openapi_extra={"requestBody": {"content": {"application/json": ESTIMATE}}},
)
def estimate_cost(caller: CanReadModels, asked: EstimateAsked, services: Wired) -> EstimateView:
    """Tell what work would cost, before it is started."""
    return EstimateView.of(
        costs.estimate_cost(
            asked, prices=services.price_table, default_max_dph=services.settings.vastai_max_dph
        )
    )
