from __future__ import annotations

from rune_common.http.authentication import OpenRouter
from rune_common.http.schemas.health import HealthView

router = OpenRouter(tags=["health"])


@router.get("/healthz", openapi_extra={"security": []})
@router.get("/v1/healthz", openapi_extra={"security": []}, operation_id="read_health_v1")
async def read_health() -> HealthView:
    """Tell that the API answers."""
    return HealthView(status="ok")
