"""Artifacts, screenshots and interaction over HTTP (jobs-api.md 9.2, 9.3, 10; acceptance 11, 27)."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace

import pytest

from rune_common.domain.approval_errors import ApprovalAlreadyDecided
from rune_common.domain.artifact_events import artifact_added
from rune_common.domain.artifacts import make_artifact
from rune_common.domain.events import EventDraft
from rune_common.domain.interaction import Decision, PendingApproval
from rune_common.domain.payloads import artifact_key
from rune_common.domain.runs import RunState
from rune_common.http.schemas.artifact import attachment
from rune_common.usecases.change_run import Proposal, change_run
from rune_common.usecases.driver_artifacts import PNG
from rune_common.usecases.read_artifacts import Download

PREFIXES = ("audits", "runs")


async def submit(client):
    answer = await client.post("/v1/jobs/agentic-agent", json={"question": "why?"})
    return answer.json()["job_id"]


async def cancelled(client):
    """A job that has ended, with its evidence."""
    job_id = await submit(client)
    assert (await client.delete(f"/v1/jobs/{job_id}")).status_code == 200
    return job_id


def add(services, run_id, *files, end=False):
    drafts = []
    for kind, name, content in files:
        artifact = make_artifact(kind, name, content, now_ms=services.clock())
        services.blobs.put(artifact_key("default", run_id, artifact.artifact_id), content)
        drafts.append(artifact_added(artifact))
    drafts += [EventDraft("run_completed", {"summary": "end"})] if end else []

    def decide(run):
        return Proposal(replace(run, state=RunState.SUCCEEDED) if end else run, drafts)

    change_run(
        "default", run_id, decide, runs=services.runs, clock=services.clock, redactor=services.redactor
    )


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_the_files_of_an_ended_job_are_listed_and_downloaded_exactly(client, prefix):
    job_id = await cancelled(client)
    listed = (await client.get(f"/v1/{prefix}/{job_id}/artifacts")).json()
    kinds = ["log", "run_evidence", "sbom", "slsa_provenance"]
    assert (listed["run_id"], listed["summary"]) == (job_id, {"total_count": 4, "kinds_present": kinds})
    for item in listed["artifacts"]:
        assert item["download_url"] == f"/v1/{prefix}/{job_id}/artifacts/{item['artifact_id']}"
        answer = await client.get(item["download_url"])
        assert answer.status_code == 200
        assert hashlib.sha256(answer.content).hexdigest() == item["sha256"]
        assert answer.headers["content-length"] == str(item["size_bytes"]) == str(len(answer.content))
        assert answer.headers["etag"] == f'"{item["sha256"]}"'
        name = item["name"]
        disposition = f"attachment; filename=\"{name}\"; filename*=UTF-8''{name}"
        assert answer.headers["content-disposition"] == disposition
        assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
        assert answer.headers["x-content-type-options"] == "nosniff"
        expected = "text/plain; charset=utf-8" if item["kind"] == "log" else "application/json"
        assert answer.headers["content-type"] == expected
        head = await client.head(item["download_url"])
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(item["size_bytes"])


async def test_a_job_that_has_no_files_yet_has_an_empty_list(client):
    job_id = await submit(client)
    listed = (await client.get(f"/v1/runs/{job_id}/artifacts")).json()
    assert listed == {
        "run_id": job_id,
        "artifacts": [],
        "summary": {"total_count": 0, "kinds_present": []},
    }


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_what_does_not_exist_and_what_is_another_tenants_look_the_same(client, client_b, prefix):
    job_id = await cancelled(client)
    artifact = (await client.get(f"/v1/{prefix}/{job_id}/artifacts")).json()["artifacts"][0]
    headers = {"X-Request-Id": "same"}
    for rest in ("/artifacts", f"/artifacts/{artifact['artifact_id']}"):
        foreign = await client_b.get(f"/v1/{prefix}/{job_id}{rest}", headers=headers)
        unknown = await client_b.get(f"/v1/{prefix}/no-such-run{rest}", headers=headers)
        assert (foreign.status_code, foreign.content) == (404, unknown.content)
        assert foreign.json()["error"] == "audit run not found"
    missing = await client.get(f"/v1/{prefix}/{job_id}/artifacts/a_none")
    assert (missing.status_code, missing.json()["error"]) == (404, "artifact not found")


def test_a_name_cannot_leave_its_header():
    artifact = replace(make_artifact("other", "x", b"", now_ms=1), name='ü"\r\n\\/;a.txt')
    disposition = attachment(Download(artifact, b"")).headers["content-disposition"]
    assert disposition == "attachment; filename=\"_a.txt\"; filename*=UTF-8''%C3%BCa.txt"


@pytest.mark.parametrize("path", ["/v1/runs/{}/browser-stream", "/api/v1/runs/{}/browser-stream"])
async def test_without_screenshots_there_is_no_browser_stream(client, client_b, path):
    job_id = await cancelled(client)
    answer = await client.get(path.format(job_id))
    assert (answer.status_code, answer.json()["error"]) == (404, "browser stream not available")
    headers = {"X-Request-Id": "same"}
    foreign = await client_b.get(path.format(job_id), headers=headers)
    unknown = await client_b.get(path.format("no-such-run"), headers=headers)
    assert (foreign.status_code, foreign.content) == (404, unknown.content)


async def test_screenshots_come_as_image_sources_the_large_ones_by_address(client, services):
    job_id = await submit(client)
    small, large = PNG + b"small", PNG + b"x" * 300_000
    add(services, job_id, ("screenshot", "1.png", small), ("log", "x.log", b"no picture"))
    add(services, job_id, ("screenshot", "2.png", large), end=True)
    answer = await client.get(f"/v1/runs/{job_id}/browser-stream")
    _, first, second, end = answer.text.removesuffix("\n\n").split("\n\n")
    assert first.splitlines()[1:] == [
        "event: screenshot",
        "data: data:image/png;base64," + base64.b64encode(small).decode(),
    ]
    artifact = next(each for each in services.runs.artifacts("default", job_id) if each.name == "2.png")
    assert second.splitlines()[-1] == f"data: /v1/runs/{job_id}/artifacts/{artifact.artifact_id}"
    assert "event: end" in end
    known = first.splitlines()[0].removeprefix("id: ")
    rest = await client.get(f"/v1/runs/{job_id}/browser-stream", headers={"Last-Event-ID": known})
    assert first not in rest.text
    assert second in rest.text


class Waiting:
    """Approvals of which some are pending."""

    def __init__(self, *ids):
        self.ids = list(ids)
        self.decided = []

    def pending(self, run):
        return [PendingApproval(each, f"may I {each}?", 1_760_000_060_000) for each in self.ids]

    def decide(self, run, approval_id, decision, *, reason, caller):
        if approval_id not in self.ids:
            raise ApprovalAlreadyDecided
        self.decided.append((run.run_id, approval_id, decision, reason, caller.tenant))


async def test_nothing_is_pending_in_a_run_that_waits_for_nothing(client):
    job_id = await submit(client)
    answer = await client.get(f"/v1/runs/{job_id}/interaction")
    assert (answer.status_code, answer.json()) == (200, {})
    answer = await client.post(f"/v1/runs/{job_id}/interaction", json={"response": "yes"})
    assert (answer.status_code, answer.json()["code"]) == (409, "no_pending_interaction")
    assert answer.json()["error"] == "no pending interaction"


async def test_the_oldest_pending_approval_is_shown_and_decided(build_services, open_client):
    waiting = Waiting("a", "b")
    services = build_services({"approvals": waiting})
    async with open_client(services) as client:
        job_id = await submit(client)
        shown = (await client.get(f"/v1/runs/{job_id}/interaction")).json()
        assert shown == {
            "prompt": "may I a?",
            "approval_id": "a",
            "kind": "approval",
            "options": ["approve", "deny"],
            "expires_at": 1_760_000_060.0,
        }
        for body in ({"response": " YES "}, {"response": "No", "approval_id": "b", "more": 1}):
            answer = await client.post(f"/v1/runs/{job_id}/interaction", json=body)
            assert (answer.status_code, answer.json()) == (200, {"status": "accepted"})
        assert answer.headers["rune-ignored-fields"] == "more"
    assert waiting.decided == [
        (job_id, "a", Decision.APPROVE, "", "default"),
        (job_id, "b", Decision.DENY, "denied by interaction", "default"),
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "response"),
        ({"response": "maybe"}, "response"),
        ({"response": 1}, "response"),
        ({"response": "y" * 10_001}, "response"),
        ({"response": "y", "approval_id": 3}, "approval_id"),
    ],
)
async def test_an_answer_that_is_none_is_refused_before_anything_is_looked_up(client, body, field):
    for run_id in (await submit(client), "no-such-run"):
        answer = await client.post(f"/v1/runs/{run_id}/interaction", json=body)
        assert answer.status_code == 400
        assert [each["field"] for each in answer.json()["details"]] == [field]
        assert "maybe" not in answer.text


async def test_interaction_is_the_tenants_own(client, client_b):
    job_id = await submit(client)
    for method in ("GET", "POST"):
        body = {"json": {"response": "y"}} if method == "POST" else {}
        answer = await client_b.request(method, f"/v1/runs/{job_id}/interaction", **body)
        assert (answer.status_code, answer.json()["error"]) == (404, "job not found")


async def test_the_log_is_read_as_text_and_the_evidence_as_json(client):
    job_id = await cancelled(client)
    listed = (await client.get(f"/v1/audits/{job_id}/artifacts")).json()["artifacts"]
    files = {item["name"]: (await client.get(item["download_url"])).text for item in listed}
    assert "job.queued" in files["run.log"]
    assert json.loads(files["evidence.json"])["status"] == "cancelled"
