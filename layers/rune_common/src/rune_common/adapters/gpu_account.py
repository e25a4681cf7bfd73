"""The provider's account that the settings name."""

from __future__ import annotations

from rune_common.adapters.no_market import NoMarket
from rune_common.domain.errors import Misconfigured
from rune_common.domain.gpu_market import GpuMarket
from rune_common.domain.labels import DEPLOYMENT_ID
from rune_common.settings import Settings


def gpu_market(settings: Settings) -> GpuMarket:
    """The provider's account; without its key one that refuses everything. Raises Misconfigured."""
    if not settings.vast_api_key:
        return NoMarket()
    from rune_common.adapters.vastai import VastDialect, VastMarket
    from rune_common.adapters.vastai_http import VastHttp

    if settings.on_aws and not DEPLOYMENT_ID.fullmatch(settings.deployment_id):
        raise Misconfigured("RUNE_DEPLOYMENT_ID must match [a-z0-9-]{8,32}: it is in every instance's label")
    if not settings.vastai_base_url.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
        raise Misconfigured("RUNE_VASTAI_BASE_URL must be https, or on this machine")
    if settings.vastai_env_format not in ("object", "string"):
        raise Misconfigured("RUNE_VASTAI_ENV_FORMAT must be object or string")
    if settings.vastai_list_api not in ("v1", "v0"):
        raise Misconfigured("RUNE_VASTAI_LIST_API must be v1 or v0")
    if settings.vastai_ram_unit not in ("mb", "gb"):
        raise Misconfigured("RUNE_VASTAI_RAM_UNIT must be mb or gb")
    http = VastHttp(
        settings.vastai_base_url,
        settings.vast_api_key,
        timeout=settings.vastai_timeout,
        min_interval=settings.vastai_min_interval,
    )
    dialect = VastDialect(
        search_type=settings.vastai_search_type,
        env_format=settings.vastai_env_format,
        list_api=settings.vastai_list_api,
        ram_unit=settings.vastai_ram_unit,
        image=settings.vastai_image,
    )
    return VastMarket(http, dialect)
