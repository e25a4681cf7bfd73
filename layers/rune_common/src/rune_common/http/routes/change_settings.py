from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from rune_common.http.authentication import CanWriteSettings
from rune_common.http.if_match import IfMatch
from rune_common.http.schemas.tenant_settings import SettingsUpdated
from rune_common.http.settings_changes import SettingsChange
from rune_common.http.wired import Wired
from rune_common.usecases import change_settings as tenant

router = APIRouter(tags=["settings"])

CHANGE = {"schema": {"$ref": "#/components/schemas/ChangeSettings"}}
BODY: dict[str, Any] = {"requestBody": {"required": True, "content": {"application/json": CHANGE}}}


@router.put("/v1/settings", openapi_extra=BODY)
@router.post("/v1/settings", openapi_extra=BODY, operation_id="change_settings_by_post")
@router.patch("/v1/settings", openapi_extra=BODY, operation_id="change_settings_by_patch")
def change_settings(
    caller: CanWriteSettings, asked: SettingsChange, if_match: IfMatch, services: Wired, response: Response
) -> SettingsUpdated:
    """Merge keys into a profile or the defaults, and choose the active profile. All three methods merge."""
    return SettingsUpdated.of(
        tenant.change_settings(
            asked.request,
            caller,
            if_match=if_match,
            settings=services.tenant_settings,
            server=services.settings,
            backends=services.backend_policy,
        ),
        asked.ignored,
        response,
    )
