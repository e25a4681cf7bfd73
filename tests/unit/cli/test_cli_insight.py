"""`rune kpi` and `rune models` (runs-api.md 8, 10)."""

from __future__ import annotations

import httpx
import pytest
from tests.unit.kpi_samples import AS_OF, DAY, ended

from rune_common.domain.kpi import kpi

KPI = kpi(
    [ended(turn, model="big", cost_micro_usd=250_000, duration_ms=1_500) for turn in range(1, 6)]
    + [ended(8 * DAY, status="failed", cost_micro_usd=500_000, duration_ms=3_000) for _ in range(5)],
    AS_OF,
    7,
    28,
    open_runs=3,
)


def model(name, **fields):
    known = {
        "rank": 1,
        "score": 0.58751,
        "pricing": {"input_per_mtok": 2.5, "output_per_mtok": 10, "unpriced": False},
        "availability": {"available": True, "credential_mode": "managed", "reason_code": None},
        "evidence": {"runs": 4, "success_rate": 0.75},
    }
    return {"model_id": name} | known | fields


CATALOG = {"models": [model("gpt-4o")], "defaults": {"orchestrator": "gpt-4o", "subagent": None}}
UNAVAILABLE = model(
    "llama3.1:70b",
    rank=None,
    score=None,
    pricing={"input_per_mtok": None, "output_per_mtok": None, "unpriced": True},
    availability={"available": False, "credential_mode": "local", "reason_code": "NOT_PULLED"},
    evidence={"runs": 0, "success_rate": None},
)


def answers(world, document, status=200):
    world.server.failures = [httpx.Response(status, json=document)]


def rows(out):
    lines = [line.split("│")[1:-1] for line in out.splitlines() if line.startswith("│")]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines}


def test_the_kpi_is_a_table_of_both_windows(world):
    answers(world, KPI)
    ran = world.http("kpi")
    found = rows(ran.out)
    assert ran.code == 0
    assert found["success_rate"] == ["100.0 %", "0.0 %", "–", "improved"]
    assert found["cost_per_run_usd"] == ["$0.25", "$0.50", "-50.0 %", "improved"]
    assert found["duration_p50_ms"] == ["1,500 ms", "3,000 ms", "-50.0 %", "improved"]
    assert found["time_to_close_p50_s"] == ["–", "–", "–", "insufficient data"]
    assert "3 open runs" in ran.err
    assert "big" not in ran.out
    request = world.server.requests[0]
    assert request.url.path == "/api/v1/runtime/kpi"
    assert dict(request.url.params) == {"compare_window_days": "7", "baseline_window_days": "28"}


def test_breakdowns_and_windows_can_be_asked_for(world):
    answers(world, KPI)
    ran = world.http(
        "kpi",
        "--breakdowns",
        "--compare-days",
        "1",
        "--baseline-days",
        "2",
        "--as-of",
        "2026-09-21T00:00:00Z",
    )
    assert rows(ran.out)["big"] == ["5", "100.0 %", "$1.25"]
    assert dict(world.server.requests[0].url.params) == {
        "compare_window_days": "1",
        "baseline_window_days": "2",
        "as_of": "2026-09-21T00:00:00Z",
    }


def test_as_json_both_are_the_servers_answers(world):
    answers(world, KPI)
    assert world.http("kpi", "--json").json == {"ok": True, "command": "kpi", "result": KPI}
    answers(world, CATALOG)
    assert world.http("models", "--json").json == {"ok": True, "command": "models", "result": CATALOG}


def test_models_are_a_table_with_the_best_first(world):
    answers(world, CATALOG)
    ran = world.http("models", "--role", "orchestrator", "--capability", "tools", "--budget-usd", "0.5")
    assert rows(ran.out) == {"1": ["gpt-4o", "managed", "0.588", "75.0 %", "4", "$2.50 / $10.00"]}
    assert "orchestrator gpt-4o, subagent –" in ran.err
    request = world.server.requests[0]
    assert request.url.path == "/api/v1/models/catalog"
    assert dict(request.url.params) == {"role": "orchestrator", "capability": "tools", "budget_usd": "0.5"}


def test_all_shows_why_a_model_is_not_available(world):
    answers(world, CATALOG | {"models": [*CATALOG["models"], UNAVAILABLE]})
    ran = world.http("models", "--all")
    assert rows(ran.out)["–"] == ["llama3.1:70b", "local", "–", "–", "0", "–", "NOT_PULLED"]
    assert world.server.requests[0].url.params["include_unavailable"] == "true"


def test_without_models_the_way_to_see_more_is_told(world):
    answers(world, CATALOG | {"models": []})
    ran = world.http("models")
    assert (ran.code, ran.out) == (0, "")
    assert "--all" in ran.err


@pytest.mark.parametrize("command", ["kpi", "models"])
def test_both_need_a_server(world, command):
    ran = world.run("--backend", "local", command, "--json")
    assert (ran.code, world.server.requests) == (2, [])


@pytest.mark.parametrize("command", ["kpi", "models"])
@pytest.mark.parametrize("document", [{}, {"models": [1]}, {"windows": 1}])
def test_an_answer_of_another_shape_is_told_as_such(world, command, document):
    answers(world, document)
    ran = world.http(command)
    assert ran.code == 1
    assert "is this a Rune server?" in ran.err


def test_a_refusal_names_the_field(world):
    fields = [{"path": "as_of", "reason": "must not be in the future"}]
    error = {"code": "VALIDATION_ERROR", "message": "the request is not valid", "details": {"fields": fields}}
    answers(world, {"error": error}, status=400)
    ran = world.http("kpi", "--json", "--as-of", "2999-01-01")
    assert (ran.code, ran.json["code"]) == (1, "VALIDATION_ERROR")
    assert "as_of must not be in the future" in ran.json["error"]
