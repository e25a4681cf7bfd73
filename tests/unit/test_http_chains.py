"""Chains over HTTP: what is accepted, what is refused, and their state (jobs-api.md 8)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rune_common.domain.chains import settle, start_step
from rune_common.domain.ports import RunChange
from rune_common.wiring import Services

PATHS = ("/v1/jobs/chain", "/v1/chains")
MARK = "do-not-repeat-me"
STEPS: list[dict[str, Any]] = [
    {"name": "a", "question_template": "find {what}"},
    {"name": "b", "question": "explain {a}", "depends_on": ["a"], "agent": "sre:holmes", "model": "big"},
]
BODY = {"steps": STEPS, "context": {"what": "it"}}


@pytest.mark.parametrize("path", PATHS)
async def test_a_chain_is_accepted_under_both_paths_and_all_names(client, path):
    made = await client.post(path, json=BODY)
    assert made.status_code == 202, made.text
    job = (await client.get(f"/v1/jobs/{made.json()['job_id']}?include=request")).json()
    assert (job["kind"], job["status"]) == ("chain", "queued")
    assert job["request"]["chain"] == {
        "steps": [
            {"name": "a", "agent": "holmes", "question_template": "find {what}", "dependencies": []},
            {
                "name": "b",
                "agent": "holmes",
                "question_template": "explain {a}",
                "dependencies": ["a"],
                "model": "big",
            },
        ],
        "context": {"what": "it"},
        "on_failure": "continue",
    }
    assert "question" not in job["request"]


async def test_both_paths_are_one_operation(client):
    headers = {"Idempotency-Key": "once"}
    first = await client.post(PATHS[0], json=BODY, headers=headers)
    second = await client.post(PATHS[1], json=BODY, headers=headers)
    assert first.json()["job_id"] == second.json()["job_id"]
    assert second.headers["Idempotency-Replayed"] == "true"


async def test_the_state_of_a_chain_that_has_not_started(client):
    made = (await client.post(PATHS[1], json=BODY)).json()["job_id"]
    state = await client.get(f"/v1/chains/{made}/state")
    assert state.status_code == 200
    unknown = {"status": "pending", "started_at": None, "finished_at": None, "error": None}
    assert state.json() == {
        "run_id": made,
        "nodes": [{"id": name, "agent_name": "holmes", **unknown} for name in ("a", "b")],
        "edges": [{"from": "a", "to": "b"}],
        "overall_status": "pending",
    }


async def test_the_state_of_a_chain_of_which_a_step_failed(client, services: Services):
    made = (await client.post(PATHS[1], json=BODY)).json()["job_id"]
    run = services.runs.get("default", made)
    chain = services.runs.chain("default", made)
    assert run
    assert chain
    failed = settle(start_step(chain, "a", now_ms=1_500), "a", "broke", now_ms=2_750)
    services.runs.commit(RunChange(run, replace(run, revision=run.revision + 1), chain=failed))
    state = (await client.get(f"/v1/chains/{made}/state")).json()
    assert state["nodes"][0] == {
        "id": "a",
        "agent_name": "holmes",
        "status": "failed",
        "started_at": 1.5,
        "finished_at": 2.75,
        "error": "broke",
    }
    assert state["nodes"][1]["status"] == "skipped"
    assert state["overall_status"] == "failed"


async def test_a_job_without_steps_has_an_empty_state(client):
    made = (await client.post("/v1/jobs/agentic-agent", json={"question": "why?"})).json()["job_id"]
    state = (await client.get(f"/v1/chains/{made}/state")).json()
    assert state == {"run_id": made, "nodes": [], "edges": [], "overall_status": "pending"}


async def test_an_unknown_chain_and_another_tenants_are_the_same(client, client_b):
    made = (await client.post(PATHS[1], json=BODY)).json()["job_id"]
    for answer in (
        await client_b.get(f"/v1/chains/{made}/state"),
        await client.get("/v1/chains/01900000-0000-7000-8000-00000000dead/state"),
        await client.get("/v1/chains/no.id/state"),
    ):
        assert (answer.status_code, answer.json()["error"]) == (404, "chain run not found")


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"steps": None}, "steps", "missing"),
        ({"steps": []}, "steps", "too_short"),
        ({"steps": [STEPS[0]] * 51}, "steps", "too_long"),
        ({"steps": "x"}, "steps", "type"),
        ({"steps": [MARK]}, "steps.0", "type"),
        ({"steps": [{"name": "a"}]}, "steps.0.question_template", "missing"),
        ({"steps": [{"name": f"{MARK} ", "question": "q"}]}, "steps.0.name", "format"),
        ({"steps": [{"name": "a", "question": f"{{{MARK}}}"}]}, "steps.0.question", "unknown_placeholder"),
        ({"steps": [{"name": "a", "question": "{x.y}"}]}, "steps.0.question", "format"),
        ({"steps": [{"name": "a", "question": "q", "depends_on": [MARK]}]}, "steps.0.depends_on", "unknown"),
        ({"steps": [{"name": "a", "question": "q", "dependencies": 1}]}, "steps.0.dependencies", "type"),
        ({"context": {MARK: 1}}, "context", "type"),
        ({"context": {"what": "x" * 33_000}}, "context", "too_long"),
        ({"on_failure": MARK}, "on_failure", "unknown"),
    ],
)
async def test_what_is_wrong_is_named_as_it_was_sent_and_no_value_is_repeated(client, fields, field, code):
    answer = await client.post(PATHS[0], json=BODY | fields)
    assert answer.status_code == 400
    assert [(each["field"], each["code"]) for each in answer.json()["details"]] == [(field, code)]
    assert MARK not in answer.text
    assert (await client.get("/v1/jobs")).json()["jobs"] == []


async def test_a_cycle_is_refused(client):
    steps = [
        {"name": "a", "question": "q", "depends_on": ["b"]},
        {"name": "b", "question": "q", "depends_on": ["a"]},
    ]
    answer = await client.post(PATHS[0], json={"steps": steps})
    assert (answer.status_code, answer.json()["details"][0]["code"]) == (400, "cycle")


async def test_fields_of_steps_without_a_meaning_are_named(client):
    steps = [{"name": "a", "question": "q", "colour": "red", "agent": "", "model": None}]
    answer = await client.post(PATHS[0], json={"steps": steps, "size": 1})
    assert answer.status_code == 202
    assert answer.headers["Rune-Ignored-Fields"] == "size,steps.0.colour"


async def test_an_unknown_agent_of_a_step_is_refused(client):
    steps = [{"name": "a", "question": "q", "agent": MARK}]
    answer = await client.post(PATHS[0], json={"steps": steps})
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_agent")


async def test_a_chain_with_as_many_dependencies_as_there_can_be_is_accepted(client):
    names = [f"{'n' * 60}{number:02d}" for number in range(50)]
    steps = [
        {"name": name, "question": "q", "depends_on": names[:number]} for number, name in enumerate(names)
    ]
    made = await client.post(PATHS[0], json={"steps": steps})
    assert made.status_code == 202, made.text
    state = (await client.get(f"/v1/chains/{made.json()['job_id']}/state")).json()
    assert len(state["edges"]) == 50 * 49 // 2


async def test_a_queued_chain_that_is_cancelled_has_skipped_steps(client):
    made = (await client.post(PATHS[1], json=BODY)).json()["job_id"]
    assert (await client.delete(f"/v1/jobs/{made}")).json()["status"] == "cancelled"
    state = (await client.get(f"/v1/chains/{made}/state")).json()
    assert [node["status"] for node in state["nodes"]] == ["skipped", "skipped"]
    assert state["overall_status"] == "skipped"
