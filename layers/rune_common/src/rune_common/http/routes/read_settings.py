from __future__ import annotations

from fastapi import APIRouter, Response

from rune_common.http.authentication import CanReadSettings
from rune_common.http.schemas.tenant_settings import SettingsView
from rune_common.http.wired import Wired
from rune_common.usecases import read_settings as tenant

router = APIRouter(tags=["settings"])


@router.get("/v1/settings")
def read_settings(caller: CanReadSettings, services: Wired, response: Response) -> SettingsView:
    """Read the tenant's defaults and profiles, and what of them applies; the answer has an ETag."""
    return SettingsView.of(
        tenant.read_settings(caller, settings=services.tenant_settings, server=services.settings), response
    )
