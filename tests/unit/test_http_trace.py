"""The trace over HTTP (jobs-api.md 9.1; acceptance 11, 24)."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from rune_common.domain.events import EventDraft
from rune_common.domain.runs import RunState
from rune_common.http.event_stream import EventStream, frames, web_json
from rune_common.http.gateway_context import GatewayContext
from rune_common.usecases.change_run import Proposal, change_run
from rune_common.usecases.follow_run import Mark

PATHS = ("/v1/runs/{}/trace", "/api/v1/runs/{}/trace")


async def submit(client):
    answer = await client.post("/v1/jobs/agentic-agent", json={"question": "why?"})
    return answer.json()["job_id"]


def append(services, run_id, *messages, end=False, tenant="default"):
    drafts = [
        EventDraft("run_progress", {"summary": each, "span": {"name": "agent.ask", "status": "ok"}})
        for each in messages
    ]
    if end:
        span = {"name": "job.succeeded", "status": "ok"}
        drafts.append(EventDraft("run_completed", {"summary": "job completed", "span": span}))

    def decide(run):
        return Proposal(replace(run, state=RunState.SUCCEEDED) if end else run, drafts)

    change_run(tenant, run_id, decide, runs=services.runs, clock=services.clock, redactor=services.redactor)


def last_of(services, run_id):
    """The sequence of the newest event."""
    return services.runs.get("default", run_id).head.sequence


def parsed(text):
    """The frames of a stream: comments as text, everything else as a dict of its fields."""
    blocks = text.removesuffix("\n\n").split("\n\n")
    return [
        block if block.startswith(":") else dict(line.split(": ", 1) for line in block.splitlines())
        for block in blocks
    ]


@pytest.mark.parametrize("path", PATHS)
async def test_a_trace_tells_every_event_and_the_end(client, services, path):
    run_id = await submit(client)
    append(services, run_id, "asked", end=True)
    answer = await client.get(path.format(run_id))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert (answer.headers["cache-control"], answer.headers["x-accel-buffering"]) == ("no-store", "no")
    assert answer.text.startswith("retry: 2000\n\n")
    assert "\r" not in answer.text
    first, *events, end = parsed(answer.text)
    assert first == {"retry": "2000"}
    assert {each["event"] for each in events} == {"log"}
    last = last_of(services, run_id)
    assert [int(each["id"]) for each in events] == list(range(1, last + 1))
    listed = (await client.get(f"/v1/jobs/{run_id}/events")).json()["events"]
    assert [json.loads(each["data"]) for each in events] == [{"id": each["seq"], **each} for each in listed]
    assert end == {"id": str(last), "retry": "86400000", "event": "end", "data": "{}"}


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"Last-Event-ID": "{known}"}, ""),
        ({}, "?last_event_id={known}"),
        ({}, "?after={known}"),
        ({"Last-Event-ID": "{known}"}, "?after=0"),
        ({}, "?last_event_id={known}&after=0"),
    ],
)
async def test_a_trace_goes_on_after_what_its_reader_knows(client, services, headers, query):
    run_id = await submit(client)
    append(services, run_id, "known")
    known = last_of(services, run_id)
    append(services, run_id, "new", end=True)
    answer = await client.get(
        f"/v1/runs/{run_id}/trace{query.format(known=known)}",
        headers={name: value.format(known=known) for name, value in headers.items()},
    )
    assert [int(each["id"]) - known for each in parsed(answer.text)[1:]] == [1, 2, 2]


async def test_a_reader_that_knows_the_end_is_told_that_nothing_is_left(client, services):
    run_id = await submit(client)
    append(services, run_id, end=True)
    for place in (last_of(services, run_id), 999):
        answer = await client.get(f"/v1/runs/{run_id}/trace", headers={"Last-Event-ID": str(place)})
        assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("place", ["x", "-1", "1.5", "0x1", "9" * 16, "99"])
async def test_a_place_that_the_log_does_not_have_is_refused(client, place):
    run_id = await submit(client)
    answer = await client.get(f"/v1/runs/{run_id}/trace", headers={"Last-Event-ID": place})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


async def test_what_a_page_would_take_for_markup_is_escaped(client, services):
    run_id = await submit(client)
    append(services, run_id, "<b>&\u2028\u2029 ü", end=True)
    text = (await client.get(f"/v1/runs/{run_id}/trace")).text
    assert not set("<>&\u2028\u2029") & set(text)
    assert "ü" in text
    assert json.loads(parsed(text)[-3]["data"])["message"] == "<b>&\u2028\u2029 ü"
    assert web_json({"a": "</script>"}) == '{"a":"\\u003c/script\\u003e"}'


@pytest.mark.parametrize("path", PATHS)
async def test_another_tenants_trace_looks_like_an_unknown_one(client, client_b, path):
    run_id = await submit(client)
    headers = {"X-Request-Id": "same"}
    foreign = await client_b.get(path.format(run_id), headers=headers)
    unknown = await client_b.get(path.format("no-such-run"), headers=headers)
    assert (foreign.status_code, foreign.content) == (404, unknown.content)
    assert foreign.json()["error"] == "job not found"


async def test_a_stream_has_no_head(client):
    run_id = await submit(client)
    answer = await client.head(f"/v1/runs/{run_id}/trace")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, OPTIONS")


async def test_silence_is_a_comment_and_a_window_ends_without_an_end():
    async def followed():
        yield Mark.SILENT
        yield Mark.WINDOW_CLOSED

    written = [each async for each in frames(followed(), str.encode)]
    assert written == [b"retry: 2000\n\n", b": keep-alive\n\n"]


async def test_the_source_is_closed_when_its_reader_goes_away():
    closed = []

    async def source():
        try:
            yield b"x"
            yield b"y"
        finally:
            closed.append(True)

    async def send(message):
        if message.get("body"):
            raise ConnectionError

    with pytest.raises(ConnectionError):
        await EventStream(source()).stream_response(send)
    assert closed == [True]


@pytest.mark.parametrize(
    ("context", "client"),
    [
        (b'{"identity": {"sourceIp": "203.0.113.9"}}', "203.0.113.9"),
        (b'{"identity": {"sourceIp": 7}}', "unknown"),
        (b"[]", "unknown"),
        (b"{", "unknown"),
        (None, "unknown"),
    ],
)
async def test_behind_the_adapter_the_client_is_the_gateways(context, client):
    seen = []

    async def app(scope, receive, send):
        seen.append(scope)

    headers = [(b"accept", b"*/*"), (b"x-amzn-lambda-context", b"{}")]
    headers += [] if context is None else [(b"x-amzn-request-context", context)]
    await GatewayContext(app)({"type": "http", "headers": headers, "client": ("127.0.0.1", 1)}, None, None)
    assert seen[0]["client"][0] == client
    assert seen[0]["headers"] == [(b"accept", b"*/*")]
