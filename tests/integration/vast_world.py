"""The Vast.ai adapter over a simulated provider."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rune.sandbox.vast import VastSim
from rune.sandbox.vast.offers import Offer as SimOffer
from rune_common.adapters.vastai import VastDialect, VastMarket
from rune_common.adapters.vastai_http import VastHttp
from rune_common.domain.gpu_market import (
    Launch,
    OfferQuery,
)

QUERY = OfferQuery(0.0, 3.0, 20_000, 40, 0.99)
LAUNCH = Launch("rune/local-0123456789abcdef/job/1760000000", 40, env={"OLLAMA_HOST": "0.0.0.0:11434"})
RTX_4090 = 7100101
PLENTY = tuple(SimOffer(1000 + n, n, "RTX 4090", 1, 24_564, 0.3 + n / 1000) for n in range(40))


class World:
    """One market and its account. `slept` are the pauses that the adapter asked for; none is made."""

    def __init__(self, sim: VastSim, dialect: VastDialect | None = None, **options: Any) -> None:
        self.sim, self.slept = sim, list[float]()
        given: dict[str, Any] = {"api_key": sim.api_key, "base_url": sim.url, "min_interval": 0.0} | options
        key, url = given.pop("api_key"), given.pop("base_url")
        self.http = VastHttp(url, key, timeout=2.0, sleep=self.slept.append, jitter=lambda: 1.0, **given)
        self.market = VastMarket(self.http, dialect or VastDialect())

    def running(self, **fields: Any) -> str:
        contract = self.market.create(RTX_4090, replace(LAUNCH, **fields))
        self.sim.clock.advance(60)
        return contract


def last_body(sim: VastSim, method: str, part: str) -> dict[str, Any]:
    found: dict[str, Any] = [e for e in sim.requests if e.method == method and part in e.path][-1].json()
    return found
