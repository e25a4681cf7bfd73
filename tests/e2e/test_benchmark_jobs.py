"""Benchmarks and instances on given and on rented GPUs, on the local server (jobs-api.md 17: 4, 5, 18 to 23)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.e2e.benchmarks import BIG, MODEL, OFFERS, Benchmarks, created, provider
from tests.e2e.jobs_client import Jobs, asked
from tests.e2e.local_server import LocalServer, eventually

from rune.sandbox.ollama.server import OllamaSim
from rune.sandbox.vast import VastSim


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


@pytest.fixture(scope="module")
def server_environment(market: VastSim) -> dict[str, str]:
    return provider(market) | {"RUNE_SPEND_LIMIT_PER_DAY_USD": "1000", "RUNE_SPEND_LIMIT_PER_JOB_USD": "100"}


@pytest.fixture(scope="module")
def benchmarks(jobs: Jobs) -> Benchmarks:
    return Benchmarks(jobs)


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
