"""Submitting every kind of job over HTTP (jobs-api.md 1.3 T2 to T5, 4.3, 7.3)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.conftest import START_MS

from rune_common.domain.money import micro_usd
from rune_common.domain.spend import spend_day

KEY = "key-of-the-providers-account"
MARK = "SUBMITTED-VALUE"
SERVER = "http://127.0.0.1:9"


@pytest.fixture
async def renting(build_services, open_client):
    """A client of a server that may rent."""
    services = build_services(vast_api_key=KEY)
    async with open_client(services) as opened:
        opened.services = services
        yield opened


async def asked_of(client, answer) -> dict[str, Any]:
    assert answer.status_code == 202, answer.text
    job = await client.get(f"/v1/jobs/{answer.json()['job_id']}?include=request")
    found: dict[str, Any] = job.json()
    return found


@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [
        ("agentic-agent", "agentic-agent", {"question": "q"}),
        ("benchmark", "benchmark", {}),
        ("llm-instance", "llm-instance", {}),
        ("ollama-instance", "llm-instance", {}),
        ("cost-estimate", "cost-estimate", {"vastai": True}),
    ],
)
async def test_every_kind_is_accepted_under_its_word(client, path, kind, body):
    job = await asked_of(client, await client.post(f"/v1/jobs/{path}", json=body))
    assert (job["kind"], job["status"]) == (kind, "queued")


async def test_a_benchmark_has_a_question_of_its_own_when_none_is_given(client):
    for body in ({}, {"question": ""}):
        job = await asked_of(client, await client.post("/v1/jobs/benchmark", json=body))
        assert job["request"]["question"] == "What is unhealthy in this Kubernetes cluster?"


async def test_two_names_of_one_kind_are_one_operation(client):
    headers = {"Idempotency-Key": "once"}
    first = await client.post("/v1/jobs/llm-instance", json={}, headers=headers)
    second = await client.post("/v1/jobs/ollama-instance", json={}, headers=headers)
    assert second.json()["job_id"] == first.json()["job_id"]
    assert second.headers["Idempotency-Replayed"] == "true"
    other = await client.post("/v1/jobs/benchmark", json={}, headers=headers)
    assert other.json()["job_id"] != first.json()["job_id"]


@pytest.mark.parametrize("kind", ["benchmark", "llm-instance"])
async def test_without_any_server_a_job_can_never_run(build_services, open_client, kind):
    async with open_client(build_services(backend_url="")) as client:
        answer = await client.post(f"/v1/jobs/{kind}", json={})
        assert (answer.status_code, answer.json()["code"]) == (400, "provider_not_configured")
        assert (await client.get("/v1/jobs")).json()["jobs"] == []


async def test_without_a_providers_key_nothing_is_rented(client):
    answer = await client.post("/v1/jobs/benchmark", json={"vastai": True})
    assert (answer.status_code, answer.json()["error"]) == (400, "provider is not configured")


async def test_the_key_may_be_known_to_the_workers_only(build_services, open_client):
    async with open_client(build_services(gpu_providers=("vastai",))) as client:
        assert (await client.post("/v1/jobs/benchmark", json={"vastai": True})).status_code == 202


@pytest.mark.parametrize(
    "body",
    [
        {"vastai": True, "min_dph": 1.0, "max_dph": 2.5, "reliability": 95, "template_hash": "abc"},
        {
            "provisioning": {
                "vastai": {"min_dph": 1.0, "max_dph": 2.5, "reliability": 0.95, "template_hash": "abc"}
            }
        },
    ],
    ids=["flat", "nested"],
)
async def test_provider_options_come_flat_or_nested(renting, body):
    rental = (await asked_of(renting, await renting.post("/v1/jobs/benchmark", json=body)))["request"][
        "rental"
    ]
    assert (rental["min_dph"], rental["max_dph"], rental["reliability"]) == (1.0, 2.5, 0.95)
    assert (rental["template_hash"], rental["stop_instance"], rental["vram_mb"]) == ("abc", True, 8000)


async def test_nested_options_go_before_flat_ones_which_then_count_as_ignored(renting):
    body = {
        "provisioning": {"vastai": {"max_dph": 1.0, "stop_instance": False}},
        "max_dph": 2.0,
        "vastai_stop_instance": True,
    }
    answer = await renting.post("/v1/jobs/benchmark", json=body)
    rental = (await asked_of(renting, answer))["request"]["rental"]
    assert (rental["max_dph"], rental["stop_instance"]) == (1.0, False)
    assert answer.headers["rune-ignored-fields"] == "max_dph,vastai_stop_instance"


@pytest.mark.parametrize("none", [None, {}, {"vastai": None}], ids=str)
async def test_no_provisioning_is_none(renting, none):
    job = await asked_of(renting, await renting.post("/v1/jobs/benchmark", json={"provisioning": none}))
    assert "rental" not in job["request"]


async def test_an_empty_provider_still_means_to_rent_with_defaults(renting):
    job = await asked_of(
        renting, await renting.post("/v1/jobs/benchmark", json={"provisioning": {"vastai": {}}})
    )
    assert job["request"]["rental"] == {
        "template_hash": "c166c11f035d3a97871a23bd32ca6aba",
        "min_dph": 0.0,
        "max_dph": 3.0,
        "reliability": 0.99,
        "stop_instance": True,
        "lease_seconds": 3600,
        "vram_mb": 8000,
        "disk_gb": 41,
        "spend_limit_per_job_usd": 5.0,
        "spend_limit_per_day_usd": 25.0,
    }


async def test_an_address_beside_a_gpu_is_ignored(renting):
    answer = await renting.post("/v1/jobs/benchmark", json={"vastai": True, "backend_url": "http://10.0.0.1"})
    job = await asked_of(renting, answer)
    assert job["request"]["backend_url"] is None
    assert answer.headers["rune-ignored-fields"] == "backend_url"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"provisioning": MARK}, "provisioning"),
        ({"provisioning": {"vastai": MARK}}, "provisioning.vastai"),
        ({"provisioning": {"vastai": {"max_dph": MARK}}}, "provisioning.vastai.max_dph"),
        ({"provisioning": {"vastai": {"min_dph": 2, "max_dph": 1}}}, "provisioning.vastai.min_dph"),
        ({"vastai": MARK}, "vastai"),
        ({"vastai": True, "max_dph": 129}, "max_dph"),
        ({"vastai": True, "min_dph": 4}, "min_dph"),
        ({"vastai": True, "lease_seconds": 59}, "lease_seconds"),
        ({"vastai": True, "vram_mb": 0}, "vram_mb"),
        ({"vastai": True, "backend_type": "openai"}, "backend_type"),
        ({"attestation_required": MARK}, "attestation_required"),
        ({"question": 7}, "question"),
    ],
)
async def test_a_field_that_does_not_fit_is_named_as_it_was_sent(renting, body, field):
    answer = await renting.post("/v1/jobs/benchmark", json=body)
    assert answer.status_code == 400, answer.text
    assert [each["field"] for each in answer.json()["details"]] == [field]
    assert MARK not in answer.text


async def test_a_model_of_unknown_size_needs_its_memory_said(renting):
    body = {"vastai": True, "model": "somebody/unknown"}
    answer = await renting.post("/v1/jobs/benchmark", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "model_size_unknown")
    assert answer.json()["error"] == "model size is unknown; set vram_mb"
    assert (await renting.post("/v1/jobs/benchmark", json={**body, "vram_mb": 9000})).status_code == 202


async def test_attestation_is_never_passed_by_default(client):
    answer = await client.post("/v1/jobs/benchmark", json={"attestation_required": True})
    assert (answer.status_code, answer.json()["code"]) == (400, "attestation_unavailable")
    assert answer.json()["error"] == "attestation is not available"


async def test_a_disabled_kind_is_refused_before_its_body_is_looked_at(build_services, open_client):
    async with open_client(build_services(disabled_kinds=("benchmark", "llm-instance"))) as client:
        for path in ("benchmark", "llm-instance", "ollama-instance"):
            answer = await client.post(f"/v1/jobs/{path}", json={"vastai": 7})
            assert (answer.status_code, answer.json()["code"]) == (403, "kind_disabled")
            assert answer.json()["error"] == "job kind is disabled"
        assert (await client.post("/v1/jobs/agentic-agent", json={"question": "q"})).status_code == 202


@pytest.mark.parametrize(
    "body",
    [
        {"min_dph": 6, "max_dph": 10},
        {"min_dph": 1, "max_cost_usd": 0.5},
        {"min_dph": 2, "timeout_seconds": 14_400},
    ],
    ids=str,
)
async def test_what_can_only_cost_more_than_its_limit_is_refused(renting, body):
    answer = await renting.post("/v1/jobs/benchmark", json={"vastai": True, **body})
    assert (answer.status_code, answer.json()["code"]) == (400, "spend_limit_exceeded")


async def test_a_spent_day_refuses_everything_that_rents_and_nothing_else(renting):
    day, limit = spend_day(START_MS), micro_usd(25)
    renting.services.spend.reserve("default", "earlier", limit, day, limit)
    assert (await renting.post("/v1/jobs/benchmark", json={"vastai": True})).status_code == 400
    assert (await renting.post("/v1/jobs/benchmark", json={})).status_code == 202


async def test_the_tenants_settings_are_its_defaults(renting):
    settings = {"vastai": True, "max_dph": 1.5, "model": "llama3.1:70b", "spend_limit_per_job_usd": 2.0}
    assert (await renting.put("/v1/settings", json={"settings": settings})).status_code == 200
    job = await asked_of(renting, await renting.post("/v1/jobs/benchmark", json={}))
    rental = job["request"]["rental"]
    assert (rental["max_dph"], rental["vram_mb"], rental["spend_limit_per_job_usd"]) == (1.5, 50_000, 2.0)
    given = await asked_of(renting, await renting.post("/v1/jobs/benchmark", json={"backend_url": SERVER}))
    assert given["request"]["backend_url"] == SERVER


async def test_an_instance_without_a_model_is_to_hold_the_largest_that_fits(renting):
    job = await asked_of(renting, await renting.post("/v1/jobs/llm-instance", json={"vastai": True}))
    assert (job["request"]["model"], job["request"]["rental"]["vram_mb"]) == ("", 8000)
    assert job["request"]["rental"]["stop_instance"] is False


async def test_a_job_that_was_never_rented_for_has_nothing_to_release(client):
    made = await client.post("/v1/jobs/benchmark", json={})
    path = f"/v1/jobs/{made.json()['job_id']}"
    answer = await client.post(f"{path}/release")
    assert (answer.status_code, answer.json()["code"]) == (409, "job_not_finished")
    await client.delete(path)
    answer = await client.post(f"{path}/release")
    assert (answer.status_code, answer.json()) == (200, {"status": "released"})
    assert (await client.post("/v1/jobs/nobody/release")).status_code == 404
