"""Reading, listing and cancelling jobs over HTTP (jobs-api.md 4.5 to 4.9; acceptance 7, 11, 15, 30)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rune_common.domain.runs import RunState
from rune_common.usecases.change_run import Proposal, change_run

SUBMIT = "/v1/jobs/agentic-agent"


async def submit(client, question="why?"):
    answer = await client.post(SUBMIT, json={"question": question})
    return answer.json()["job_id"]


def put(services, job_id, tenant="default", result=None, **changes):
    """Set fields of a run, as its execution would."""
    change_run(
        tenant,
        job_id,
        lambda run: Proposal(replace(run, **changes), result=result),
        runs=services.runs,
        clock=services.clock,
        redactor=services.redactor,
    )


async def test_a_running_job_has_neither_result_nor_error(client, services, clock):
    job_id = await submit(client)
    clock.advance(1.5)
    put(services, job_id, state=RunState.RUNNING, started_at=clock(), phase="ask", message="asking agent")
    job = (await client.get(f"/v1/jobs/{job_id}")).json()
    assert job == {
        "job_id": job_id,
        "run_id": job_id,
        "tenant_id": "default",
        "kind": "agentic-agent",
        "status": "running",
        "message": "asking agent",
        "created_at": 1_760_000_000.0,
        "updated_at": 1_760_000_001.5,
        "started_at": 1_760_000_001.5,
        "progress": {"phase": "ask"},
    }


async def test_an_ended_job_shows_its_result_and_error(client, services):
    job_id = await submit(client)
    put(
        services,
        job_id,
        state=RunState.FAILED,
        error="Agent error: driver failed",
        error_code="AGENT_ERROR",
        message="Agent error: driver failed",
        has_result=True,
        result={"answer": "partial"},
    )
    job = (await client.get(f"/v1/jobs/{job_id}")).json()
    assert job["result"] == {"answer": "partial"}
    assert (job["error"], job["error_code"]) == ("Agent error: driver failed", "driver_error")
    assert job["error"] == job["message"]


@pytest.mark.parametrize(
    "job_id", ["unknown", "01999999-0000-7000-8000-000000000000", "a b", "%00", "x" * 65, "ä"]
)
async def test_a_malformed_id_is_an_unknown_id(client, job_id):
    for method, path in (
        ("GET", f"/v1/jobs/{job_id}"),
        ("DELETE", f"/v1/jobs/{job_id}"),
        ("POST", f"/v1/jobs/{job_id}/cancel"),
        ("GET", f"/v1/jobs/{job_id}/events"),
    ):
        answer = await client.request(method, path)
        assert (answer.status_code, answer.json()["error"]) == (404, "job not found")


async def test_another_tenants_job_looks_like_an_unknown_one(client, client_b):
    job_id = await submit(client)
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/events")):
        headers = {"X-Request-Id": "same"}
        foreign = await client_b.request(method, f"/v1/jobs/{job_id}{path}", headers=headers)
        unknown = await client_b.request(method, f"/v1/jobs/no-such-job{path}", headers=headers)
        assert (foreign.status_code, foreign.content) == (404, unknown.content)
    assert (await client_b.get("/v1/jobs")).json() == {"jobs": [], "next_cursor": None}
    assert (await client.get(f"/v1/jobs/{job_id}")).json()["status"] == "queued"


async def test_following_cursors_visits_every_job_once(client):
    made = [await submit(client) for _ in range(5)]
    for order, expected in (("desc", made[::-1]), ("asc", made)):
        seen, cursor, pages = [], None, 0
        while pages == 0 or cursor:
            params = {"limit": 2, "order": order} | ({"cursor": cursor} if cursor else {})
            page = (await client.get("/v1/jobs", params=params)).json()
            seen += [job["job_id"] for job in page["jobs"]]
            cursor, pages = page["next_cursor"], pages + 1
        assert (seen, pages) == (expected, 3)


async def test_a_changed_foreign_or_mismatched_cursor_is_invalid(client, client_b):
    for _ in range(3):
        await submit(client)
    cursor = (await client.get("/v1/jobs", params={"limit": 2})).json()["next_cursor"]
    changed = [
        cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :] for at in range(len(cursor))
    ]
    for bad in [*changed, cursor + "A", cursor[:-1], "!", "ä", "A" * 22]:
        answer = await client.get("/v1/jobs", params={"cursor": bad})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")
        assert answer.json()["error"] == "invalid cursor"
    assert (await client_b.get("/v1/jobs", params={"cursor": cursor})).status_code == 400
    for mismatch in ({"status": "queued"}, {"kind": "benchmark"}, {"order": "asc"}, {"created_after": 1}):
        answer = await client.get("/v1/jobs", params={"cursor": cursor} | mismatch)
        assert answer.json()["code"] == "invalid_cursor"
    assert (await client.get("/v1/jobs", params={"cursor": cursor, "limit": 1})).status_code == 200


async def test_filters_choose_by_status_kind_and_time(client, services, clock):
    first = await submit(client)
    clock.advance(10)
    second = await submit(client)
    put(services, first, state=RunState.CANCELLING)

    async def listed(**params):
        answer = await client.get("/v1/jobs", params=params)
        return [job["job_id"] for job in answer.json()["jobs"]]

    assert await listed(status="running") == [first]
    assert await listed(status="queued,running") == [second, first]
    assert await listed(status="succeeded") == []
    assert await listed(kind="agentic-agent") == [second, first]
    assert await listed(kind="benchmark") == []
    assert await listed(created_after="1760000005") == [second]
    assert await listed(created_before="1760000005.5") == [first]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "201"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"status": "queued,odd"}, "status"),
        ({"kind": "odd"}, "kind"),
        ({"order": "odd"}, "order"),
        ({"created_after": "nan"}, "created_after"),
        ({"created_before": "yesterday"}, "created_before"),
    ],
)
async def test_a_query_that_does_not_fit_names_the_parameter(client, params, field):
    answer = await client.get("/v1/jobs", params=params)
    assert answer.status_code == 400
    assert [each["field"] for each in answer.json()["details"]] == [field]
    assert "odd" not in answer.text
    assert "yesterday" not in answer.text


async def test_results_are_listed_only_when_asked_for(client, services):
    job_id = await submit(client)
    put(services, job_id, state=RunState.SUCCEEDED, has_result=True, result={"answer": "yes"})
    (plain,) = (await client.get("/v1/jobs")).json()["jobs"]
    (full,) = (await client.get("/v1/jobs", params={"include": "result"})).json()["jobs"]
    assert "result" not in plain
    assert full["result"] == {"answer": "yes"}


async def test_a_queued_job_is_cancelled_at_once_and_again_without_effect(client):
    job_id = await submit(client)
    for method, path in (("DELETE", ""), ("POST", "/cancel"), ("DELETE", "")):
        answer = await client.request(method, f"/v1/jobs/{job_id}{path}")
        assert (answer.status_code, answer.json()) == (200, {"job_id": job_id, "status": "cancelled"})
    job = (await client.get(f"/v1/jobs/{job_id}")).json()
    assert (job["status"], job["error"], job["error_code"]) == ("cancelled", "Cancelled by user", "cancelled")
    assert job["message"] == "job cancelled"


@pytest.mark.parametrize("state", [RunState.RUNNING, RunState.AWAITING_APPROVAL])
async def test_a_job_at_work_is_being_cancelled(client, services, state):
    job_id = await submit(client)
    put(services, job_id, state=state)
    for _ in range(2):
        answer = await client.delete(f"/v1/jobs/{job_id}")
        assert (answer.status_code, answer.json()) == (202, {"job_id": job_id, "status": "cancelling"})
    assert (await client.get(f"/v1/jobs/{job_id}")).json()["status"] == "running"


@pytest.mark.parametrize("state", [RunState.SUCCEEDED, RunState.FAILED])
async def test_a_finished_job_cannot_be_cancelled(client, services, state):
    job_id = await submit(client)
    put(services, job_id, state=state)
    answer = await client.delete(f"/v1/jobs/{job_id}")
    assert (answer.status_code, answer.json()["code"]) == (409, "job_not_cancellable")
    assert answer.json()["error"] == "job already finished"


async def test_events_tell_what_happened_in_both_spellings(client, clock):
    job_id = await submit(client)
    clock.advance(2)
    await client.delete(f"/v1/jobs/{job_id}")
    answer = (await client.get(f"/v1/jobs/{job_id}/events")).json()
    assert answer["job_id"] == job_id
    assert answer["next_after"] is None
    names = [event["name"] for event in answer["events"]]
    assert names == ["job.queued", "job.warning", "job.cancel_requested", "job.cancelled"]
    assert answer["events"][0] == {
        "seq": 1,
        "event": "job.queued",
        "name": "job.queued",
        "status": "ok",
        "duration_ms": 0,
        "error_type": None,
        "labels": {"kind": "agentic-agent"},
        "recorded_at": 1_760_000_000.0,
        "timestamp": "2025-10-09T08:53:20.000Z",
        "message": "accepted",
    }


async def test_events_can_be_read_in_pages(client):
    job_id = await submit(client)
    await client.delete(f"/v1/jobs/{job_id}")
    seen, after = [], 0
    while after is not None:
        page = (await client.get(f"/v1/jobs/{job_id}/events", params={"after": after, "limit": 1})).json()
        assert len(page["events"]) == 1
        seen += [event["seq"] for event in page["events"]]
        after = page["next_after"]
    whole = (await client.get(f"/v1/jobs/{job_id}/events")).json()["events"]
    assert seen == [event["seq"] for event in whole]
    assert whole[-1]["name"] == "job.cancelled"


@pytest.mark.parametrize("params", [{"after": -1}, {"limit": 0}, {"limit": 5001}, {"after": "x"}])
async def test_a_page_that_cannot_be_is_refused(client, params):
    job_id = await submit(client)
    assert (await client.get(f"/v1/jobs/{job_id}/events", params=params)).status_code == 400
