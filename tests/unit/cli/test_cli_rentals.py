"""`run-benchmark`, `run-llm-instance`, `jobs release`, and the gate before money is spent (jobs-api.md 15)."""

from __future__ import annotations

import pytest

from rune.local.booked_market import Proposed
from rune_common.domain.offers import Choice

from .conftest import JOB, RESULT, World, record

RENT = ("run-benchmark", "--vastai")
BENCHMARK = {
    **RESULT,
    "model_name": "llama3.1:8b",
    "backend_url": "http://192.0.2.7:40123",
    "contract_id": "4711",
    "teardown": {"contract_id": "4711", "destroyed_instance": True, "verification_ok": True},
    "phases": [{"name": "acquire", "status": "ok", "duration_ms": 61_000}],
}
LEASED = {
    "mode": "vastai",
    "backend_url": "http://192.0.2.7:40123",
    "backend_type": "ollama",
    "models": ["mixtral:8x22b"],
    "running_models": [],
    "model_name": "mixtral:8x22b",
    "contract_id": "4711",
    "dph": 2.5,
    "lease_expires_at": 1.7e9,
}
OFFER = Proposed(Choice(7, 2.4, 24_564, 0.99, 200.0, 90.0, "RTX 4090", "llama3.1:8b"), 3.0)


@pytest.fixture
def renting(world: World) -> World:
    """A world in which a benchmark has succeeded, on a server and in this process."""
    world.server.records = [record("succeeded", message="job completed", result=BENCHMARK)]
    world.local.records = [record("succeeded", message="job completed", result=BENCHMARK)]
    return world


def test_a_benchmark_sends_its_terms_and_shows_phases_and_teardown(renting: World) -> None:
    ran = renting.http(*RENT, "--vastai-reliability", "99", "--no-vastai-stop-instance", "-m", "m:1")
    assert ran.code == 0, ran.err
    assert renting.server.of("POST")[-1].url.path == "/v1/jobs/benchmark"
    body = renting.server.body()
    assert (body["vastai"], body["model"], body["timeout_seconds"]) == (True, "m:1", 3600)
    assert (body["min_dph"], body["max_dph"], body["reliability"]) == (2.3, 3.0, 0.99)
    assert (body["vastai_stop_instance"], body["lease_seconds"]) == (False, 3600)
    assert body["template_hash"] == "c166c11f035d3a97871a23bd32ca6aba"
    assert "backend_url" not in body
    assert "1 min 01 s" in ran.out
    assert "Contract: 4711" in ran.out
    assert "Teardown: instance destroyed, its absence was seen" in ran.out
    assert "at most $3.00 for 60 min 00 s" in ran.err


def test_without_vastai_nothing_is_rented_whatever_the_tenant_prefers(renting: World) -> None:
    renting.http("run-benchmark", "--backend-url", "http://gpu.test", "--json")
    body = renting.server.body()
    assert (body["vastai"], body["backend_url"]) == (False, "http://gpu.test")
    assert "max_dph" not in body
    assert len(renting.server.of("POST")) == 1, "no estimate is asked for"


def test_the_variables_of_the_group_count_where_no_option_does(renting: World) -> None:
    renting.environ |= {"RUNE_VASTAI": "1", "RUNE_VASTAI_MAX_DPH": "0.5", "RUNE_VASTAI_MIN_DPH": "0.1"}
    renting.http("run-benchmark", "--vastai-max-dph", "0.4")
    assert (renting.server.body()["min_dph"], renting.server.body()["max_dph"]) == (0.1, 0.4)
    renting.server.requests.clear()
    assert renting.http("run-benchmark", "--vastai-max-dph", "0.05").code == 2
    assert renting.server.requests == []


def test_the_estimate_is_for_the_whole_time_that_the_job_may_take(renting: World) -> None:
    renting.http(*RENT, "--timeout", "600")
    estimated = renting.server.of("POST")[0]
    assert estimated.url.path == "/v1/estimates"
    assert b'"estimated_duration_seconds":600' in estimated.content.replace(b" ", b"")


@pytest.mark.parametrize(
    ("cost", "driver", "words", "answers", "code"),
    [
        (5.0, "vastai", [], "", 0),
        (5.01, "vastai", [], "y\n", 0),
        (5.01, "vastai", [], "\n", 1),
        (5.01, "vastai", [], "n\n", 1),
        (5.01, "vastai", ["--yes"], "", 0),
        (5.01, "vastai", ["--json"], "y\n", 1),
        (None, "vastai", ["--yes"], "", 1),
        (1.0, "unknown", ["--yes"], "", 1),
    ],
)
def test_the_gate_opens_for_little_money_or_a_yes_and_never_for_an_unknown_cost(
    renting: World, cost: float | None, driver: str, words: list[str], answers: str, code: int
) -> None:
    renting.server.estimate |= {"projected_cost_usd": cost, "cost_driver": driver}
    ran = renting.http(*RENT, *words, terminal=True, answers=answers)
    assert ran.code == code, ran.err
    posted = [request.url.path for request in renting.server.of("POST")]
    assert ("/v1/jobs/benchmark" in posted) is (code == 0)


@pytest.mark.parametrize(("terminal", "environ"), [(False, {}), (True, {"CI": "true"})])
def test_where_nobody_can_be_asked_much_money_needs_a_yes(
    renting: World, terminal: bool, environ: dict[str, str]
) -> None:
    renting.environ |= environ
    renting.server.estimate["projected_cost_usd"] = 6.0
    ran = renting.http(*RENT, terminal=terminal, answers="y\n")
    assert ran.code == 1
    assert "--yes" in ran.err
    renting.environ |= {"RUNE_YES": "1"}
    assert renting.http(*RENT, terminal=terminal).code == 0


def test_the_threshold_is_a_variable_and_has_to_be_a_number(renting: World) -> None:
    renting.environ["RUNE_SPEND_WARNING_THRESHOLD"] = "2.99"
    assert renting.http(*RENT).code == 1
    renting.environ["RUNE_SPEND_WARNING_THRESHOLD"] = "3"
    assert renting.http(*RENT).code == 0
    renting.environ["RUNE_SPEND_WARNING_THRESHOLD"] = "much"
    assert renting.http(*RENT).code == 2


def test_in_local_mode_the_chosen_offer_is_asked_about(renting: World) -> None:
    renting.local.proposals = [OFFER]
    ran = renting.run(*RENT, terminal=True, answers="y\n")
    assert ran.code == 0, ran.err
    assert "RTX 4090" in ran.err
    assert "Create this instance? [y/N]" in ran.err
    assert (renting.local.asks, renting.local.decisions) == (True, [True])


def test_a_no_to_the_offer_rents_nothing_and_is_no_failure(renting: World) -> None:
    renting.local.proposals = [OFFER]
    renting.local.records = [record("running")]
    ran = renting.run(*RENT, terminal=True, answers="\n")
    assert (ran.code, renting.local.decisions, renting.local.closed) == (0, [False], 1)
    assert "nothing was rented" in ran.err


def test_in_local_mode_a_yes_is_not_asked_for_and_without_one_nothing_starts_unseen(renting: World) -> None:
    assert renting.run(*RENT, "--yes").code == 0
    assert renting.local.asks is False
    ran = renting.run(*RENT, "--json")
    assert (ran.code, ran.json["code"], renting.local.opened) == (1, "confirmation_required", 1)


def test_a_chain_that_rents_goes_through_the_gate_in_both_forms(renting: World) -> None:
    steps = '"steps": [{"name": "a", "question": "why"}]'
    for terms in ('"vastai": true', '"provisioning": {"vastai": {"max_dph": 3}}'):
        renting.server.requests.clear()
        renting.server.estimate["projected_cost_usd"] = 9.0
        (renting.folder / "chain.json").write_text(f"{{{steps}, {terms}}}")
        assert renting.http("run-chain", "chain.json").code == 1
        assert [request.url.path for request in renting.server.of("POST")] == ["/v1/estimates"]
        assert renting.http("run-chain", "chain.json", "--yes").code == 0


@pytest.mark.parametrize("command", ["run-ollama-instance", "run-llm-instance"])
def test_an_instance_is_kept_and_told_how_to_hand_back(world: World, command: str) -> None:
    world.server.records = [record("succeeded", result=LEASED)]
    ran = world.http(command, "--vastai", "--lease-seconds", "600")
    assert ran.code == 0, ran.err
    assert world.server.of("POST")[-1].url.path == "/v1/jobs/llm-instance"
    body = world.server.body()
    assert (body["vastai"], body["lease_seconds"]) == (True, 600)
    assert "model" not in body
    assert "2023-11-14 22:13:20 UTC" in ran.out
    assert f"rune --backend http jobs release {JOB}" in ran.out
    assert world.http(command, "--vastai", "--json").json["command"] == command


def test_an_existing_server_is_looked_at_without_renting(world: World) -> None:
    world.server.records = [record("succeeded", result={**LEASED, "mode": "existing", "contract_id": None})]
    ran = world.http("run-llm-instance", "--backend-url", "http://gpu.test")
    assert ran.code == 0, ran.err
    body = world.server.body()
    assert body == {"vastai": False, "backend_url": "http://gpu.test", "timeout_seconds": 3600}


def test_release_asks_the_server_to_hand_back(world: World) -> None:
    ran = world.http("jobs", "release", JOB)
    assert (ran.code, ran.out) == (0, f"{JOB}: releasing\n")
    assert world.http("jobs", "release", JOB, "--json").json["status"] == "releasing"
    assert world.run("jobs", "release", JOB).code == 2
