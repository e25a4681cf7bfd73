from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from rune_common.http.authentication import CanReadSettings
from rune_common.http.schemas.tenant_settings import YamlResponse
from rune_common.http.wired import Wired
from rune_common.usecases import read_settings as tenant

router = APIRouter(tags=["settings"])


@router.get("/v1/settings/export", response_class=YamlResponse)
def export_settings(
    caller: CanReadSettings,
    services: Wired,
    profile: Annotated[str, Query(description="only this one; all without it")] = "",
) -> YamlResponse:
    """Export defaults and profiles as a configuration file; keys that such a file does not know stay out."""
    return YamlResponse(tenant.export_settings(profile or None, caller, settings=services.tenant_settings))
