"""The Runtime Runs API over HTTP: what a run's log, findings and files are (runs-api.md 2.7, 4.2)."""

from __future__ import annotations

import asyncio
import json

import pytest
from tests.unit.runs_over_http import EXTERNAL, PREFIXES, draft, log

from rune_common.domain.chain import verify_chain


@pytest.fixture(params=PREFIXES)
def prefix(request):
    return request.param


@pytest.fixture
async def run_id(client):
    answer = await client.post("/api/v1/runs", json=EXTERNAL)
    assert answer.status_code == 201, answer.text
    return answer.json()["run_id"]


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
