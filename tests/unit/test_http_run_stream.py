"""A run's log as server-sent events, over HTTP (runs-api.md 4.1)."""

from __future__ import annotations

import json

import pytest
from tests.unit.runs_over_http import EXTERNAL, draft

PATHS = ("/api/v1/runs", "/api/v1/runtime/runs")


@pytest.fixture
async def ended(client):
    """The id of a run that has ended, with five events of its own."""
    run_id = (await client.post("/api/v1/runs", json=EXTERNAL)).json()["run_id"]
    events = [draft(f"k{n}", payload={"summary": "a\nb\r\u2028ü😀"}) for n in range(5)]
    await client.post(f"/api/v1/runs/{run_id}/events", json={"events": events})
    await client.post(f"/api/v1/runs/{run_id}/complete", json={"stop_class": "clean"})
    return run_id


async def stored(client, run_id):
    page = await client.get(f"/api/v1/runs/{run_id}/events/list", params={"limit": 500})
    inner = page.content.split(b'"events":[', 1)[1].split(b'],"next_after_event_id"', 1)[0]
    return page.json()["events"], inner


def frames(content):
    return [frame for frame in content.split(b"\n\n") if frame]


@pytest.mark.parametrize("path", PATHS)
async def test_a_stream_is_the_stored_lines_and_nothing_else(client, ended, path):
    answer = await client.get(f"{path}/{ended}/events")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-accel-buffering"] == "no"
    assert b"\r" not in answer.content
    retry, *events = frames(answer.content)
    lines, inner = await stored(client, ended)
    assert retry == b"retry: 2000"
    assert [frame.split(b"\n") for frame in events] == [
        [f"id: {line['event_id']}".encode(), frame.split(b"\n")[1]]
        for line, frame in zip(lines, events, strict=True)
    ]
    assert b",".join(frame.split(b"\n")[1].removeprefix(b"data: ") for frame in events) == inner


async def test_a_stream_is_taken_up_after_any_event(client, ended):
    path = f"/api/v1/runs/{ended}/events"
    whole = frames((await client.get(path)).content)[1:]
    for place in range(1, len(whole)):
        seen = f"{ended}-{place}"
        by_header = await client.get(path, headers={"Last-Event-ID": seen}, params={"after_sequence": 1})
        by_id = await client.get(path, params={"after_event_id": seen, "after_sequence": "1"})
        by_sequence = await client.get(path, params={"after_sequence": place})
        assert frames(by_header.content)[1:] == frames(by_id.content)[1:] == whole[place:]
        assert by_sequence.content == by_id.content


async def test_whoever_has_seen_the_end_gets_no_content(client, ended):
    path = f"/api/v1/runs/{ended}/events"
    end = len(frames((await client.get(path)).content)) - 1
    answer = await client.get(path, headers={"Last-Event-ID": f"{ended}-{end}"})
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await client.get(path, params={"tail": "1"})).status_code == 204


async def test_a_filter_never_hides_the_end(client, ended):
    answer = await client.get(f"/api/v1/runs/{ended}/events", params={"types": "tool_call"})
    shown = [json.loads(frame.split(b"data: ")[1]) for frame in frames(answer.content)[1:]]
    assert [event["type"] for event in shown] == ["run_completed"]


async def test_events_are_named_where_that_is_asked_for(client, ended):
    answer = await client.get(f"/api/v1/runs/{ended}/events", params={"named_events": "1"})
    assert frames(answer.content)[1].split(b"\n")[1] == b"event: run_queued"


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("text/event-stream", 200),
        ("*/*", 200),
        ("text/html, */*;q=0.1", 200),
        ("application/json", 406),
        ("text/event-stream;q=0", 406),
    ],
)
async def test_a_reader_that_takes_no_stream_gets_none(client, ended, accept, status):
    answer = await client.get(f"/api/v1/runs/{ended}/events", headers={"Accept": accept})
    assert answer.status_code == status
    if status == 406:
        assert answer.json()["error"]["code"] == "NOT_ACCEPTABLE"


@pytest.mark.parametrize("seen", ["nonsense", "other-1", "{run}-99", "{run}--1", "{run}-01"])
async def test_a_place_that_is_none_is_refused_before_the_stream(client, ended, seen):
    headers = {"Last-Event-ID": seen.format(run=ended)}
    answer = await client.get(f"/api/v1/runs/{ended}/events", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "CURSOR_INVALID")


async def ticket_for(client, run_id, purpose="events"):
    answer = await client.post(f"/api/v1/runs/{run_id}/stream-tickets", json={"purpose": purpose})
    assert answer.status_code == 201
    return answer.json()["ticket"]


async def test_a_ticket_reads_its_runs_events_and_nothing_else(services, client, open_client, ended, clock):
    other = (await client.post("/api/v1/runs", json=EXTERNAL)).json()["run_id"]
    ticket = await ticket_for(client, ended)
    async with open_client(services, token=None) as browser:
        for path in PATHS:
            answer = await browser.get(f"{path}/{ended}/events", params={"ticket": ticket})
            assert answer.status_code == 200
        for refused in (
            f"/api/v1/runs/{other}/events",
            f"/api/v1/runs/{ended}/events/list",
            f"/api/v1/runs/{ended}",
        ):
            answer = await browser.get(refused, params={"ticket": ticket})
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "AUTH_REQUIRED")
        clock.advance(600)
        late = await browser.get(f"/api/v1/runs/{ended}/events", params={"ticket": ticket})
        assert late.status_code == 401


@pytest.mark.parametrize("place", [0, 10, -1])
async def test_a_ticket_that_was_changed_counts_as_a_failed_token(
    services, client, open_client, ended, place
):
    ticket = await ticket_for(client, ended)
    changed = list(ticket)
    changed[place] = "A" if changed[place] != "A" else "B"
    async with open_client(services, token=None, ip="192.0.2.77") as browser:
        for _ in range(10):
            answer = await browser.get(f"/api/v1/runs/{ended}/events", params={"ticket": "".join(changed)})
            assert answer.status_code == 401
        locked = await browser.get(f"/api/v1/runs/{ended}/events", params={"ticket": "".join(changed)})
        assert locked.json()["error"]["code"] == "AUTH_LOCKED_OUT"


async def test_a_ticket_for_the_terminal_reads_no_events(services, client, open_client, ended):
    ticket = await ticket_for(client, ended, "terminal")
    async with open_client(services, token=None) as browser:
        answer = await browser.get(f"/api/v1/runs/{ended}/events", params={"ticket": ticket})
    assert answer.status_code == 401


async def test_a_token_is_never_taken_from_the_address(services, client, open_client, ended):
    token = client.headers["Authorization"].removeprefix("Bearer ")
    async with open_client(services, token=None) as browser:
        answer = await browser.get(f"/api/v1/runs/{ended}/events", params={"ticket": token})
    assert answer.status_code == 401


async def test_a_stream_gives_its_place_back(build_services, open_client):
    services = build_services(streams_per_token=1)
    async with open_client(services) as client:
        run_id = (await client.post("/api/v1/runs", json=EXTERNAL)).json()["run_id"]
        await client.post(f"/api/v1/runs/{run_id}/complete", json={"stop_class": "clean"})
        for _ in range(3):
            assert (await client.get(f"/api/v1/runs/{run_id}/events")).status_code == 200


async def test_no_caller_has_more_streams_than_it_may(build_services, open_client):
    services = build_services(streams_per_token=0)
    async with open_client(services) as client:
        run_id = (await client.post("/api/v1/runs", json=EXTERNAL)).json()["run_id"]
        answer = await client.get(f"/api/v1/runs/{run_id}/events")
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "TOO_MANY_STREAMS")
    assert answer.headers["retry-after"] == "1"
