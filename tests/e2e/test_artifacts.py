"""The files of jobs on the local server (jobs-api.md 4.8, 9.2, 10; acceptance 11, 27)."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from tests.e2e.jobs_client import Jobs, asked
from tests.e2e.local_server import LocalServer

EVIDENCE = ["evidence.json", "provenance.intoto.json", "run.log", "sbom.cdx.json"]


def files(jobs: Jobs, job_id: str) -> dict[str, bytes]:
    """Every file of a job by its name, downloaded and compared with its digest."""
    listed = jobs.http.get(f"/v1/audits/{job_id}/artifacts").json()
    found = {}
    for item in listed["artifacts"]:
        answer = jobs.http.get(item["download_url"])
        assert answer.status_code == 200
        assert hashlib.sha256(answer.content).hexdigest() == item["sha256"]
        assert answer.headers["content-disposition"].startswith(f'attachment; filename="{item["name"]}"')
        found[item["name"]] = answer.content
    return found


def test_a_finished_job_has_its_evidence(jobs: Jobs) -> None:
    job = jobs.ask("/etc/passwd file:driver.log called")
    found = files(jobs, job["job_id"])
    assert sorted(found) == sorted([*EVIDENCE, "driver.log"])
    assert found["driver.log"] == b"this is driver.log\n"
    listed = jobs.http.get(f"/v1/runs/{job['job_id']}/artifacts").json()
    assert {"slsa_provenance", "sbom", "log", "run_evidence"} == set(listed["summary"]["kinds_present"])
    assert job["result"]["answer"] == "/etc/passwd"
    named = {item["name"]: item["sha256"] for item in job["result"]["artifacts"]}
    assert named == {name: hashlib.sha256(content).hexdigest() for name, content in found.items()}
    assert b"this is driver.log" in found["run.log"]
    assert b"agent.tool_call" in found["run.log"]
    statement: dict[str, Any] = json.loads(found["provenance.intoto.json"])
    assert statement["predicate"]["runDetails"]["metadata"]["invocationId"] == job["job_id"]


@pytest.mark.parametrize("question", ["fail:agent_error", "crash", "empty"])
def test_a_failed_job_has_its_evidence_too(jobs: Jobs, question: str) -> None:
    job = jobs.ask(question)
    assert job["status"] == "failed"
    assert sorted(files(jobs, job["job_id"])) == EVIDENCE


def test_a_cancelled_job_has_its_evidence_too(jobs: Jobs, server: LocalServer) -> None:
    job_id = jobs.submit("ready sleep:60")
    jobs.wait(job_id, "running")
    jobs.http.delete(f"/v1/jobs/{job_id}")
    assert jobs.wait(job_id)["status"] == "cancelled"
    assert sorted(files(jobs, job_id)) == EVIDENCE


def test_a_picture_of_the_driver_is_streamed(jobs: Jobs) -> None:
    job = jobs.ask("picture done")
    text = jobs.http.get(f"/v1/runs/{job['job_id']}/browser-stream").text
    assert "event: screenshot\ndata: data:image/png;base64,iVBORw0KGgo" in text
    without = jobs.ask("done")
    answer = jobs.http.get(f"/api/v1/runs/{without['job_id']}/browser-stream")
    assert (answer.status_code, answer.json()["error"]) == (404, "browser stream not available")


def test_another_tenant_finds_no_files(jobs: Jobs, server: LocalServer) -> None:
    job = jobs.ask("mine")
    for item in jobs.http.get(f"/v1/runs/{job['job_id']}/artifacts").json()["artifacts"]:
        foreign = jobs.http.get(item["download_url"], headers={"X-Tenant-ID": "teamb"})
        assert (foreign.status_code, foreign.json()["error"]) == (404, "audit run not found")
    assert asked(server.record)
