"""The model catalog over HTTP (runs-api.md 10; acceptance 31)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.unit.kpi_samples import ended

from rune_common.adapters.memory_daily_rows import MemoryDailyRows
from rune_common.adapters.memory_spend import MemorySpendLedger
from rune_common.adapters.operator_models import ModelFiles
from rune_common.domain.daily_rows import day_of
from rune_common.domain.kpi_rows import SERIES, pack
from rune_common.domain.model_ranking import WEIGHTS
from rune_common.domain.models_offered import BackendModels, ServedModel
from rune_common.domain.prices import TokenPrice
from rune_common.domain.spend import spend_day

PATH = "/api/v1/models/catalog"
SERVED = BackendModels(True, (ServedModel("llama3.1:8b"), ServedModel("own:1b", ("tools",), 4096)))


@dataclass
class FakeBackends:
    found: BackendModels = SERVED
    asked: list[str] = field(default_factory=list)

    def of(self, backend_url: str) -> BackendModels:
        self.asked.append(backend_url)
        return self.found


@pytest.fixture
def ports() -> dict[str, Any]:
    return {
        "backend_models": FakeBackends(),
        "daily_rows": MemoryDailyRows(),
        "operator_models": ModelFiles(),
        "spend": MemorySpendLedger(),
    }


@pytest.fixture
def asking(build_services, open_client, ports):
    return lambda **settings: open_client(build_services(ports, **settings))


def ids(answer) -> list[str]:
    return [each["model_id"] for each in answer.json()["models"]]


async def test_what_the_tenants_server_has_is_available_and_ranked(asking, ports):
    async with asking() as client:
        answer = await client.get(PATH)
    found = answer.json()
    assert answer.status_code == 200
    assert ids(answer) == ["own:1b", "llama3.1:8b"]
    assert [each["rank"] for each in found["models"]] == [1, 2]
    assert found["account"] == {
        "tier": "default",
        "credential_modes": ["local"],
        "quota_state": "normal",
        "quota_resets_at": "2025-10-10T00:00:00.000Z",
    }
    assert (found["role"], found["weights"]) == ("any", dict(WEIGHTS["any"]))
    assert found["defaults"] == {"orchestrator": "llama3.1:8b", "subagent": "own:1b"}
    assert (found["ranked_at"], found["price_book_version"]) == ("2025-10-09T08:53:20.000Z", None)
    assert ports["backend_models"].asked == ["http://127.0.0.1:11434"]


async def test_a_model_shows_every_member_of_the_contract(asking):
    async with asking() as client:
        [found] = [each for each in (await client.get(PATH)).json()["models"] if each["model_id"] == "own:1b"]
    assert found == {
        "model_id": "own:1b", "canonical_id": "ollama_chat/own:1b", "provider": "ollama", "display_name": "own:1b",
        "roles": ["orchestrator", "subagent", "judge"], "context_window": 4096, "max_output_tokens": None,
        "capabilities": ["tools"],
        "pricing": {
            "input_per_mtok": None, "output_per_mtok": None, "cache_read_per_mtok": None, "currency": "USD",
            "unpriced": True,
        },
        "availability": {"available": True, "credential_mode": "local", "reason_code": None},
        "rank": 1, "score": 0.5875,
        "score_breakdown": {"quality": 0.5, "cost": 0.5, "latency": 0.5, "reliability": 0.95, "affinity": 0},
        "evidence": {"runs": 0, "success_rate": None, "p50_latency_ms": None, "cost_per_closed_finding": None},
        "deprecated": False, "replaced_by": None,
    }  # fmt: skip


async def test_an_unavailable_model_shows_its_reason_only_when_it_is_asked_for(asking):
    async with asking() as client:
        plain = await client.get(PATH)
        every = await client.get(f"{PATH}?include_unavailable=true")
    shown = {each["model_id"]: each for each in every.json()["models"]}
    assert ids(every)[:2] == ids(plain)
    assert ids(every)[2:] == sorted(ids(every)[2:])
    reasons = {name: each["availability"]["reason_code"] for name, each in shown.items()}
    assert reasons["llama3.1:70b"] == "NOT_PULLED"
    assert reasons["gpt-4o"] == "NO_CREDENTIAL"
    assert reasons["claude-3-opus"] == "DEPRECATED"
    assert (shown["gpt-4o"]["rank"], shown["gpt-4o"]["score"]) == (None, None)


async def test_a_server_that_is_down_leaves_its_models_unavailable(asking, ports):
    ports["backend_models"].found = BackendModels(answered=False)
    async with asking() as client:
        answer = await client.get(f"{PATH}?include_unavailable=1")
    reasons = {each["model_id"]: each["availability"]["reason_code"] for each in answer.json()["models"]}
    assert reasons["llama3.1:8b"] == "PROVIDER_DOWN"
    assert answer.json()["defaults"] == {"orchestrator": None, "subagent": None}


async def test_a_tenants_own_runs_decide_the_order(asking, ports, clock):
    for _ in range(10):
        row = ended(0, ended_at=clock.now - 1000, used_models=("llama3.1:8b",), call_ms=200)
        ports["daily_rows"].add("default", SERIES, day_of(row.ended_at), row.run_id, pack(row))
    async with asking() as client:
        answer = await client.get(PATH)
    assert ids(answer) == ["llama3.1:8b", "own:1b"]
    assert answer.json()["models"][0]["evidence"] == {
        "runs": 10, "success_rate": 1, "p50_latency_ms": 200, "cost_per_closed_finding": None,
    }  # fmt: skip


async def test_the_tag_is_over_all_but_the_time_of_ranking(asking, clock, ports):
    async with asking() as client:
        before = await client.get(PATH)
        clock.advance(60)
        after = await client.get(PATH)
        same = await client.get(PATH, headers={"If-None-Match": f'"x", {before.headers["ETag"]}'})
        other = await client.get(f"{PATH}?role=judge")
        ports["backend_models"].found = BackendModels(True, (ServedModel("llama3.1:8b"),))
        fewer = await client.get(PATH, headers={"If-None-Match": before.headers["ETag"]})
    assert before.json()["ranked_at"] != after.json()["ranked_at"]
    assert before.headers["ETag"] == after.headers["ETag"]
    assert before.headers["ETag"].startswith('"')
    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", before.headers["ETag"])
    assert other.headers["ETag"] != before.headers["ETag"]
    assert (fewer.status_code, ids(fewer)) == (200, ["llama3.1:8b"])


async def test_role_capability_and_budget_choose(asking, ports, build_services, open_client):
    ports["price_book"] = {"own:1b": TokenPrice(1.0, 1.0)}
    async with asking() as client:
        assert ids(await client.get(f"{PATH}?capability=tools,vision")) == []
        assert ids(await client.get(f"{PATH}?role=judge&capability=tools")) == ["own:1b"]
        assert "own:1b" not in ids(await client.get(f"{PATH}?budget_usd=0.01"))
        every = await client.get(f"{PATH}?budget_usd=0.01&include_unavailable=true")
    reasons = {each["model_id"]: each["availability"]["reason_code"] for each in every.json()["models"]}
    assert reasons["own:1b"] == "BUDGET_EXCEEDED"
    assert len(every.json()["price_book_version"]) == 12


async def test_a_listed_model_is_for_the_tenants_that_it_names(asking, ports, tmp_path):
    path = tmp_path / "models.yaml"
    path.write_text("gpt-4o: {model: openai/gpt-4o}\nsecret: {model: x/secret, tenants: [teamb]}")
    ports["operator_models"] = ModelFiles(model_list=str(path))
    async with asking() as client:
        answer = await client.get(f"{PATH}?include_unavailable=true")
    assert "secret" not in answer.text
    [found] = [each for each in answer.json()["models"] if each["model_id"] == "gpt-4o"]
    assert found["availability"] == {"available": True, "credential_mode": "managed", "reason_code": None}
    assert answer.json()["account"]["credential_modes"] == ["local", "managed"]


async def test_a_spent_day_takes_managed_models_away(asking, ports, tmp_path, clock):
    path = tmp_path / "models.yaml"
    path.write_text("gpt-4o: {model: openai/gpt-4o}")
    ports["operator_models"] = ModelFiles(model_list=str(path))
    async with asking(spend_limit_per_day_usd=10.0) as client:
        ports["spend"].reserve("default", "job", 8_000_000, spend_day(clock.now), 10_000_000)
        assert (await client.get(PATH)).json()["account"]["quota_state"] == "warning"
        ports["spend"].reserve("default", "job-2", 2_000_000, spend_day(clock.now), 10_000_000)
        answer = await client.get(PATH)
    assert answer.json()["account"]["quota_state"] == "exhausted"
    assert ids(answer) == ["own:1b", "llama3.1:8b"]


async def test_without_a_server_nobody_is_asked(asking, ports):
    async with asking(backend_url="") as client:
        assert ids(await client.get(PATH)) == []
    assert ports["backend_models"].asked == []


@pytest.mark.parametrize(
    ("query", "field"),
    [("role=cook", "role"), ("include_unavailable=maybe", "include_unavailable"), ("budget_usd=-1", "budget_usd"),
     ("budget_usd=nan", "budget_usd"), ("budget_usd=cheap", "budget_usd"),
     ("capability=" + ",".join(map(str, range(21))), "capability")],
)  # fmt: skip
async def test_what_does_not_fit_is_named(asking, query, field):
    async with asking() as client:
        answer = await client.get(f"{PATH}?{query}")
    assert answer.status_code == 400
    assert field in answer.text


async def test_empty_parameters_are_the_defaults(asking):
    async with asking() as client:
        plain = await client.get(PATH)
        empty = await client.get(f"{PATH}?role=&capability=&include_unavailable=&budget_usd=")
    assert empty.json() == plain.json()
