"""What becomes of the drafts that clients append (runs-api.md 2.7, 3.1, 5.4)."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.agent_runs import REDACTOR, START
from tests.unit.conftest import START_MS
from tests.unit.runs_over_http import EXTERNAL, draft

from rune_common.domain.errors import InvalidRequest
from rune_common.domain.events import timestamp
from rune_common.domain.external_events import (
    AHEAD_MS,
    BEHIND_MS,
    MAX_OPEN,
    ExternalDraft,
    accepted,
    closing_events,
    draft_time,
)
from rune_common.domain.runs import ReportedWork

SECRET = "ghp_" + "b" * 36


def take(work, type_, **payload):
    asked = ExternalDraft("k", type_, payload, "d" * 64)
    return accepted(asked, work, subject="me", now_ms=START, redactor=REDACTOR, path="events.0")


@pytest.mark.parametrize(
    ("shift", "kept"),
    [(0, True), (AHEAD_MS, True), (AHEAD_MS + 1, False), (-BEHIND_MS, True), (-BEHIND_MS - 1, False)],
)
def test_a_time_that_cannot_be_right_becomes_the_servers(shift, kept):
    assert draft_time(START + shift, START) == (timestamp(START + shift) if kept else None)


CHUNKS = st.lists(
    st.tuples(
        st.sampled_from(["stdout", "stderr"]),
        st.sampled_from(["s1", "s2"]),
        st.one_of(st.text(max_size=40), st.just(f"token {SECRET}"), st.binary(max_size=40)),
    ),
    max_size=12,
)


@given(CHUNKS)
def test_output_is_numbered_without_gaps_and_its_offsets_join(chunks):
    work, joined, numbers = ReportedWork(), {}, []
    for stream, step_id, data in chunks:
        text = isinstance(data, str)
        event, work = take(
            work,
            "terminal_output",
            stream=stream,
            step_id=step_id,
            encoding="utf8" if text else "base64",
            data=data if text else base64.b64encode(data).decode(),
        )
        payload = event.payload
        stored = payload["data"].encode() if text else base64.b64decode(payload["data"])
        place = joined.setdefault((step_id, stream), b"")
        assert payload["offset"] == len(place)
        assert payload["bytes"] == len(stored)
        assert SECRET.encode() not in stored
        joined[step_id, stream] = place + stored
        numbers.append(payload["terminal_seq"])
    assert numbers == list(range(1, len(chunks) + 1))


def test_bytes_that_are_no_text_are_redacted_as_well():
    data = base64.b64encode(b"\xff\xfe " + SECRET.encode() + b" \xff").decode()
    event, _ = take(
        ReportedWork(), "terminal_output", stream="stdout", step_id="s", encoding="base64", data=data
    )
    stored = base64.b64decode(event.payload["data"])
    assert stored == b"\xff\xfe [REDACTED:github_token] \xff"
    assert [each.pointer for each in event.redactions] == ["/data"]


def test_what_is_open_is_what_a_run_has_to_close():
    work = ReportedWork()
    for type_, payload in [
        ("tool_call", {"call_id": "c1", "tool_name": "kubectl"}),
        ("step_started", {"step_id": "s1"}),
        ("terminal_output", {"stream": "stdout", "step_id": "s1", "encoding": "utf8", "data": "x"}),
        ("tool_call", {"call_id": "c2", "tool_name": "bash"}),
        ("tool_result", {"call_id": "c1", "status": "success"}),
        ("tool_result", {"call_id": "unknown", "status": "success"}),
    ]:
        _, work = take(work, type_, **payload)
    assert [event.type for event in closing_events(work)] == ["tool_result", "step_completed"]
    _, work = take(work, "step_completed", step_id="s1", state="succeeded")
    assert (work.steps, work.outputs, work.terminal_seq) == ((), (), 1)
    _, work = take(work, "tool_result", call_id="c2", status="error")
    assert closing_events(work) == []


def test_no_more_may_be_open_than_one_transaction_can_close():
    work = ReportedWork()
    for number in range(MAX_OPEN):
        _, work = take(work, "step_started", step_id=f"s{number}")
    with pytest.raises(InvalidRequest):
        take(work, "step_started", step_id="one-too-many")
    take(work, "step_completed", step_id="s1", state="succeeded")


@pytest.fixture
async def own(client):
    answer = await client.post("/api/v1/runs", json=EXTERNAL)
    return f"/api/v1/runs/{answer.json()['run_id']}/events"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "producer_key"),
        ({"events": []}, "events"),
        ({"events": [draft(str(n)) for n in range(41)]}, "events"),
        ({"events": [draft("k"), 7]}, "events.1.body"),
        (draft(""), "producer_key"),
        (draft("a\tb"), "producer_key"),
        (draft("k" * 129), "producer_key"),
        (draft("k", payload=[]), "payload"),
        (draft("k", payload={"summary": "x" * 301}), "payload.summary"),
        (draft("k", ts="yesterday"), "ts"),
        (draft("k", ts="2026-01-01T00:00:00"), "ts"),
        (draft("k", duration_ms=-1), "duration_ms"),
        (draft("k", stage="scan"), "stage"),
        (draft("k", usage={"input_tokens": -1}), "usage.input_tokens"),
        (draft("k", usage={"unpriced": True, "cost_usd": 1}), "usage.cost_usd"),
        (draft("k", "stage_changed"), "payload.stage"),
        (draft("k", "tool_call", payload={"tool_name": "t"}), "payload.call_id"),
        (draft("k", "step_completed", payload={"step_id": "s", "state": "odd"}), "payload.state"),
        (draft("k", "finding_updated", payload={"finding": {}}), "payload.fingerprint"),
        (
            draft("k", "terminal_output", payload={"stream": "stdout", "step_id": "s", "encoding": "utf8"}),
            "payload.data",
        ),
        (
            draft(
                "k",
                "terminal_output",
                payload={"stream": "stdout", "step_id": "s", "encoding": "utf8", "data": "x" * 8193},
            ),
            "payload.data",
        ),
        (draft("k", payload={"deep": [[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]}), "payload"),
    ],
)
async def test_a_draft_that_does_not_fit_is_named_and_nothing_is_appended(client, own, body, path):
    answer = await client.post(own, json=body)
    assert answer.status_code == 400
    assert path in [
        each["path"].removeprefix("events.0.") for each in answer.json()["error"]["details"]["fields"]
    ]
    assert (await client.get(f"{own}/list")).json()["head_sequence"] == 2


@pytest.mark.parametrize(
    "type_", ["run_completed", "run_queued", "approval_approved", "artifact_added", "odd"]
)
async def test_what_only_the_server_says_is_refused(client, own, type_):
    answer = await client.post(own, json={"events": [draft("a"), draft("b", type_)]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "EVENT_TYPE_NOT_ALLOWED")
    assert (await client.get(f"{own}/list")).json()["head_sequence"] == 2


async def test_a_key_is_one_event_for_good(client, own):
    first = await client.post(own, json={"events": [draft("a"), draft("b"), draft("a")]})
    found = first.json()
    assert (first.status_code, found["appended"], found["duplicates"]) == (201, 2, 1)
    assert [each["sequence"] for each in found["events"]] == [3, 4, 3]
    again = await client.post(own, json=draft("b"))
    assert (again.status_code, again.json()["events"][0]["event_id"]) == (200, found["events"][1]["event_id"])
    other = await client.post(own, json={"events": [draft("c"), draft("b", stage="X")]})
    assert (other.status_code, other.json()["error"]["code"]) == (409, "PRODUCER_KEY_CONFLICT")
    assert (await client.get(f"{own}/list")).json()["head_sequence"] == 4


async def test_two_drafts_of_one_key_in_one_request_are_a_conflict(client, own):
    answer = await client.post(own, json={"events": [draft("a"), draft("a", stage="X")]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "PRODUCER_KEY_CONFLICT")


async def test_an_event_says_what_its_client_told(client, own):
    told = draft(
        "k",
        "tool_call",
        payload={"tool_name": "kubectl", "args": {"password": "hunter2hunter2"}},
        actor="omar",
        actor_detail={"kind": "agent", "id": "omar-1", "model": "m"},
        ts=timestamp(START_MS - 60_000),
        duration_ms=12.5,
        usage={"token_usage": 5, "cost_usd": 0.25, "llm_calls": 1},
        stage="SCAN",
        step_id="s1",
        call_id="c1",
        iteration=2,
        parent_event_id="p-1",
    )
    assert (await client.post(own, json=told)).status_code == 201
    event = (await client.get(f"{own}/list")).json()["events"][-1]
    assert event["actor"] == "omar"
    assert event["actor_detail"] == {"kind": "agent", "id": "omar-1", "model": "m"}
    # Never before the event that it follows.
    assert event["ts"] == timestamp(START_MS)
    assert (event["duration_ms"], event["token_usage"], event["cost_usd"]) == (12.5, 5, 0.25)
    assert (event["stage"], event["step_id"], event["call_id"]) == ("SCAN", "s1", "c1")
    assert (event["iteration"], event["parent_event_id"]) == (2, "p-1")
    assert event["payload"]["call_id"] == "c1"
    assert event["payload"]["args"]["password"] == "[REDACTED:secret_member]"
    assert event["redactions"][0]["pointer"] == "/payload/args/password"


async def test_what_is_too_large_for_the_log_becomes_an_artifact(client, own):
    text = f"{SECRET} " + "x" * 100_000
    assert (await client.post(own, json=draft("k", payload={"text": text}))).status_code == 201
    event = (await client.get(f"{own}/list")).json()["events"][-1]
    part = event["payload"]["text"]
    file = await client.get(own.replace("events", f"artifacts/{part['artifact_id']}"))
    assert SECRET.encode() not in file.content
    assert len(file.content) == part["bytes"]


async def test_too_many_large_parts_are_refused_as_a_whole(client, own):
    drafts = [draft(str(n), payload={"text": "x" * 40_000}) for n in range(17)]
    answer = await client.post(own, json={"events": drafts})
    assert answer.status_code == 400
    assert (await client.get(f"{own}/list")).json()["head_sequence"] == 2
