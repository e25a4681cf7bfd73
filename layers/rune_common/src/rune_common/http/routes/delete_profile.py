from __future__ import annotations

from fastapi import APIRouter

from rune_common.http.authentication import CanWriteSettings
from rune_common.http.if_match import IfMatch
from rune_common.http.schemas.tenant_settings import ProfileDeleted
from rune_common.http.wired import Wired
from rune_common.usecases import change_settings as tenant

router = APIRouter(tags=["settings"])


@router.delete("/v1/settings/profiles/{name}")
def delete_profile(name: str, caller: CanWriteSettings, if_match: IfMatch, services: Wired) -> ProfileDeleted:
    """Delete a profile; if it was active, none is."""
    return ProfileDeleted(
        status="deleted",
        name=tenant.delete_profile(name, caller, if_match=if_match, settings=services.tenant_settings),
    )
