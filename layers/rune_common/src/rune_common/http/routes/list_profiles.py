from __future__ import annotations

from fastapi import APIRouter

from rune_common.http.authentication import CanReadSettings
from rune_common.http.schemas.tenant_settings import ProfileListView
from rune_common.http.wired import Wired
from rune_common.usecases import read_settings as tenant

router = APIRouter(tags=["settings"])


@router.get("/v1/settings/profiles")
def list_profiles(caller: CanReadSettings, services: Wired) -> ProfileListView:
    """List the names of the tenant's profiles."""
    return ProfileListView(profiles=[*tenant.list_profiles(caller, settings=services.tenant_settings)])
