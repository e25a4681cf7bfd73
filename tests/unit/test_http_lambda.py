"""Each function behind an API Gateway REST event, with settings from an explicit environment."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import runpy
from dataclasses import replace
from pathlib import Path

import pytest

from rune_common.http import lambda_entry
from rune_common.http.lambda_entry import http_function
from rune_common.http.routes import ENDPOINTS, ROUTERS

ROOT = Path(__file__).parents[2]
TOKEN = "default-token-of-more-than-32-chars"


@pytest.fixture(autouse=True)
def _as_in_a_fresh_process():
    """An event loop for the handlers, and afterwards the logging that was configured before."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    asyncio.set_event_loop(None)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def invoke(services):
    """Calls one function over the shared services with a proxy event."""

    def build(settings):
        return replace(services, settings=settings)

    def call(endpoint, method, path, body=None, *, binary=False, query=None, headers=None):
        environ = {
            "RUNE_ENV": "test",
            "RUNE_BACKEND_URL": "http://127.0.0.1:11434",
            "RUNE_LOG_LEVEL": "ERROR",
        }
        handler = http_function(ROUTERS[endpoint], environ=environ, build=build)
        sent = {"Authorization": f"Bearer {TOKEN}", "Host": "api.example"} | (headers or {})
        text = base64.b64encode(body.encode()).decode() if binary and body else body
        return handler(rest_event(method, path, sent, query, text, binary), None)

    return call


def rest_event(method, path, headers, query, body, binary):
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": query,
        "multiValueQueryStringParameters": {name: [value] for name, value in (query or {}).items()} or None,
        "pathParameters": {"proxy": path.lstrip("/")},
        "stageVariables": None,
        "requestContext": {
            "resourcePath": "/{proxy+}",
            "httpMethod": method,
            "path": f"/prod{path}",
            "stage": "prod",
            "requestId": "gateway-request",
            "identity": {"sourceIp": "198.51.100.9"},
        },
        "body": body,
        "isBase64Encoded": binary,
    }


def test_health(invoke):
    answer = invoke("read_health", "GET", "/healthz", headers={"Authorization": ""})
    assert (answer["statusCode"], answer["body"]) == (200, '{"status":"ok"}')


@pytest.mark.parametrize("binary", [False, True])
def test_submit_then_read_list_events_and_cancel(invoke, binary):
    made = invoke("submit_job", "POST", "/v1/jobs/agentic-agent", '{"question": "wh\u00fc?"}', binary=binary)
    assert made["statusCode"] == 202
    job_id = json.loads(made["body"])["job_id"]
    read = invoke("read_job", "GET", f"/v1/jobs/{job_id}", query={"include": "request"})
    assert json.loads(read["body"])["request"]["question"] == "wh\u00fc?"
    listed = json.loads(invoke("list_jobs", "GET", "/v1/jobs", query={"status": "queued"})["body"])
    assert [job["job_id"] for job in listed["jobs"]] == [job_id]
    events = json.loads(invoke("read_job_events", "GET", f"/v1/jobs/{job_id}/events")["body"])
    assert events["events"][0]["name"] == "job.queued"
    cancelled = invoke("cancel_job", "DELETE", f"/v1/jobs/{job_id}")
    assert json.loads(cancelled["body"]) == {"job_id": job_id, "status": "cancelled"}


def test_a_function_serves_nothing_but_its_own_routes(invoke):
    assert invoke("read_job", "GET", "/v1/jobs")["statusCode"] == 404


def test_the_gateways_source_address_counts(invoke, services):
    for _ in range(10):
        services.failures.record("198.51.100.9", now_ms=services.clock())
    answer = invoke("list_jobs", "GET", "/v1/jobs")
    assert json.loads(answer["body"])["code"] == "auth_locked_out"


def test_a_bug_answers_internal_and_keeps_its_text_to_itself(invoke, services):
    def broken(*_args, **_more):
        raise ZeroDivisionError("secret-detail")

    services.runs.list = broken
    answer = invoke("list_jobs", "GET", "/v1/jobs")
    assert answer["statusCode"] == 500
    assert json.loads(answer["body"])["code"] == "internal"
    assert "secret-detail" not in answer["body"]


def test_seeded_tokens_leave_the_environment_and_are_known_to_the_services(services):
    environ = {"RUNE_API_TOKENS": f"default:{TOKEN}"}
    seen = []

    def build(settings):
        seen.append(settings)
        return services

    http_function(ROUTERS["read_health"], environ=environ, build=build)
    assert environ == {}
    assert seen[0].api_tokens == f"default:{TOKEN}"
    assert TOKEN not in repr(seen[0])


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_each_function_is_an_entry_over_its_own_router(endpoint, monkeypatch):
    given = []
    for entry in ("http_function", "serve"):
        monkeypatch.setattr(lambda_entry, entry, lambda *routers: given.extend(routers))
    runpy.run_path(str(ROOT / "functions" / endpoint / "app.py"), run_name="__main__")
    assert given == [ROUTERS[endpoint]]
