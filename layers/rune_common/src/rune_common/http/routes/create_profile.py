from __future__ import annotations

from fastapi import APIRouter, Response

from rune_common.http.authentication import CanWriteSettings
from rune_common.http.if_match import IfMatch
from rune_common.http.schemas.tenant_settings import ProfileCreated
from rune_common.http.settings_changes import NewProfile
from rune_common.http.wired import Wired
from rune_common.usecases import change_settings as tenant

router = APIRouter(tags=["settings"])

PROFILE = {"schema": {"$ref": "#/components/schemas/CreateProfile"}}


@router.post(
    "/v1/settings/profiles",
    status_code=201,
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": PROFILE}}},
)
def create_profile(
    caller: CanWriteSettings, asked: NewProfile, if_match: IfMatch, services: Wired, response: Response
) -> ProfileCreated:
    """Create a profile; it does not become active by that."""
    return ProfileCreated.of(
        asked.name,
        tenant.create_profile(
            asked.name,
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
