"""Benchmarks on one server, and the market that they rent from."""

from __future__ import annotations

from typing import Any

import httpx
from tests.e2e.jobs_client import Jobs

from rune.sandbox.ollama.models import GIB, Model
from rune.sandbox.vast import VastSim
from rune.sandbox.vast.offers import Offer

BIG = Model("llama3.1:70b", "llama", "70.6B", 40 * GIB, 131_072, ("completion", "tools"))
SMALL_GB, FAIR_GB = 24_564, 96_000
OFFERS = (
    Offer(24_240, 1, "RTX 4090", 1, SMALL_GB, 2.4),
    Offer(96_290, 2, "H100 NVL", 1, FAIR_GB, 2.9),
    Offer(96_900, 3, "H200", 1, FAIR_GB, 9.0),
    Offer(96_295, 4, "H100 NVL", 1, FAIR_GB, 2.95),
)
MODEL = "qwen2.5:14b"
"""A model that the simulated server can pull and does not have."""


def provider(market: VastSim) -> dict[str, str]:
    return {
        "VAST_API_KEY": market.api_key,
        "RUNE_VASTAI_BASE_URL": market.url,
        "RUNE_VASTAI_POLL_SECONDS": "1",
        "RUNE_VASTAI_MIN_INTERVAL": "0",
        "RUNE_VASTAI_RECHECK_SECONDS": "2",
    }


class Benchmarks:
    """Jobs of any kind on one server."""

    def __init__(self, jobs: Jobs) -> None:
        self.jobs = jobs

    def post(self, kind: str, **body: Any) -> httpx.Response:
        return self.jobs.http.post(f"/v1/jobs/{kind}", json=body)

    def submit(self, kind: str, **body: Any) -> str:
        answer = self.post(kind, **body)
        assert answer.status_code == 202, answer.text
        job_id: str = answer.json()["job_id"]
        return job_id

    def run(self, kind: str, **body: Any) -> dict[str, Any]:
        return self.jobs.wait(self.submit(kind, **body))

    def rent(self, question: str = "why", **fields: Any) -> str:
        """A benchmark on a GPU of its own."""
        return self.submit(
            "benchmark", vastai=True, question=question, **{"model": MODEL, "max_dph": 3.0, **fields}
        )

    def names(self, job_id: str) -> list[str]:
        return [event["name"] for event in self.jobs.events(job_id)]


def created(market: VastSim) -> list[dict[str, Any]]:
    """The bodies of the create calls, with the offer in the path."""
    calls = [each for each in market.requests if each.method == "PUT" and "/asks/" in each.path]
    return [{**each.json(), "offer": int(each.path.rstrip("/").rsplit("/", 1)[-1])} for each in calls]
