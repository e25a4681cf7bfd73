"""Tokens, tenants, lockout and rate limit of the local server (jobs-api.md 17: 8 to 11)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.e2e.jobs_client import Jobs, asked
from tests.e2e.local_server import LocalServer, command_line, eventually

from rune.sandbox.ollama.server import OllamaSim

TOKEN, OTHER_TOKEN, WRONG = "a" * 40, "b" * 40, "c" * 40
TOKENS = {"RUNE_API_AUTH_DISABLED": "", "RUNE_API_TOKENS": f"default:{TOKEN},teamb:{OTHER_TOKEN}"}
UNKNOWN_ID = "0192f0c1-0000-7000-8000-000000000001"


@pytest.fixture(scope="module")
def server_environment() -> dict[str, str]:
    return TOKENS


@pytest.fixture(scope="module")
def jobs(server: LocalServer, ollama: OllamaSim) -> Jobs:
    return Jobs(server.url, ollama.url, token=TOKEN)


@pytest.fixture
def strict_server(tmp_path: Path) -> Iterator[LocalServer]:
    """A server of its own: these tests use an address up."""
    limits = {"RUNE_API_AUTH_RATE_BURST": "5", "RUNE_API_AUTH_RATE_PER_SECOND": "1"}
    found = LocalServer(tmp_path, **TOKENS, **limits)
    try:
        found.start()
        yield found
    finally:
        found.stop()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_a_token_is_needed_and_belongs_to_its_tenant(server: LocalServer) -> None:
    presented = [
        {},
        bearer(WRONG),
        bearer(OTHER_TOKEN) | {"X-Tenant-ID": "default"},
        {"X-API-Key": TOKEN},
        bearer(TOKEN),
    ]
    answers = [httpx.get(f"{server.url}/v1/jobs", headers=headers) for headers in presented]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 200, 200]
    assert {answer.json()["error"] for answer in answers[:3]} == {"invalid tenant/token combination"}
    assert {answer.headers["WWW-Authenticate"] for answer in answers[:3]} == {"Bearer"}


def test_another_tenants_job_is_answered_like_an_unknown_one(
    jobs: Jobs, ollama: OllamaSim, server: LocalServer
) -> None:
    job_id = jobs.ask("mine alone")["job_id"]
    other = Jobs(server.url, ollama.url, token=OTHER_TOKEN)
    for method, path in (
        ("GET", "/v1/jobs/{}"),
        ("GET", "/v1/jobs/{}/events"),
        ("DELETE", "/v1/jobs/{}"),
        ("POST", "/v1/jobs/{}/cancel"),
    ):
        headers = {"X-Request-Id": "same"}
        found = other.http.request(method, path.format(job_id), headers=headers)
        unknown = other.http.request(method, path.format(UNKNOWN_ID), headers=headers)
        assert (found.status_code, found.json()["error"]) == (404, "job not found")
        assert found.content == unknown.content
    assert other.http.get("/v1/jobs").json()["jobs"] == []
    assert jobs.get(job_id)["status"] == "succeeded"


def test_no_started_process_sees_a_token(jobs: Jobs, server: LocalServer) -> None:
    job_id = jobs.submit("sleep:30")
    eventually(
        lambda: asked(server.record)[-1:] and asked(server.record)[-1]["run_id"] == job_id, "the driver"
    )
    started = [each for each in server.processes() if each.pid != (server.process and server.process.pid)]
    assert any("stand_in" in command_line(each) for each in started)
    for process in started:
        assert TOKEN not in command_line(process) + str(process.environ())
    jobs.http.delete(f"/v1/jobs/{job_id}")


def test_ten_wrong_tokens_lock_an_address_out_and_health_stays_open(strict_server: LocalServer) -> None:
    url = strict_server.url
    statuses = [httpx.get(f"{url}/v1/jobs", headers=bearer(WRONG)).status_code for _ in range(10)]
    assert statuses == [401] * 10
    answer = httpx.get(f"{url}/v1/jobs", headers=bearer(TOKEN))
    assert (answer.status_code, answer.json()["error"]) == (401, "rate limit exceeded")
    assert answer.json()["code"] == "auth_locked_out"
    assert [httpx.get(f"{url}{path}").status_code for path in ("/healthz", "/v1/healthz")] == [200, 200]


def test_too_many_requests_are_told_when_to_come_back_and_health_is_never_limited(
    strict_server: LocalServer,
) -> None:
    with httpx.Client(base_url=strict_server.url, headers=bearer(TOKEN)) as client:
        answers = [client.get("/v1/jobs") for _ in range(12)]
        statuses = [answer.status_code for answer in answers]
        assert statuses[:5] == [200] * 5
        refused = answers[statuses.index(429)]
        assert refused.json()["error"] == "too many requests"
        assert int(refused.headers["Retry-After"]) >= 1
        assert {client.get("/healthz").status_code for _ in range(20)} == {200}


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "RUNE_API_TOKENS"),
        ({"RUNE_API_TOKENS": "default:short-secret"}, "at least 32"),
        ({"RUNE_API_AUTH_DISABLED": "1", "RUNE_API_HOST": "0.0.0.0"}, "loopback"),
    ],
    ids=["no tokens", "short token", "open to the network"],
)
def test_a_server_that_would_not_be_safe_does_not_start(
    tmp_path: Path, environment: dict[str, str], said: str
) -> None:
    given = LocalServer(tmp_path, **{"RUNE_API_AUTH_DISABLED": "", **environment})
    ended = subprocess.run(
        [sys.executable, "-m", "rune.api"], env=given.environment, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 1
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "short-secret" not in ended.stderr
    given.all_gone()
