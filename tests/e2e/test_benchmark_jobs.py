"""Benchmarks and instances on given and on rented GPUs, on the local server (jobs-api.md 17: 4, 5, 18 to 23)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.e2e.jobs_client import Jobs, asked, assert_sound_log, opened_store, whole_log
from tests.e2e.local_server import LocalServer, eventually

from rune.sandbox.ollama.models import GIB, Model
from rune.sandbox.ollama.server import OllamaSim
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


@pytest.fixture(scope="module")
def rented_ollama() -> Iterator[OllamaSim]:
    with OllamaSim(models=["llama3.1:8b", BIG]) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def market(rented_ollama: OllamaSim) -> Iterator[VastSim]:
    with VastSim(ollama=rented_ollama, offers=OFFERS, boot_seconds=1.0) as simulator:
        yield simulator


@pytest.fixture(autouse=True)
def fresh(market: VastSim, rented_ollama: OllamaSim) -> Iterator[None]:
    market.clear_faults()
    rented_ollama.reset()
    yield
    market.assert_no_leaks()
    market.reset()


def provider(market: VastSim) -> dict[str, str]:
    return {
        "VAST_API_KEY": market.api_key,
        "RUNE_VASTAI_BASE_URL": market.url,
        "RUNE_VASTAI_POLL_SECONDS": "1",
        "RUNE_VASTAI_MIN_INTERVAL": "0",
        "RUNE_VASTAI_RECHECK_SECONDS": "2",
    }


@pytest.fixture(scope="module")
def server_environment(market: VastSim) -> dict[str, str]:
    return provider(market) | {"RUNE_SPEND_LIMIT_PER_DAY_USD": "1000", "RUNE_SPEND_LIMIT_PER_JOB_USD": "100"}


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


@pytest.fixture(scope="module")
def benchmarks(jobs: Jobs) -> Benchmarks:
    return Benchmarks(jobs)


def created(market: VastSim) -> list[dict[str, Any]]:
    """The bodies of the create calls, with the offer in the path."""
    calls = [each for each in market.requests if each.method == "PUT" and "/asks/" in each.path]
    return [{**each.json(), "offer": int(each.path.rstrip("/").rsplit("/", 1)[-1])} for each in calls]


@pytest.mark.parametrize("form", [{"vastai": False}, {"provisioning": None}], ids=["flat", "nested"])
def test_a_benchmark_on_a_given_server_tells_answer_model_and_address(
    benchmarks: Benchmarks, ollama: OllamaSim, form: dict[str, Any]
) -> None:
    job = benchmarks.run("benchmark", backend_url=ollama.url, question="q", model="llama3.1:8b", **form)
    assert job["status"] == "succeeded", job
    result = job["result"]
    assert (result["answer"], result["model_name"], result["backend_url"]) == ("q", "llama3.1:8b", ollama.url)
    assert result["contract_id"] is None
    assert "teardown" not in result
    assert result["telemetry"]["unpriced"] is True
    assert "resources" not in job


@pytest.mark.parametrize("path", ["llm-instance", "ollama-instance"])
def test_a_given_server_is_shown_as_an_instance_under_both_names(
    benchmarks: Benchmarks, ollama: OllamaSim, path: str
) -> None:
    job = benchmarks.run(path, backend_url=ollama.url)
    assert (job["status"], job["kind"]) == ("succeeded", "llm-instance"), job
    assert job["result"]["mode"] == "existing"
    assert "llama3.1:8b" in job["result"]["models"]


def test_an_estimate_is_a_job_as_well(benchmarks: Benchmarks) -> None:
    job = benchmarks.run("cost-estimate", vastai=True, max_dph=3.0, estimated_duration_seconds=3600)
    assert (job["status"], job["result"]["projected_cost_usd"]) == ("succeeded", 3.0), job


def test_the_cheapest_offer_with_enough_memory_within_the_cap_is_taken(
    benchmarks: Benchmarks, market: VastSim
) -> None:
    job = benchmarks.jobs.wait(benchmarks.rent(model="llama3.1:70b"))
    assert job["status"] == "succeeded", job
    (body,) = created(market)
    assert body["offer"] == 96_290
    assert body["label"].startswith("rune/local-")
    assert f"/{job['job_id']}/" in body["label"]
    assert "-p 11434:11434" in body["env"]
    assert body["template_hash_id"] == "c166c11f035d3a97871a23bd32ca6aba"
    assert body["cancel_unavail"] is True


def test_an_instance_is_reached_by_its_port_pulled_to_and_seen_destroyed(
    benchmarks: Benchmarks, market: VastSim, rented_ollama: OllamaSim, server: LocalServer
) -> None:
    job_id = benchmarks.rent("answer me")
    job = benchmarks.jobs.wait(job_id)
    assert job["status"] == "succeeded", job
    result, (resource,) = job["result"], job["resources"]
    assert result["backend_url"].startswith("http://127.0.0.1:")
    assert result["backend_url"] != rented_ollama.url
    assert [each.json()["model"] for each in rented_ollama.requests if each.path == "/api/pull"] == [MODEL]
    names = benchmarks.names(job_id)
    assert "vastai.model.pull.progress" in names
    expected = [
        "cost.admission",
        "vastai.instance.create",
        "vastai.instance.wait_running",
        "backend.wait_ready",
        "vastai.model.pull",
        "ollama.model.warmup",
        "agent.ask",
        "result.record",
        "vastai.instance.destroy",
        "job.execute",
        "job.succeeded",
    ]
    assert [name for name in names if name in expected] == expected
    assert result["teardown"]["verification_ok"] is True
    assert result["teardown"]["destroyed_instance"] is True
    assert result["teardown"]["contract_id"] == result["contract_id"] == resource["contract_id"]
    assert resource["state"] == "destroyed"
    (entry,) = market.ledger
    assert 0 < entry.cost_usd <= result["telemetry"]["cost_usd"] < 0.1
    assert "unpriced" not in result["telemetry"]
    assert [each["name"] for each in result["phases"]] == [
        "admit", "acquire", "wait_ready", "pull", "warm_up", "ask", "record", "teardown",
    ]  # fmt: skip
    assert asked(server.record)[-1]["run_id"] == job_id


def test_an_instance_that_exits_is_destroyed_and_the_next_offer_works(
    benchmarks: Benchmarks, market: VastSim
) -> None:
    market.fault(kind="exits_while_loading", times=1)
    job = benchmarks.jobs.wait(benchmarks.rent())
    assert job["status"] == "succeeded", job
    assert [body["offer"] for body in created(market)] == [24_240, 96_290]
    first, second = market.ledger
    assert first.released_at is not None
    assert first.released_at <= second.rented_at
    assert [each["state"] for each in job["resources"]] == ["destroyed", "destroyed"]
    assert job["result"]["contract_id"] == str(second.id)


def test_an_unanswered_create_call_is_found_again_and_not_repeated(
    benchmarks: Benchmarks, market: VastSim
) -> None:
    market.fault(kind="rent_reply_lost", times=1)
    job = benchmarks.jobs.wait(benchmarks.rent())
    assert job["status"] == "succeeded", job
    assert len(created(market)) == len(market.ledger) == 1


def test_an_instance_that_is_deaf_to_its_end_is_asked_again(benchmarks: Benchmarks, market: VastSim) -> None:
    market.fault(kind="delete_ignored", seconds=2)
    job = benchmarks.jobs.wait(benchmarks.rent())
    assert job["status"] == "succeeded", job
    assert job["result"]["teardown"]["verification_ok"] is True


def test_without_a_fitting_offer_nothing_is_rented(benchmarks: Benchmarks, market: VastSim) -> None:
    job = benchmarks.jobs.wait(benchmarks.rent(vram_mb=200_000))
    assert (job["status"], job["error_code"], job["error"]) == (
        "failed",
        "no_offer",
        "no offer matches the request",
    )
    assert created(market) == []
    assert "resources" not in job


def test_a_cancel_while_the_instance_starts_leaves_nothing(benchmarks: Benchmarks, market: VastSim) -> None:
    market.fault(kind="stuck_loading")
    job_id = benchmarks.rent()
    eventually(lambda: market.ledger, "an instance")
    assert benchmarks.jobs.http.delete(f"/v1/jobs/{job_id}").status_code == 202
    job = benchmarks.jobs.wait(job_id)
    assert (job["status"], job["error"]) == ("cancelled", "Cancelled by user")
    market.assert_no_leaks()


def test_a_driver_that_fails_leaves_nothing_and_tells_what_was_used(
    benchmarks: Benchmarks, market: VastSim
) -> None:
    job = benchmarks.jobs.wait(benchmarks.rent("fail:agent_error"))
    assert (job["status"], job["error_code"]) == ("failed", "driver_error"), job
    assert job["result"]["teardown"]["verification_ok"] is True
    assert (job["result"]["artifacts"] is not None, job["result"]["token_usage"]) == (True, {})
    market.assert_no_leaks()


def test_a_job_out_of_time_leaves_nothing(benchmarks: Benchmarks, market: VastSim) -> None:
    market.fault(kind="stuck_loading")
    job = benchmarks.jobs.wait(benchmarks.rent(timeout_seconds=10))
    assert (job["status"], job["error"], job["error_code"]) == (
        "failed",
        "execution timeout exceeded",
        "timeout",
    )
    market.assert_no_leaks()


def test_what_others_have_in_the_account_is_not_touched(benchmarks: Benchmarks, market: VastSim) -> None:
    others = [
        market.add_foreign_instance(None, age_seconds=7200),
        market.add_foreign_instance(f"rune/another-deployment/{'a' * 36}/1700000000", age_seconds=7200),
        market.add_foreign_instance("rune/anything else", age_seconds=7200),
    ]
    job = benchmarks.jobs.wait(benchmarks.rent())
    assert job["status"] == "succeeded", job
    for each in others:
        market.assert_untouched(each)


def test_an_instance_is_kept_for_its_lease_and_released_on_demand(
    benchmarks: Benchmarks, market: VastSim, server: LocalServer
) -> None:
    job = benchmarks.run(
        "llm-instance", provisioning={"vastai": {"max_dph": 3.0}}, model=MODEL, lease_seconds=600
    )
    assert job["status"] == "succeeded", job
    result, (resource,) = job["result"], job["resources"]
    assert (result["mode"], result["model_name"]) == ("vastai", MODEL)
    assert MODEL in result["models"]
    assert resource["state"] == "running"
    assert resource["lease_expires_at"] == result["lease_expires_at"]
    assert 500 < result["lease_expires_at"] - time.time() <= 600
    assert httpx.get(f"{result['backend_url']}/api/version", trust_env=False).status_code == 200
    answer = benchmarks.jobs.http.post(f"/v1/jobs/{job['job_id']}/release")
    assert (answer.status_code, answer.json()) == (202, {"status": "releasing"})

    def released() -> bool:
        again = benchmarks.jobs.http.post(f"/v1/jobs/{job['job_id']}/release")
        return (again.status_code, again.json()) == (200, {"status": "released"})

    eventually(released, "the instance to be released", seconds=60)
    market.assert_no_leaks()


@pytest.fixture
def own_server(tmp_path: Path, market: VastSim) -> Iterator[LocalServer]:
    found = LocalServer(tmp_path, **provider(market), RUNE_SPEND_LIMIT_PER_DAY_USD="4.5")
    try:
        found.start()
        yield found
    finally:
        found.stop()


def test_a_killed_worker_leaves_nothing_behind(own_server: LocalServer, market: VastSim) -> None:
    own = Benchmarks(Jobs(own_server.url, ""))
    job_id = own.rent("sleep:60", timeout_seconds=600)
    eventually(
        lambda: any(call["run_id"] == job_id for call in asked(own_server.record)), "the driver to be asked"
    )
    eventually(lambda: "result.record" in own.names(job_id) or market.ledger, "an instance")
    worker = own_server.worker()
    assert worker is not None
    worker.kill()
    own.jobs.http.delete(f"/v1/jobs/{job_id}")
    job = own.jobs.wait(job_id)
    assert job["status"] in ("failed", "cancelled")
    eventually(
        lambda: all(each.released_at is not None for each in market.ledger), "everything to be given back"
    )
    own_server.stop()
    with opened_store(own_server.data_dir) as (store, _):
        assert_sound_log(whole_log(store, job_id), job_id)


def test_a_worker_killed_right_after_the_create_call_takes_its_instance_up_again(
    own_server: LocalServer, market: VastSim
) -> None:
    own = Benchmarks(Jobs(own_server.url, ""))
    job_id = own.rent(timeout_seconds=600)
    eventually(lambda: market.ledger, "an instance")
    worker = own_server.worker()
    assert worker is not None
    worker.kill()
    job = own.jobs.wait(job_id)
    assert job["status"] == "succeeded", job
    assert len(market.ledger) == 1
    market.assert_no_leaks()


def test_what_can_never_be_afforded_is_refused_at_once(own_server: LocalServer, market: VastSim) -> None:
    own = Benchmarks(Jobs(own_server.url, ""))
    answer = own.post("benchmark", vastai=True, model=MODEL, min_dph=6, max_dph=10)
    assert (answer.status_code, answer.json()["code"]) == (400, "spend_limit_exceeded")
    assert answer.json()["error"] == "projected cost exceeds the spend limit"


def test_two_jobs_cannot_pass_the_days_limit_together(own_server: LocalServer, market: VastSim) -> None:
    own = Benchmarks(Jobs(own_server.url, ""))
    body = {"vastai": True, "question": "sleep:4", "model": MODEL, "min_dph": 2.2, "max_dph": 3.0}
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: own.post("benchmark", **body), range(2)))
    # The slower of the two is refused when it is submitted, or when it finds the money set aside.
    codes = [each.json()["code"] for each in answers if each.status_code == 400]
    ended = [own.jobs.wait(each.json()["job_id"]) for each in answers if each.status_code == 202]
    codes += [job["error_code"] for job in ended if job["status"] == "failed"]
    assert codes == ["spend_limit_exceeded"]
    assert [job["status"] for job in ended if job["status"] != "failed"] == ["succeeded"]
    assert len(market.ledger) == 1
