"""The metrics summary over HTTP, and what feeds it (jobs-api.md 11; acceptance 11)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rune_common.domain.events import EventDraft, EventUsage
from rune_common.tasks import on_event_appended
from rune_common.tasks.stream import consume_events
from rune_common.usecases.change_run import Proposal, change_run
from rune_common.usecases.count_events import Appended

SUMMARY = "/v1/metrics/summary"


async def submit(client):
    answer = await client.post("/v1/jobs/agentic-agent", json={"question": "why?"})
    return answer.json()["job_id"]


def append(services, run_id, *, ms=0.0, status="ok", tenant="default", usage=None, **fields):
    span = {"name": "agent.ask", "status": status, "labels": {}}
    draft = EventDraft(
        "run_progress", {"summary": "asked", "span": span}, duration_ms=ms, usage=usage or EventUsage()
    )
    change_run(
        tenant,
        run_id,
        lambda run: Proposal(replace(run, **fields), [draft]),
        runs=services.runs,
        clock=services.clock,
        redactor=services.redactor,
    )


def deliver(services, *run_ids, tenant="default"):
    """What the stream does with the logs of these runs."""
    appended = [
        Appended(tenant, run_id, event)
        for run_id in run_ids
        for event in services.runs.events(tenant, run_id).events
    ]
    on_event_appended.consume(appended, services)


async def test_events_are_aggregated_by_name_and_rounded(client, services):
    first, second = await submit(client), await submit(client)
    append(services, first, ms=10.04)
    append(services, second, ms=20.07, status="error")
    deliver(services, first, second)
    deliver(services, first)
    body = (await client.get(SUMMARY)).json()
    names = [each["event"] for each in body["events"]]
    assert names == sorted(names)
    assert next(each for each in body["events"] if each["event"] == "agent.ask") == {
        "event": "agent.ask",
        "total": 2,
        "ok": 1,
        "error": 1,
        "avg_ms": 15.1,
        "min_ms": 10.0,
        "max_ms": 20.1,
        "job_id": second,
        "status": "error",
        "recorded_at": 1_760_000_000.0,
        "duration_ms": 20.1,
    }


async def test_what_was_stored_before_the_stream_was_read_is_counted_too(client, services):
    run_id = await submit(client)
    append(services, run_id, ms=1)
    newest = services.runs.events("default", run_id).events[-1]
    for _ in range(2):
        on_event_appended.consume([Appended("default", run_id, newest)], services)
    counted = {each["event"]: each["total"] for each in (await client.get(SUMMARY)).json()["events"]}
    assert (counted["job.queued"], counted["agent.ask"]) == (1, 1)


async def test_runs_are_the_newest_jobs(client, services, clock):
    first, second = await submit(client), await submit(client)
    usage = EventUsage(llm_calls=1, cost_micro_usd=1_500)
    append(services, first, started_at=clock(), finished_at=clock() + 2_000, usage=usage, score=87.5)
    runs = (await client.get(SUMMARY)).json()["runs"]
    assert [each["job_id"] for each in runs] == [second, first]
    assert runs[1] == {
        "job_id": first,
        "kind": "agentic-agent",
        "status": "queued",
        "recorded_at": 1_760_000_002.0,
        "duration_ms": 2_000.0,
        "model": "llama3.1:8b",
        "cost_usd": 0.0015,
        "score": 87.5,
    }
    assert (runs[0]["cost_usd"], runs[0]["unpriced"], runs[0]["duration_ms"]) == (None, True, 0)


async def test_one_job_has_its_own_summary(client, services):
    first, second = await submit(client), await submit(client)
    for run_id in (first, second, second):
        append(services, run_id, ms=1)
    deliver(services, first, second)
    body = (await client.get(SUMMARY, params={"job_id": second})).json()
    assert [each["job_id"] for each in body["runs"]] == [second]
    assert next(each for each in body["events"] if each["event"] == "agent.ask")["total"] == 2


async def test_days_outside_the_window_do_not_count(client, services, clock):
    old = await submit(client)
    append(services, old, ms=1)
    deliver(services, old)
    clock.advance(86_400)
    assert (await client.get(SUMMARY, params={"window_days": 2})).json()["events"]
    today = (await client.get(SUMMARY, params={"window_days": 1})).json()
    assert today == {"events": [], "runs": []}


@pytest.mark.parametrize("days", ["0", "91", "x"])
async def test_a_window_is_one_to_ninety_days(client, days):
    answer = await client.get(SUMMARY, params={"window_days": days})
    assert (answer.status_code, answer.json()["details"][0]["field"]) == (400, "window_days")


async def test_another_tenant_sees_nothing_of_it(client, client_b, services):
    run_id = await submit(client)
    deliver(services, run_id)
    assert (await client_b.get(SUMMARY)).json() == {"events": [], "runs": []}
    headers = {"X-Request-Id": "same"}
    foreign = await client_b.get(SUMMARY, params={"job_id": run_id}, headers=headers)
    unknown = await client_b.get(SUMMARY, params={"job_id": "no-such-job"}, headers=headers)
    assert (foreign.status_code, foreign.content) == (404, unknown.content)


def test_a_batch_that_fails_is_delivered_again_as_a_whole():
    event = {"pk": {"S": "T#t#R#r"}, "sk": {"S": "EVT#1"}, "type": {"S": "x"}, "line": {"S": "{}"}}
    batch = {
        "Records": [
            {"eventName": "INSERT", "dynamodb": {"NewImage": event, "SequenceNumber": str(number)}}
            for number in (5, 6)
        ]
    }
    seen = []
    assert consume_events(batch, seen.extend) == {"batchItemFailures": []}
    assert len(seen) == 2
    failed = consume_events(batch, lambda appended: 1 / 0)
    assert failed == {"batchItemFailures": [{"itemIdentifier": "5"}]}
    assert consume_events({"Records": []}, seen.extend) == {"batchItemFailures": []}
