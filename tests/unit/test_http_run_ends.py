"""The Runtime Runs API over HTTP: ends of runs, and requests that are repeated (runs-api.md 1.5, 2.7)."""

from __future__ import annotations

import asyncio

import pytest
from tests.unit.runs_over_http import EXTERNAL, PREFIXES, draft, log


@pytest.fixture(params=PREFIXES)
def prefix(request):
    return request.param


@pytest.fixture
async def run_id(client):
    answer = await client.post("/api/v1/runs", json=EXTERNAL)
    assert answer.status_code == 201, answer.text
    return answer.json()["run_id"]


async def test_a_clients_end_is_kept_with_its_counts(client, prefix, run_id):
    body = {
        "stop_class": "BLOCKING_FINDINGS",
        "exit_reason": "blocking_findings",
        "summary": {
            "findings": {"P0": 1, "P1": 2, "P2": 0, "P3": 4, "total": 7, "blocking": True},
            "usage": {"token_usage": 900, "cost_usd": 0.25, "duration_ms": 1234, "tool_calls": 3},
        },
    }
    answer = await client.post(f"{prefix}/{run_id}/complete", json=body)
    status = answer.json()
    assert answer.status_code == 200
    assert (status["status"], status["stop_class"], status["stop_code"]) == (
        "completed",
        "blocking_findings",
        "NONE",
    )
    assert status["findings_summary"] == {"P0": 1, "P1": 2, "P2": 0, "P3": 4, "total": 7, "blocking": 3}
    assert status["usage"]["token_usage"] == 900
    assert status["usage"]["cost_usd"] == 0.25
    again = await client.post(f"{prefix}/{run_id}/complete", json=body)
    assert (again.status_code, again.json()["already_terminal"]) == (200, True)
    other = await client.post(f"{prefix}/{run_id}/complete", json={**body, "exit_reason": "clean"})
    assert (other.status_code, other.json()["error"]["code"]) == (409, "RUN_TERMINAL")
    job = (await client.get(f"/v1/jobs/{run_id}")).json()
    assert (job["kind"], job["status"]) == ("external", "succeeded")


async def test_a_client_can_say_that_it_failed(client, run_id):
    body = {"status": "failed", "exit_reason": "tests_failed", "stop_class": "infra_error"}
    status = (await client.post(f"/api/v1/runs/{run_id}/complete", json=body)).json()
    assert (status["status"], status["exit_reason"], status["stop_code"]) == (
        "failed",
        "tests_failed",
        "ERROR",
    )
    assert status["error"]["message"] == "tests_failed"


async def test_only_a_clients_run_is_told_of_by_clients(client):
    run_id = (await client.post("/api/v1/runs", json={"question": "?"})).json()["run_id"]
    own = f"/api/v1/runs/{run_id}"
    for suffix, body in (("complete", {"stop_class": "clean"}), ("events", draft("k"))):
        answer = await client.post(f"{own}/{suffix}", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "RUN_NOT_EXTERNALLY_OWNED")
    upload = await client.post(f"{own}/artifacts?name=a&kind=log", content=b"x")
    assert upload.json()["error"]["code"] == "RUN_NOT_EXTERNALLY_OWNED"


async def test_a_cancel_gives_a_client_its_grace_and_force_takes_it(client, run_id):
    own = f"/api/v1/runs/{run_id}"
    asked = await client.post(f"{own}/cancel", json={"reason": "enough"})
    assert (asked.status_code, asked.json()["status"]) == (202, "cancelling")
    assert (await client.post(f"{own}/cancel", json={})).status_code == 202
    assert (await client.post(f"{own}/events", json=draft("late"))).status_code == 201
    forced = await client.post(f"{own}/cancel", json={"mode": "force"})
    assert (forced.status_code, forced.json()["status"]) == (200, "cancelled")
    assert (forced.json()["exit_reason"], forced.json()["stop_class"]) == ("cancelled", "manual_stop")
    again = await client.post(f"{own}/cancel", json={})
    assert (again.status_code, again.json()["already_terminal"]) == (200, True)
    types = [event["type"] for event in await log(client, run_id)]
    assert types.count("cancel_requested") == 1
    assert types[-1] == "run_cancelled"


async def test_work_that_ends_while_it_is_cancelled_is_cancelled(client, run_id):
    own = f"/api/v1/runs/{run_id}"
    await client.post(f"{own}/cancel", json={})
    status = (await client.post(f"{own}/complete", json={"stop_class": "clean"})).json()
    assert status["status"] == "cancelled"
    assert (await log(client, run_id))[-1]["payload"]["completed_before_stop"] is True


async def test_a_queued_run_is_cancelled_at_once(client):
    run_id = (await client.post("/api/v1/runs", json={"question": "?"})).json()["run_id"]
    answer = await client.post(f"/api/v1/runs/{run_id}/cancel", json={"reason": "no need"})
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert (await client.get(f"/v1/jobs/{run_id}")).json()["status"] == "cancelled"


async def test_what_is_open_is_closed_with_the_run(client, run_id):
    own = f"/api/v1/runs/{run_id}"
    calls = [
        draft("1", "tool_call", payload={"call_id": "c1", "tool_name": "kubectl"}),
        draft("2", "tool_call", payload={"call_id": "c2", "tool_name": "kubectl"}),
        draft("3", "tool_result", payload={"call_id": "c1", "status": "success"}),
        draft("4", "step_started", payload={"step_id": "s1", "command": "true"}),
    ]
    assert (await client.post(f"{own}/events", json={"events": calls})).status_code == 201
    await client.post(f"{own}/complete", json={"stop_class": "clean"})
    rest = [
        (event["type"], event.get("call_id") or event.get("step_id")) for event in await log(client, run_id)
    ]
    assert rest[-3:] == [("tool_result", "c2"), ("step_completed", "s1"), ("run_completed", None)]


async def test_nothing_changes_a_run_that_has_ended(client, run_id):
    own = f"/api/v1/runs/{run_id}"
    await client.post(f"{own}/events", json=draft("old"))
    await client.post(f"{own}/complete", json={"stop_class": "clean"})
    before = (await client.get(own)).content
    late = await client.post(f"{own}/events", json=draft("new"))
    assert (late.status_code, late.json()["error"]["code"]) == (409, "RUN_TERMINAL")
    known = await client.post(f"{own}/events", json=draft("old"))
    assert (known.status_code, known.json()["appended"]) == (200, 0)
    upload = await client.post(f"{own}/artifacts?name=a&kind=log", content=b"x")
    assert upload.json()["error"]["code"] == "RUN_TERMINAL"
    await client.post(f"{own}/cancel", json={})
    assert (await client.get(own)).content == before


async def test_one_key_and_body_make_one_run(client):
    headers = {"Idempotency-Key": "k-1"}
    answers = await asyncio.gather(
        *(client.post(PREFIXES[n % 2], json=EXTERNAL, headers=headers) for n in range(20))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    replayed = [answer.headers.get("idempotency-replayed") for answer in answers]
    assert sorted(replayed, key=str).count("true") == 19
    other = await client.post("/api/v1/runs", json={**EXTERNAL, "repo": "x"}, headers=headers)
    assert (other.status_code, other.json()["error"]["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert len((await client.get("/api/v1/runs")).json()["runs"]) == 1


async def test_a_key_that_is_too_long_or_twofold_is_refused(client):
    answer = await client.post("/api/v1/runs", json=EXTERNAL, headers={"Idempotency-Key": "k" * 256})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "IDEMPOTENCY_KEY_INVALID")
    both = {"Idempotency-Key": "a", "X-Idempotency-Key": "b"}
    assert (await client.post("/api/v1/runs", json=EXTERNAL, headers=both)).status_code == 400


async def test_a_refused_request_leaves_its_key_free(client):
    headers = {"Idempotency-Key": "k-2"}
    assert (await client.post("/api/v1/runs", json={}, headers=headers)).status_code == 400
    assert (await client.post("/api/v1/runs", json=EXTERNAL, headers=headers)).status_code == 201


async def test_every_change_may_be_repeated_under_its_key(client, run_id):
    headers = {"Idempotency-Key": "same-key-for-all"}
    own = f"/api/v1/runs/{run_id}"
    requests = [
        (f"{own}/events", {"json": draft("k")}),
        (f"{own}/artifacts?name=a.log&kind=log", {"content": b"text"}),
        (f"{own}/stream-tickets", {"json": {"purpose": "events"}}),
        (f"{own}/cancel", {"json": {}}),
        (f"{own}/complete", {"json": {"stop_class": "CLEAN"}}),
    ]
    for path, body in requests:
        first = await client.post(path, headers=headers, **body)
        events = (await client.get(own)).json()["total_events"]
        again = await client.post(path.replace("/runs", "/runtime/runs"), headers=headers, **body)
        assert (first.status_code // 100, first.status_code) == (2, again.status_code)
        assert first.content == again.content
        assert again.headers["idempotency-replayed"] == "true"
        assert (await client.get(own)).json()["total_events"] == events


async def test_a_queued_chain_is_cancelled_with_its_steps(client):
    body = {"chain": {"steps": [{"name": "find", "question_template": "what is wrong?"}]}}
    run_id = (await client.post("/api/v1/runs", json=body)).json()["run_id"]
    assert (await client.post(f"/api/v1/runs/{run_id}/cancel", json={})).status_code == 200
    state = (await client.get(f"/v1/chains/{run_id}/state")).json()
    assert [node["status"] for node in state["nodes"]] == ["skipped"]
