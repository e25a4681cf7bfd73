"""Submitting and reading jobs on the local server (jobs-api.md 17: 1, 6, 7, 12 to 14, 17, 30)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.e2e.jobs_client import Jobs, asked
from tests.e2e.local_server import LocalServer

from rune.sandbox.ollama.server import OllamaSim

SECRET_LOOKING = "do-not-show-this-value"


def count(jobs: Jobs) -> int:
    return len(jobs.http.get("/v1/jobs", params={"limit": 200}).json()["jobs"])


def test_the_server_says_that_it_is_well(jobs: Jobs) -> None:
    answer = jobs.http.get("/healthz")
    assert (answer.status_code, answer.text) == (200, '{"status":"ok"}')


def test_a_question_is_answered(jobs: Jobs) -> None:
    job = jobs.ask("the pod cart crashes")
    assert job["status"] == "succeeded", job
    assert job["result"]["answer"] == "the pod cart crashes"
    assert (job["message"], "error" in job) == ("job completed", False)
    names = [event["name"] for event in jobs.events(job["job_id"])]
    assert names[0] == "job.queued"
    assert names[-2:] == ["job.execute", "job.succeeded"]
    assert {"backend.wait_ready", "ollama.model.warmup", "agent.ask"} <= set(names)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"question": None}, "question"),
        ({"model": SECRET_LOOKING.ljust(129, "x")}, "model"),
        ({"max_dph": 1, "min_dph": 2}, "min_dph"),
        ({"timeout_seconds": SECRET_LOOKING}, "timeout_seconds"),
    ],
)
def test_what_can_never_run_is_refused_and_no_job_exists(
    jobs: Jobs, fields: dict[str, Any], field: str
) -> None:
    before = count(jobs)
    answer = jobs.post(SECRET_LOOKING, **fields)
    assert answer.status_code == 400
    assert [each["field"] for each in answer.json()["details"]] == [field]
    assert SECRET_LOOKING not in answer.text
    assert count(jobs) == before


def test_a_running_job_has_neither_result_nor_error(jobs: Jobs) -> None:
    job_id = jobs.submit("sleep:30")
    job = jobs.wait(job_id, "running")
    assert job["status"] == "running"
    assert {"result", "error"}.isdisjoint(job)
    assert all(isinstance(job[name], float) for name in ("created_at", "updated_at", "started_at"))
    jobs.http.delete(f"/v1/jobs/{job_id}")


def test_twelve_posts_with_one_key_are_one_job_and_one_call_of_the_driver(
    jobs: Jobs, server: LocalServer
) -> None:
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: jobs.post("once only", key="twelve"), range(12)))
    assert [answer.status_code for answer in answers] == [202] * 12
    (job_id,) = {answer.json()["job_id"] for answer in answers}
    assert sum("Idempotency-Replayed" in answer.headers for answer in answers) == 11
    assert jobs.wait(job_id)["status"] == "succeeded"
    assert [call["run_id"] for call in asked(server.record)].count(job_id) == 1


def test_a_key_belongs_to_one_body_and_one_tenant(jobs: Jobs, ollama: OllamaSim, server: LocalServer) -> None:
    first = jobs.submit("mine", key="owned")
    other_body = jobs.post("another", key="owned")
    assert (other_body.status_code, other_body.json()["code"]) == (422, "idempotency_key_reused")
    assert Jobs(server.url, ollama.url, tenant="teamb").submit("mine", key="owned") != first
    replay = jobs.http.post(
        "/v1/jobs/agentic-agent",
        json={"question": "mine", "backend_url": jobs.backend},
        headers={"X-Idempotency-Key": "owned"},
    )
    assert (replay.json()["job_id"], replay.headers["Idempotency-Replayed"]) == (first, "true")


def test_bodies_that_are_no_request_are_refused(jobs: Jobs) -> None:
    large = b'{"question":"' + b"x" * (10 * 1024 * 1024 + 1 - 15) + b'"}'
    assert len(large) == 10 * 1024 * 1024 + 1
    answers = [jobs.http.post("/v1/jobs/agentic-agent", content=body) for body in (large, b"[]", b"{")]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [
        (413, "body_too_large"),
        (400, "invalid_body"),
        (400, "invalid_json"),
    ]


def test_a_chunked_body_is_read(jobs: Jobs) -> None:
    content = json.dumps({"question": "in pieces", "backend_url": jobs.backend}).encode()

    def pieces() -> Iterator[bytes]:
        for at in range(0, len(content), 10):
            yield content[at : at + 10]

    answer = jobs.http.post("/v1/jobs/agentic-agent", content=pieces())
    assert answer.status_code == 202
    assert jobs.wait(answer.json()["job_id"])["result"]["answer"] == "in pieces"


@pytest.mark.parametrize(
    "url",
    ["http://169.254.169.254/", "http://[::ffff:10.0.0.1]/", "http://10.0.0.1:11434", "ftp://127.0.0.1"],
)
def test_an_address_inside_is_refused_with_one_text(jobs: Jobs, url: str) -> None:
    answer = jobs.post("hi", backend_url=url)
    assert (answer.status_code, answer.json()["code"]) == (400, "backend_not_allowed")
    assert answer.json()["error"] == "backend_url is not allowed by policy"


def test_following_the_cursor_shows_each_job_once(jobs: Jobs, ollama: OllamaSim, server: LocalServer) -> None:
    mine = Jobs(server.url, ollama.url, tenant="lister")
    ids = [mine.submit(f"number {n}") for n in range(5)]
    found: list[str] = []
    cursor: str | None = None
    while cursor is not None or not found:
        page = mine.http.get("/v1/jobs", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        found += [job["job_id"] for job in page["jobs"]]
        used, cursor = cursor or page["next_cursor"], page["next_cursor"]
    assert found == ids[::-1]
    assert used
    for at in (0, len(used) // 2, len(used) - 1):
        changed = used[:at] + ("A" if used[at] != "A" else "B") + used[at + 1 :]
        answer = mine.http.get("/v1/jobs", params={"limit": 2, "cursor": changed})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor"), at
    foreign = jobs.http.get("/v1/jobs", params={"limit": 2, "cursor": used})
    assert (foreign.status_code, foreign.json()["code"]) == (400, "invalid_cursor")
