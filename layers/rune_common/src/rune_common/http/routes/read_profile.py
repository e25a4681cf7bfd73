from __future__ import annotations

from fastapi import APIRouter

from rune_common.http.authentication import CanReadSettings
from rune_common.http.schemas.tenant_settings import ProfileView
from rune_common.http.wired import Wired
from rune_common.usecases import read_settings as tenant

router = APIRouter(tags=["settings"])


@router.get("/v1/settings/profiles/{name}")
def read_profile(name: str, caller: CanReadSettings, services: Wired) -> ProfileView:
    """Read what a profile sets."""
    return ProfileView.of(name, tenant.read_profile(name, caller, settings=services.tenant_settings))
