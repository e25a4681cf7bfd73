"""Tokens, tenants, lockout and limits over HTTP (jobs-api.md 2, acceptance 8 to 10)."""

from __future__ import annotations

import json
import logging

import pytest

from rune_common.domain.access import TokenRecord, token_hash
from rune_common.http.app import openapi
from rune_common.http.audit import JsonFormatter
from rune_common.http.authentication import OpenRouter, TicketRouter
from rune_common.http.dialects import speaks_of_runs
from rune_common.http.routes import ROUTERS

TOKEN = "default-token-of-more-than-32-chars"
TOKEN_B = "other-tenants-token-of-32-characters"
OPEN = {"read_health", "read_health_v1"}


def operations():
    return [
        pytest.param(method.upper(), path, operation, id=operation["operationId"])
        for path, methods in json.loads(openapi())["paths"].items()
        for method, operation in methods.items()
    ]


@pytest.mark.parametrize(("method", "path", "operation"), operations())
async def test_every_operation_needs_a_token_unless_it_says_otherwise(
    services, open_client, method, path, operation
):
    async with open_client(services, token=None) as client:
        answer = await client.request(method, path.replace("{job_id}", "some-id"), content=b"not json")
    if operation["operationId"] in OPEN:
        assert answer.status_code == 200
        assert operation["security"] == []
    else:
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        error = answer.json()["error"]
        told = error if isinstance(error, str) else error["code"]
        assert told == ("AUTH_REQUIRED" if speaks_of_runs(path) else "invalid tenant/token combination")


def test_only_health_is_served_by_an_open_router():
    opened = [router for router in ROUTERS.values() if isinstance(router, OpenRouter)]
    assert [each for each in opened if not isinstance(each, TicketRouter)] == [ROUTERS["read_health"]]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": f"Bearer {TOKEN}"}, 200),
        ({"Authorization": f"bEARER {TOKEN}"}, 200),
        ({"X-API-Key": TOKEN}, 200),
        ({"Authorization": "Basic abc", "X-API-Key": TOKEN}, 200),
        ({"Authorization": "Bearer wrong-token-of-more-than-32-characters", "X-API-Key": TOKEN}, 401),
        ({"Authorization": TOKEN}, 401),
        ({"Authorization": f"Bearer {TOKEN_B}", "X-Tenant-ID": "default"}, 401),
        ({"Authorization": f"Bearer {TOKEN_B}", "X-Tenant-ID": "teamb"}, 200),
        ({"Authorization": f"Bearer {TOKEN_B}"}, 200),
        ({"Authorization": f"Bearer {TOKEN}", "X-Tenant-ID": "../default"}, 401),
    ],
)
async def test_how_a_token_may_be_presented(services, open_client, headers, status):
    async with open_client(services, token=None) as client:
        assert (await client.get("/v1/jobs", headers=headers)).status_code == status


async def test_a_token_in_the_query_string_is_ignored(services, open_client):
    async with open_client(services, token=None) as client:
        assert (await client.get("/v1/jobs", params={"token": TOKEN, "api_key": TOKEN})).status_code == 401


async def test_a_missing_scope_is_forbidden_before_the_body_is_looked_at(services, open_client):
    reader = "a-token-that-may-only-read-32-chars-long"
    services.tokens.add(TokenRecord(token_hash(reader), "r", "human", ("default",), ("runs:read",)))
    async with open_client(services, token=reader) as client:
        assert (await client.get("/v1/jobs")).status_code == 200
        refused = await client.post("/v1/jobs/agentic-agent", content=b"{")
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
        assert refused.json()["error"] == "insufficient scope"
        assert (await client.delete("/v1/jobs/some-id")).status_code == 403


async def test_ten_failures_lock_an_address_out_until_the_window_has_passed(services, open_client, clock):
    async with open_client(services, token=None) as client:
        for _ in range(10):
            assert (await client.get("/v1/jobs")).json()["code"] == "unauthorized"
        locked = await client.get("/v1/jobs", headers={"Authorization": f"Bearer {TOKEN}"})
        assert (locked.status_code, locked.json()["code"]) == (401, "auth_locked_out")
        assert locked.json()["error"] == "rate limit exceeded"
        assert (await client.get("/healthz")).status_code == 200
        clock.advance(59)
        assert (await client.get("/v1/jobs")).json()["code"] == "auth_locked_out"
        clock.advance(2)
        assert (await client.get("/v1/jobs", headers={"X-API-Key": TOKEN})).status_code == 200


async def test_a_lockout_concerns_one_address_only(services, open_client):
    async with open_client(services, token=None, ip="192.0.2.66") as client:
        for _ in range(11):
            await client.get("/v1/jobs")
    async with open_client(services, ip="192.0.2.67") as client:
        assert (await client.get("/v1/jobs")).status_code == 200


async def test_too_many_requests_of_a_valid_token_are_told_to_wait(build_services, open_client, clock):
    services = build_services(auth_rate_burst=5, auth_rate_per_second=1.0)
    async with open_client(services) as client:
        statuses = [(await client.get("/v1/jobs")).status_code for _ in range(10)]
        assert statuses == [200] * 5 + [429] * 5
        refused = await client.get("/v1/jobs")
        assert (refused.json()["code"], refused.headers["retry-after"]) == ("rate_limited", "1")
        assert [(await client.get("/healthz")).status_code for _ in range(10)] == [200] * 10
        clock.advance(1)
        assert (await client.get("/v1/jobs")).status_code == 200


async def test_requests_over_the_rate_do_not_count_as_failures(build_services, open_client, clock):
    services = build_services(rate_burst=2, rate_per_second=0.001)
    async with open_client(services, token=None) as client:
        answers = [await client.get("/v1/jobs") for _ in range(12)]
        assert [answer.status_code for answer in answers] == [401] * 2 + [429] * 10
        assert (await client.get("/v1/jobs", headers={"X-API-Key": TOKEN})).status_code == 200


async def test_forwarded_addresses_count_only_from_a_trusted_proxy(build_services, open_client):
    forwarded = {"X-Forwarded-For": "203.0.113.1, 198.51.100.7"}
    for trusted, blocked in (((), False), (("192.0.2.1",), True)):
        services = build_services(trusted_proxies=trusted)
        for _ in range(10):
            services.failures.record("198.51.100.7", now_ms=services.clock())
        async with open_client(services) as client:
            answer = await client.get("/v1/jobs", headers=forwarded)
            assert (answer.status_code == 401) is blocked


async def test_switched_off_authentication_keeps_tenants_apart(build_services, open_client):
    services = build_services(auth_disabled=True)
    async with open_client(services, token=None) as client:
        made = await client.post("/v1/jobs/agentic-agent", json={"question": "why?"})
        job = f"/v1/jobs/{made.json()['job_id']}"
        assert (await client.get(job)).json()["tenant_id"] == "default"
        assert (await client.get(job, headers={"X-Tenant-ID": "teamb"})).status_code == 404
        assert (await client.get(job, headers={"X-Tenant-ID": "a/b"})).status_code == 401


async def test_authentication_cannot_be_switched_off_on_aws(build_services, open_client):
    async with open_client(build_services(auth_disabled=True, env="prod"), token=None) as client:
        assert (await client.get("/v1/jobs")).status_code == 401


async def test_the_audit_log_tells_who_and_how_it_ended_but_never_the_token(services, open_client, caplog):
    wrong = "a-wrong-token-that-is-long-enough-to-count"
    with caplog.at_level(logging.INFO, logger="rune.audit"):
        async with open_client(services, token=wrong) as client:
            await client.get("/v1/jobs/some-id", headers={"X-Request-Id": "r-1"})
            await client.head("/v1/jobs", headers={"Authorization": f"Bearer {TOKEN}", "X-Request-Id": "r-2"})
            await client.get("/healthz")
    lines = [JsonFormatter().format(record) for record in caplog.records if record.name == "rune.audit"]
    failure, success = map(json.loads, lines)
    assert (
        failure.items()
        >= {
            "outcome": "failure",
            "request_id": "r-1",
            "ip": "192.0.2.1",
            "tenant": "default",
            "method": "GET",
            "route": "/v1/jobs/{job_id}",
            "status": 401,
        }.items()
    )
    assert success.items() >= {"outcome": "success", "method": "HEAD", "status": 200}.items()
    assert failure["time"].endswith("Z")
    assert not any(token in line for line in lines for token in (wrong, TOKEN))


async def test_a_lockout_is_in_the_audit_log(services, open_client, caplog):
    for _ in range(10):
        services.failures.record("192.0.2.1", now_ms=services.clock())
    with caplog.at_level(logging.INFO, logger="rune.audit"):
        async with open_client(services) as client:
            await client.get("/v1/jobs")
    assert [record.fields["outcome"] for record in caplog.records if record.name == "rune.audit"] == [
        "lockout"
    ]
