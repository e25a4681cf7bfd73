"""The Runtime Runs API over HTTP: creating, reading, ending runs (runs-api.md 1, 2, 4)."""

from __future__ import annotations

import asyncio
import json

import pytest

from rune_common.domain.access import TokenRecord, token_hash
from rune_common.domain.chain import verify_chain
from rune_common.domain.fold import fold

PREFIXES = ("/api/v1/runs", "/api/v1/runtime/runs")
EXTERNAL = {
    "mode": "edit_gated",
    "runtime_profile": "cli_local",
    "repo": "demo",
    "ref": "main",
    "orchestrator_model": "Jules",
    "subagent_model": "deterministic",
    "budget": {"max_cost_usd": 2.5, "max_runtime_minutes": 10},
    "max_iterations": 1,
}


@pytest.fixture(params=PREFIXES)
def prefix(request):
    return request.param


@pytest.fixture
async def run_id(client):
    answer = await client.post("/api/v1/runs", json=EXTERNAL)
    assert answer.status_code == 201, answer.text
    return answer.json()["run_id"]


def draft(key, type_="run_progress", **members):
    return {"producer_key": key, "type": type_, "payload": {"summary": f"about {key}"}, **members}


async def log(client, run_id, **query):
    """Every stored line, read in pages."""
    lines, after = [], None
    while True:
        params = {**query, **({"after_event_id": after} if after else {})}
        page = (await client.get(f"/api/v1/runs/{run_id}/events/list", params=params)).json()
        lines += page["events"]
        after = page["next_after_event_id"]
        if not page["has_more"]:
            return lines


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


async def test_the_stored_lines_verify_and_are_the_same_for_every_page_size(client, run_id):
    events = [draft(f"k{n}") for n in range(30)]
    await client.post(f"/api/v1/runs/{run_id}/events", json={"events": events})
    await client.post(f"/api/v1/runs/{run_id}/complete", json={"stop_class": "clean"})
    pages = {}
    for limit in (1, 7, 500):
        pages[limit] = b"".join([body async for body in bodies(client, run_id, limit)])
    assert len(set(pages.values())) == 1
    lines = await log(client, run_id)
    status = (await client.get(f"/api/v1/runs/{run_id}")).json()
    assert [line["sequence"] for line in lines] == list(range(1, status["total_events"] + 1))
    assert lines[-1]["type"] == "run_completed"
    raw = [
        json.dumps(line, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode() for line in lines
    ]
    assert verify_chain("default", run_id, raw) == []


async def bodies(client, run_id, limit):
    """The bytes of the `events` of each page."""
    after = None
    while True:
        params = {"limit": limit, **({"after_event_id": after} if after else {})}
        answer = await client.get(f"/api/v1/runs/{run_id}/events/list", params=params)
        inner = answer.content.split(b'"events":[', 1)[1].split(b'],"next_after_event_id"', 1)[0]
        yield inner + b"," if inner else b""
        page = answer.json()
        after = page["next_after_event_id"]
        if not page["has_more"]:
            return


async def test_a_cursor_that_is_no_place_in_this_log_is_refused(client, run_id):
    other = (await client.post("/api/v1/runs", json=EXTERNAL)).json()["run_id"]
    path = f"/api/v1/runs/{run_id}/events/list"
    for query in (
        {"after_event_id": f"{other}-1"},
        {"after_event_id": f"{run_id}-99"},
        {"after_event_id": "nonsense"},
        {"after_sequence": "99"},
        {"after_sequence": "-1"},
    ):
        answer = await client.get(path, params=query)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "CURSOR_INVALID")
    both = await client.get(path, params={"after_event_id": f"{run_id}-1", "after_sequence": "1"})
    assert both.json()["error"]["code"] == "VALIDATION_ERROR"


async def test_an_empty_page_gives_the_cursor_back(client, run_id):
    page = (await client.get(f"/api/v1/runs/{run_id}/events/list", params={"after_sequence": 2})).json()
    assert (page["events"], page["next_after_event_id"]) == ([], f"{run_id}-2")
    assert (page["has_more"], page["terminal"], page["head_event_id"]) == (False, False, f"{run_id}-2")


async def test_a_reader_that_waits_hears_of_a_new_event(client, run_id):
    path = f"/api/v1/runs/{run_id}/events/list"
    waiting = asyncio.create_task(client.get(path, params={"after_sequence": 2, "wait_seconds": 10}))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await client.post(f"/api/v1/runs/{run_id}/events", json=draft("k"))
    page = (await asyncio.wait_for(waiting, 8)).json()
    assert [event["producer_key"] for event in page["events"]] == ["k"]


async def test_a_filter_never_hides_the_end(client, run_id):
    await client.post(f"/api/v1/runs/{run_id}/events", json={"events": [draft(f"k{n}") for n in range(9)]})
    await client.post(f"/api/v1/runs/{run_id}/complete", json={"stop_class": "clean"})
    assert [e["type"] for e in await log(client, run_id, types="tool_call")] == ["run_completed"]
    assert [e["type"] for e in await log(client, run_id, families="tool", limit=1)] == ["run_completed"]
    some = await log(client, run_id, types="run_started,tool_call", limit=1)
    assert [e["type"] for e in some] == ["run_started", "run_completed"]
    unknown = await client.get(f"/api/v1/runs/{run_id}/events/list", params={"families": "tulips"})
    assert unknown.status_code == 400


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


async def test_findings_are_listed_by_state_and_severity(client, run_id):
    findings = [
        draft(f"f{n}", "finding_opened", payload={"finding": {"fingerprint": f"v1:{n}", "severity": f"P{n}"}})
        for n in range(4)
    ]
    findings.append(draft("r", "finding_resolved", payload={"fingerprint": "v1:3", "resolution": "fixed"}))
    await client.post(f"/api/v1/runs/{run_id}/events", json={"events": findings})
    path = f"/api/v1/runs/{run_id}/findings"
    found = (await client.get(path, params={"severity": "P0,P1,P3", "state": "open", "limit": 1})).json()
    assert [each["fingerprint"] for each in found["findings"]] == ["v1:0"]
    assert found["has_more"] is True
    assert found["findings_summary"]["total"] == 3
    fixed = (await client.get(path, params={"state": "fixed"})).json()
    assert [each["fingerprint"] for each in fixed["findings"]] == ["v1:3"]
    assert (await client.get(path, params={"severity": "P9"})).status_code == 400


async def test_a_file_is_stored_without_its_secrets_and_given_back(client, run_id):
    own = f"/api/v1/runs/{run_id}/artifacts"
    secret = "ghp_" + "a" * 36
    added = await client.post(f"{own}?name=scan.log&kind=log", content=f"token {secret}\n".encode())
    entry = added.json()
    assert added.status_code == 201
    assert entry["event_id"] == f"{run_id}-3"
    listed = (await client.get(own)).json()["artifacts"]
    assert listed == [{name: value for name, value in entry.items() if name != "event_id"}]
    file = await client.get(f"{own}/{entry['artifact_id']}")
    assert secret.encode() not in file.content
    assert len(file.content) == entry["bytes"]
    assert file.headers["x-content-type-options"] == "nosniff"
    assert file.headers["content-disposition"].startswith("attachment")
    assert file.headers["repr-digest"].startswith("sha-256=:")
    again = await client.post(f"{own}?name=scan.log&kind=log", content=f"token {secret}\n".encode())
    assert again.json() == entry
    assert (await client.get(f"/api/v1/runs/{run_id}")).json()["artifacts_count"] == 1


async def test_a_file_that_is_not_what_it_says_is_refused(client, run_id):
    own = f"/api/v1/runs/{run_id}/artifacts"
    wrong = await client.post(f"{own}?name=a&kind=log&sha256={'0' * 64}", content=b"x")
    assert wrong.json()["error"]["details"]["fields"][0]["path"] == "sha256"
    assert (await client.post(f"{own}?name=a/b&kind=log", content=b"x")).status_code == 400
    assert (await client.post(f"{own}?name=a&kind=tulip", content=b"x")).status_code == 400
    large = await client.post(f"{own}?name=a&kind=log", content=b"x" * (4 * 1024 * 1024 + 1))
    assert (large.status_code, large.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
    missing = await client.get(f"{own}/a_{'0' * 24}")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "ARTIFACT_NOT_FOUND")
