"""The Runtime Runs API on the local server (runs-api.md 18: 2 to 5, 7 to 9, 11, 13 to 16)."""

from __future__ import annotations

import json
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from tests.e2e.local_server import LocalServer, eventually
from tests.e2e.runs_client import EXTERNAL, Runs, draft, streaming

from rune_common.domain.chain import verify_chain
from rune_common.domain.fold import fold

TOKEN_A = "a" * 40
TOKEN_B = "b" * 40
TOKEN_C = "c" * 40
PREFIXES = ("/api/v1/runs", "/api/v1/runtime/runs")


@pytest.fixture(scope="module")
def server_environment() -> dict[str, str]:
    return {
        "RUNE_API_AUTH_DISABLED": "0",
        "RUNE_API_TOKENS": f"default:{TOKEN_A},default:{TOKEN_B},teamc:{TOKEN_C}",
        "RUNE_BACKEND_URL": "http://127.0.0.1:9",
    }


@pytest.fixture(params=PREFIXES)
def runs(server: LocalServer, request: pytest.FixtureRequest) -> Runs:
    return Runs(server.url, TOKEN_A, request.param)


def bearer(token: str = TOKEN_A) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_a_clients_run_runs_at_once_and_ends_with_what_it_told(runs: Runs) -> None:
    status = runs.create()
    assert (status["kind"], status["status"]) == ("external", "running")
    told = {
        "exit_reason": "blocking_findings",
        "stop_class": "BLOCKING_FINDINGS",
        "summary": {"findings": {"P0": 0, "P1": 2, "P2": 1, "P3": 0, "total": 3, "blocking": True}},
    }
    ended = runs.post(status["run_id"], "complete", told).json()
    assert (ended["status"], ended["stop_class"]) == ("completed", "blocking_findings")
    assert ended["findings_summary"]["P1"] == 2


def test_unknown_fields_are_named_and_nothing_redirects(runs: Runs) -> None:
    answer = runs.http.post(f"{runs.prefix}/", json={**EXTERNAL, "tulip": 1})
    assert (answer.status_code, answer.headers["rune-ignored-fields"]) == (201, "tulip")
    missing = runs.http.post(runs.prefix, json={})
    assert (missing.status_code, missing.json()["error"]["details"]["fields"][0]["path"]) == (400, "kind")
    large = runs.http.post(runs.prefix, content=b"{" + b" " * (10 * 1024 * 1024))
    assert (large.status_code, large.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert runs.http.get(f"{runs.prefix}/").status_code == 200


def test_who_may_not_know_a_run_is_told_of_none(server: LocalServer, runs: Runs) -> None:
    run_id = runs.create()["run_id"]
    assert httpx.get(f"{server.url}{runs.prefix}/{run_id}").status_code == 401
    foreign = Runs(server.url, TOKEN_C, runs.prefix).get(run_id)
    unknown = runs.get("0" * 36)
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.json()["error"].keys() == unknown.json()["error"].keys()
    assert Runs(server.url, TOKEN_B, runs.prefix).get(run_id).status_code == 200


def test_one_key_makes_one_run_however_often_it_is_sent_at_once(runs: Runs) -> None:
    key = {"Idempotency-Key": f"key-{runs.prefix}"}

    def create(_: int) -> httpx.Response:
        return runs.http.post(runs.prefix, json=EXTERNAL, headers=key)

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(create, range(20)))
    made = [answer for answer in answers if answer.status_code == 201]
    assert len({answer.json()["run_id"] for answer in made}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in made) == 1
    assert {answer.status_code for answer in answers} <= {201, 409}
    other = runs.http.post(runs.prefix, json={**EXTERNAL, "repo": "x"}, headers=key)
    assert other.status_code == 422


def test_sixteen_clients_append_at_once_without_a_gap(runs: Runs) -> None:
    run_id = runs.create()["run_id"]

    def append(client: int) -> list[int]:
        return [runs.append(run_id, draft(f"{client}-{n}"))["last_sequence"] for n in range(25)]

    with ThreadPoolExecutor(16) as pool:
        places = [place for found in pool.map(append, range(16)) for place in found]
    assert sorted(places) == list(range(3, 403))
    assert verify_chain("default", run_id, runs.lines(run_id)) == []
    again = runs.append(run_id, *(draft(f"3-{n}") for n in range(25)))
    assert (again["appended"], again["duplicates"]) == (0, 25)
    changed = runs.post(run_id, "events", draft("3-7", duration_ms=1))
    assert (changed.status_code, changed.json()["error"]["code"]) == (409, "PRODUCER_KEY_CONFLICT")
    mixed = runs.append(run_id, draft("0-0"), draft("fresh"))
    assert [each["duplicate"] for each in mixed["events"]] == [True, False]


def long_run(runs: Runs, events: int = 60) -> str:
    """The id of a run that has ended, with events that are hard to pass on unchanged."""
    run_id = runs.create()["run_id"]
    dice = random.Random(7)
    drafts = [
        draft(
            f"k{n}",
            payload={"summary": 'line\nline\r\n\u2028ü😀\u0000"\\'.replace("\u0000", ""), "n": dice.random()},
            usage={"input_tokens": n, "output_tokens": 1, "llm_calls": 1, "cost_usd": 0.001 * n},
        )
        for n in range(events)
    ]
    drafts.append(draft("stage", "stage_changed", payload={"stage": "REVIEW"}))
    drafts.append(
        draft("found", "finding_opened", payload={"finding": {"fingerprint": "f", "severity": "P0"}})
    )
    for start in range(0, len(drafts), 40):
        runs.append(run_id, *drafts[start : start + 40])
    assert runs.post(run_id, "complete", {"stop_class": "clean"}).status_code == 200
    return run_id


def test_a_log_is_the_same_for_every_page_size_and_folds_to_the_status(runs: Runs) -> None:
    run_id = long_run(runs)
    lines = runs.lines(run_id, limit=1)
    assert lines == runs.lines(run_id, limit=200)
    events = [json.loads(line) for line in lines]
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["type"] == "run_completed"
    status = runs.get(run_id).json()
    assert status["total_events"] == len(events)
    del status["links"]
    assert status == fold(events).document()
    assert status["usage"]["token_usage"] == sum(event["token_usage"] for event in events)
    assert status["current_stage"] == "REVIEW"


def test_a_waiting_reader_hears_of_an_event_within_two_seconds(runs: Runs) -> None:
    run_id = runs.create()["run_id"]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(runs.get, run_id, "/events/list", after_sequence=2, wait_seconds=10)
        eventually(lambda: waiting.running(), "the reader to wait")
        time.sleep(0.3)
        runs.append(run_id, draft("new"))
        page = waiting.result(timeout=2).json()
    assert [event["producer_key"] for event in page["events"]] == ["new"]


def test_a_stream_is_made_of_the_stored_lines_alone(server: LocalServer, runs: Runs) -> None:
    run_id = long_run(runs)
    lines = runs.lines(run_id)
    with streaming(server.port, f"{runs.prefix}/{run_id}/events", **bearer()) as stream:
        assert stream.status == 200
        assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
        first, *frames = stream.frames()
    assert first == b"retry: 2000"
    expected = [b"id: %s-%d\ndata: %s" % (run_id.encode(), n, line) for n, line in enumerate(lines, start=1)]
    assert frames == expected


def test_silence_is_broken_every_four_seconds_by_a_comment(server: LocalServer) -> None:
    runs = Runs(server.url, TOKEN_A)
    run_id = runs.create()["run_id"]
    with streaming(server.port, f"{runs.prefix}/{run_id}/events?tail=1", **bearer()) as stream:
        frames = stream.frames()
        assert next(frames) == b"retry: 2000"
        began = time.monotonic()
        assert next(frames) == b": keep-alive"
        assert time.monotonic() - began < 5
        runs.append(run_id, draft("k"))
        assert next(frames).startswith(f"id: {run_id}-3\n".encode())


def test_a_stream_that_is_cut_after_any_frame_is_taken_up_without_loss(
    server: LocalServer, runs: Runs
) -> None:
    run_id = runs.create()["run_id"]
    writer = threading.Thread(target=_tell_slowly, args=(runs, run_id, 30))
    writer.start()
    found: list[bytes] = []
    cut = 1
    while True:
        path = f"{runs.prefix}/{run_id}/events"
        seen = f"{run_id}-{len(found)}"
        by_header = cut % 2 == 0
        headers = bearer() | ({"Last-Event-ID": seen} if by_header and found else {})
        query = f"?after_event_id={seen}" if not by_header and found else ""
        with streaming(server.port, path + query, **headers) as stream:
            if stream.status == 204:
                break
            for frame in stream.frames():
                if frame.startswith(b"id: "):
                    found.append(frame.split(b"\ndata: ", 1)[1])
                    if len(found) % cut == 0:
                        break
        cut = cut % 5 + 1
    writer.join()
    assert found == runs.lines(run_id)


def _tell_slowly(runs: Runs, run_id: str, events: int) -> None:
    client = Runs(str(runs.http.base_url), TOKEN_A, runs.prefix)
    for number in range(events):
        client.append(run_id, draft(f"k{number}"))
        time.sleep(0.02)
    client.post(run_id, "complete", {"stop_class": "clean"})


def test_a_filter_keeps_the_end_and_a_reader_of_json_gets_no_stream(server: LocalServer, runs: Runs) -> None:
    run_id = long_run(runs, events=3)
    path = f"{runs.prefix}/{run_id}/events"
    with streaming(server.port, f"{path}?types=tool_call", **bearer()) as stream:
        _, only = stream.frames()
    assert json.loads(only.split(b"\ndata: ")[1])["type"] == "run_completed"
    refused = runs.http.get(path, headers={"Accept": "application/json"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (406, "NOT_ACCEPTABLE")


def test_nothing_that_is_posted_changes_a_run_that_has_ended(runs: Runs) -> None:
    run_id = long_run(runs, events=3)
    before = runs.lines(run_id)
    bodies = {"events": draft("late"), "complete": {"stop_class": "x", "exit_reason": "other"}, "cancel": {}}
    for what, body in bodies.items():
        runs.post(run_id, what, body)
    assert runs.lines(run_id) == before


def test_a_browser_follows_with_a_ticket_until_the_end(server: LocalServer, runs: Runs) -> None:
    run_id = long_run(runs, events=3)
    ticket = runs.post(run_id, "stream-tickets", {"purpose": "events"}).json()["ticket"]
    path = f"{runs.prefix}/{run_id}/events?ticket={ticket}"
    with streaming(server.port, path) as stream:
        frames = list(stream.frames())
    last = frames[-1].split(b"\n")[0].removeprefix(b"id: ").decode()
    with streaming(server.port, path, **{"Last-Event-ID": last}) as stream:
        assert stream.status == 204


def test_what_was_appended_survives_a_kill(server: LocalServer) -> None:
    runs = Runs(server.url, TOKEN_A)
    run_id = runs.create()["run_id"]
    for number in range(20):
        runs.append(run_id, draft(f"k{number}"))
    server.kill()
    server.start()
    again = Runs(server.url, TOKEN_A)
    assert again.append(run_id, draft("k19"))["appended"] == 0
    assert again.get(run_id).json()["status"] == "running"
    assert len(again.lines(run_id)) == 22
    assert verify_chain("default", run_id, again.lines(run_id)) == []
