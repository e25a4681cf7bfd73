"""The Runtime Runs API over HTTP: who may create, read and list runs (runs-api.md 1, 2)."""

from __future__ import annotations

import pytest
from tests.unit.runs_over_http import EXTERNAL, PREFIXES, draft, log

from rune_common.domain.access import TokenRecord, token_hash
from rune_common.domain.fold import fold


@pytest.fixture(params=PREFIXES)
def prefix(request):
    return request.param


@pytest.fixture
async def run_id(client):
    answer = await client.post("/api/v1/runs", json=EXTERNAL)
    assert answer.status_code == 201, answer.text
    return answer.json()["run_id"]


async def test_a_clients_run_is_running_at_once_and_tells_what_was_asked(client, prefix):
    answer = await client.post(prefix, json=EXTERNAL)
    status = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/api/v1/runs/{status['run_id']}"
    assert (status["kind"], status["status"], status["mode"]) == ("external", "running", "edit_gated")
    assert (status["repo"], status["ref"], status["orchestrator_model"]) == ("demo", "main", "Jules")
    assert status["subagent_model"] == "deterministic"
    assert status["max_iterations"] == 1
    assert status["budget"]["limits"]["max_cost_usd"] == 2.5
    assert status["created_by"].startswith("seed-")
    assert status["total_events"] == 2
    assert status["links"]["self"] == f"/api/v1/runs/{status['run_id']}"


async def test_an_agent_run_is_queued_and_is_the_same_record_as_a_job(client, prefix):
    answer = await client.post(prefix, json={"task": "what is wrong?", "labels": {"team": "sre"}})
    status = answer.json()
    assert answer.status_code == 201
    assert (status["kind"], status["status"]) == ("agent", "queued")
    assert (status["mode"], status["runtime_profile"]) == ("audit_readonly", "container_readonly")
    assert status["labels"] == {"team": "sre"}
    job = (await client.get(f"/v1/jobs/{status['run_id']}", params={"include": "request"})).json()
    assert (job["kind"], job["status"]) == ("agentic-agent", "queued")
    assert job["request"]["question"] == "what is wrong?"


async def test_a_job_is_readable_as_a_run(client):
    job = (await client.post("/v1/jobs/agentic-agent", json={"question": "why?"})).json()
    status = (await client.get(f"/api/v1/runs/{job['job_id']}")).json()
    assert (status["kind"], status["status"]) == ("agent", "queued")
    assert status["orchestrator_model"]
    assert status["created_by"].startswith("seed-")


async def test_a_chain_is_a_run_with_steps(client):
    steps = [
        {"name": "find", "question_template": "what is wrong?"},
        {"name": "fix", "question_template": "how to fix {find}?", "dependencies": ["find"]},
    ]
    status = (await client.post("/api/v1/runs", json={"chain": {"steps": steps}})).json()
    assert (status["kind"], status["status"]) == ("chain", "queued")
    assert (await client.get(f"/v1/jobs/{status['run_id']}")).json()["kind"] == "chain"
    cycle = [{**steps[1], "name": "find"}]
    refused = await client.post("/api/v1/runs", json={"chain": {"steps": cycle}})
    assert refused.status_code == 400
    assert refused.json()["error"]["details"]["fields"][0]["path"].startswith("chain.steps")


async def test_both_names_of_a_run_have_the_same_body(client, run_id):
    bodies = {
        (await client.get(f"{prefix}/{run_id}{suffix}")).content
        for prefix in PREFIXES
        for suffix in ("", "/", "/status", "/status/")
    }
    assert len(bodies) == 1


async def test_the_status_is_the_fold_of_the_log(client, run_id):
    await client.post(
        f"/api/v1/runs/{run_id}/events",
        json={
            "events": [
                draft("a", usage={"input_tokens": 7, "output_tokens": 3, "llm_calls": 1, "cost_usd": 0.01}),
                draft("b", "stage_changed", payload={"stage": "SCAN"}),
                draft("c", "finding_opened", payload={"finding": {"fingerprint": "v1:x", "severity": "P1"}}),
            ]
        },
    )
    status = (await client.get(f"/api/v1/runs/{run_id}")).json()
    folded = fold(await log(client, run_id)).document()
    assert status.pop("links")
    assert status == folded
    assert status["usage"]["token_usage"] == 10
    assert status["usage"]["cost_usd"] == 0.01
    assert status["current_stage"] == "SCAN"
    assert status["findings_summary"]["P1"] == 1


async def test_what_is_unknown_is_named_and_ignored(client, prefix):
    body = {**EXTERNAL, "colour": "red", "budget": {"max_cost_usd": 1, "tulips": 2}, "bad name": 1}
    answer = await client.post(prefix, json=body)
    assert answer.status_code == 201
    assert set(answer.headers["rune-ignored-fields"].split(",")) == {"colour", "?", "budget.tulips"}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "kind"),
        ({"kind": "loop", "question": "?"}, "kind"),
        ({"kind": "agent"}, "question"),
        ({"question": ""}, "question"),
        ({"question": "?", "mode": "fast"}, "mode"),
        ({"question": "?", "repo": "https://example.com/a/b"}, "repo"),
        ({"question": "?", "repo": "a b"}, "repo"),
        ({"question": "?", "ref": "a..b"}, "ref"),
        ({"question": "?", "timeout_seconds": 9}, "timeout_seconds"),
        ({"question": "?", "budget": {"max_tokens": 0}}, "budget.max_tokens"),
        ({"question": "?", "labels": {"a": 1}}, "labels.a"),
        ({"question": "?", "labels": {str(n): "" for n in range(21)}}, "labels"),
        ({"question": "?", "parent_run_id": "nobody"}, "parent_run_id"),
        ({"question": "?", "context_files": [{"path": "a", "sha256": "x"}]}, "context_files.0.sha256"),
        ({"command": {"run": "true"}, "mode": "advice"}, "mode"),
        ({**EXTERNAL, "repo": "git@example.com:a/b"}, "repo"),
    ],
)
async def test_what_does_not_fit_is_named_with_its_field(client, prefix, body, path):
    answer = await client.post(prefix, json=body)
    error = answer.json()["error"]
    assert answer.status_code == 400
    assert error["code"] == "VALIDATION_ERROR"
    assert path in [each["path"] for each in error["details"]["fields"]]
    assert error["request_id"] == answer.headers["x-request-id"]


async def test_every_field_that_does_not_fit_is_named_at_once(client):
    answer = await client.post("/api/v1/runs", json={"kind": "agent", "repo": "a b", "ref": "a..b"})
    paths = {each["path"] for each in answer.json()["error"]["details"]["fields"]}
    assert paths == {"question", "repo", "ref"}


async def test_a_mode_that_writes_needs_a_profile_that_can(client):
    body = {"question": "?", "mode": "edit_gated", "runtime_profile": "container_readonly"}
    answer = await client.post("/api/v1/runs", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "MODE_PROFILE_MISMATCH")


@pytest.mark.parametrize(
    ("content", "code"), [(b"{", "INVALID_JSON"), (b"[]", "VALIDATION_ERROR"), (b'{"a":NaN}', "INVALID_JSON")]
)
async def test_a_body_that_is_no_object_is_refused(client, content, code):
    answer = await client.post("/api/v1/runs", content=content)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


async def test_errors_of_paths_and_methods_speak_the_same_dialect(client, run_id):
    unknown = await client.get("/api/v1/nothing")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "ROUTE_NOT_FOUND")
    wrong = await client.put(f"/api/v1/runs/{run_id}")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert wrong.headers["allow"] == "GET, HEAD, OPTIONS"


async def test_without_a_token_nothing_is_told(services, open_client):
    async with open_client(services, token=None) as client:
        answer = await client.get("/api/v1/runs")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "AUTH_REQUIRED")


async def test_another_tenants_run_answers_as_an_unknown_id_does(client, client_b, run_id):
    headers = {"X-Request-Id": "same"}
    suffixes = ["", "/status", "/events", "/events/list", "/findings", "/artifacts", "/artifacts/a_1"]
    for suffix in suffixes:
        foreign = await client_b.get(f"/api/v1/runs/{run_id}{suffix}", headers=headers)
        unknown = await client_b.get(f"/api/v1/runs/{'0' * len(run_id)}{suffix}", headers=headers)
        assert foreign.status_code == unknown.status_code == 404
        assert foreign.content == unknown.content
    for suffix, body in (("/cancel", {}), ("/complete", {"stop_class": "clean"}), ("/events", draft("k"))):
        answer = await client_b.post(f"/api/v1/runs/{run_id}{suffix}", json=body)
        assert answer.json()["error"]["code"] == "RUN_NOT_FOUND"


def token_of(services, *scopes, kind="service", subject="s"):
    secret = f"{subject}-{'-'.join(scopes)}-token-of-more-than-32-characters"
    services.tokens.add(TokenRecord(token_hash(secret), subject, kind, ("default",), scopes))
    return secret


async def test_each_operation_needs_its_scope(services, open_client, run_id):
    async with open_client(services, token=token_of(services, "kpi:read")) as client:
        for method, suffix in [
            ("GET", ""),
            ("POST", ""),
            ("GET", f"/{run_id}"),
            ("GET", f"/{run_id}/events"),
            ("POST", f"/{run_id}/cancel"),
            ("POST", f"/{run_id}/complete"),
            ("POST", f"/{run_id}/events"),
            ("POST", f"/{run_id}/artifacts?name=a&kind=log"),
            ("POST", f"/{run_id}/stream-tickets"),
        ]:
            body = {"question": "?"} if method == "POST" else None
            answer = await client.request(method, f"/api/v1/runs{suffix}", json=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "INSUFFICIENT_SCOPE")


async def test_a_command_needs_the_right_to_execute(services, open_client):
    async with open_client(services, token=token_of(services, "runs:write")) as client:
        answer = await client.post("/api/v1/runs", json={"command": {"run": "true"}})
    assert answer.json()["error"]["code"] == "INSUFFICIENT_SCOPE"


async def test_a_runs_own_token_knows_no_other_run(services, open_client, client, run_id):
    other = (await client.post("/api/v1/runs", json=EXTERNAL)).json()["run_id"]
    token = token_of(services, "runs:read", "runs:report", kind="run", subject=f"run:{run_id}")
    async with open_client(services, token=token) as own:
        assert (await own.get(f"/api/v1/runs/{run_id}")).status_code == 200
        assert (await own.post(f"/api/v1/runs/{run_id}/events", json=draft("k"))).status_code == 201
        assert (await own.get(f"/api/v1/runs/{other}")).status_code == 404
        assert (await own.get(f"/api/v1/runs/{other}/events")).status_code == 404
        assert (await own.get("/api/v1/runs")).status_code == 403
        assert (await own.get(f"/v1/jobs/{other}")).status_code == 404


async def test_runs_are_listed_newest_first_page_by_page(client, clock):
    made = []
    for number in range(5):
        clock.advance(1)
        body = {**EXTERNAL, "repo": f"r{number % 2}"}
        made.append((await client.post("/api/v1/runs", json=body)).json()["run_id"])
    first = (await client.get("/api/v1/runs", params={"limit": 3})).json()
    assert [run["run_id"] for run in first["runs"]] == made[:1:-1]
    assert first["has_more"] is True
    rest = (await client.get("/api/v1/runs", params={"limit": 3, "cursor": first["next_cursor"]})).json()
    assert [run["run_id"] for run in rest["runs"]] == made[1::-1]
    assert (rest["has_more"], rest["next_cursor"]) == (False, None)
    one = (await client.get(f"/api/v1/runs/{made[0]}")).json()
    assert rest["runs"][-1] == one
    filtered = await client.get(
        "/api/v1/runs", params={"limit": 3, "cursor": first["next_cursor"], "repo": "r0"}
    )
    assert (filtered.status_code, filtered.json()["error"]["code"]) == (400, "CURSOR_INVALID")


async def test_a_list_shows_what_was_asked_for(client, clock):
    child = {**EXTERNAL, "mode": "advice", "runtime_profile": "cli_local"}
    parent = (await client.post("/api/v1/runs", json=EXTERNAL)).json()
    clock.advance(60)
    made = (await client.post("/api/v1/runs", json={**child, "parent_run_id": parent["run_id"]})).json()
    await client.post(f"/api/v1/runs/{made['run_id']}/complete", json={"stop_class": "clean"})
    await client.post("/api/v1/runs", json={"question": "?"})

    async def ids(**query):
        return [run["run_id"] for run in (await client.get("/api/v1/runs", params=query)).json()["runs"]]

    assert await ids(status="completed") == [made["run_id"]]
    assert await ids(kind="external", status="running,queued") == [parent["run_id"]]
    assert await ids(mode="advice") == [made["run_id"]]
    assert await ids(parent_run_id=parent["run_id"]) == [made["run_id"]]
    assert await ids(repo="demo") == [made["run_id"], parent["run_id"]]
    assert await ids(created_before=made["created_at"]) == [parent["run_id"]]
    assert made["run_id"] in await ids(created_after=made["created_at"])


@pytest.mark.parametrize(
    "query",
    [
        {"status": "done"},
        {"kind": "job"},
        {"mode": "fast"},
        {"limit": 101},
        {"limit": 0},
        {"created_after": "today"},
    ],
)
async def test_a_list_refuses_what_it_does_not_know(client, query):
    answer = await client.get("/api/v1/runs", params=query)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR")
