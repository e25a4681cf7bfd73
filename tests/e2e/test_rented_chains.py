"""A chain on a rented GPU: one instance serves all steps and is given back (jobs-api.md 8)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.e2e.jobs_client import Jobs

from rune.sandbox.ollama.server import OllamaSim
from rune.sandbox.vast import VastSim
from rune.sandbox.vast.offers import Offer

MODEL = "qwen2.5:14b"
"""A model that the simulated server can pull and does not have."""


@pytest.fixture(scope="module")
def rented_ollama() -> Iterator[OllamaSim]:
    with OllamaSim(models=["llama3.1:8b"]) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def market(rented_ollama: OllamaSim) -> Iterator[VastSim]:
    offers = (Offer(96_290, 2, "H100 NVL", 1, 96_000, 2.9),)
    with VastSim(ollama=rented_ollama, offers=offers, boot_seconds=1.0) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def server_environment(market: VastSim) -> dict[str, str]:
    return {
        "VAST_API_KEY": market.api_key,
        "RUNE_VASTAI_BASE_URL": market.url,
        "RUNE_VASTAI_POLL_SECONDS": "1",
        "RUNE_VASTAI_MIN_INTERVAL": "0",
    }


def test_one_instance_serves_all_steps_and_holds_their_models(
    jobs: Jobs, market: VastSim, rented_ollama: OllamaSim
) -> None:
    steps = [
        {"name": "a", "question_template": "one"},
        {"name": "b", "question_template": "two after {a}", "dependencies": ["a"], "model": MODEL},
        {"name": "c", "question_template": "fail:agent_error"},
    ]
    body = {"vastai": True, "max_dph": 3.0, "model": "llama3.1:8b", "steps": steps}
    made = jobs.http.post("/v1/chains", json=body)
    assert made.status_code == 202, made.text
    job = jobs.wait(made.json()["job_id"])
    assert (job["status"], job["error_code"]) == ("failed", "chain_failed"), job
    assert job["result"]["steps"]["b"] == {"status": "success", "answer": "two after one"}
    assert [each["state"] for each in job["resources"]] == ["destroyed"]
    creates = [each for each in market.requests if each.method == "PUT" and "/asks/" in each.path]
    assert len(creates) == 1
    pulls = [each.json()["model"] for each in rented_ollama.requests if each.path == "/api/pull"]
    assert pulls == [MODEL]
    assert job["result"]["telemetry"]["cost_usd"] > 0
    market.assert_no_leaks()
