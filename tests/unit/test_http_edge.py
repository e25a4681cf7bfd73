"""What every answer has in common (jobs-api.md 1.1, 1.2)."""

from __future__ import annotations

import json
import logging

import pytest
from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from rune_common.domain.errors import RuneError, Unavailable
from rune_common.http.authentication import OpenRouter
from rune_common.http.dialects.jobs import error_answer


async def test_health_answers_exactly_this_body_on_both_paths(client):
    for path in ("/healthz", "/v1/healthz", "/healthz/"):
        answer = await client.get(path, headers={"Authorization": ""})
        assert (answer.status_code, answer.text) == (200, '{"status":"ok"}')


async def test_every_answer_carries_the_common_headers(client):
    for path in ("/healthz", "/v1/jobs", "/v1/jobs/unknown", "/nowhere"):
        answer = await client.get(path)
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-request-id"]


async def test_a_well_formed_request_id_is_echoed_in_header_and_body(client):
    answer = await client.get("/v1/jobs/unknown", headers={"X-Request-Id": "abc.DEF_1-2"})
    assert answer.headers["x-request-id"] == "abc.DEF_1-2"
    assert answer.json()["request_id"] == "abc.DEF_1-2"


@pytest.mark.parametrize("bad", ["", "with blank", "a" * 129, "semi;colon"])
async def test_a_malformed_request_id_is_replaced(client, bad):
    answer = await client.get("/healthz", headers={"X-Request-Id": bad})
    assert answer.headers["x-request-id"] not in ("", bad)


async def test_a_trailing_slash_changes_nothing_and_never_redirects(client):
    plain, slashed = await client.get("/v1/jobs"), await client.get("/v1/jobs/")
    assert (slashed.status_code, slashed.json()) == (200, plain.json())


async def test_head_answers_as_get_without_a_body(client):
    got, headed = await client.get("/v1/jobs"), await client.head("/v1/jobs")
    assert (headed.status_code, headed.content) == (200, b"")
    assert headed.headers["content-length"] == got.headers["content-length"]


async def test_head_of_an_unknown_job_is_not_found(client):
    assert (await client.head("/v1/jobs/unknown")).status_code == 404


async def test_head_of_a_stream_is_not_allowed(services, open_client):
    router = OpenRouter()

    @router.get(
        "/v1/stream", response_class=type("Sse", (StreamingResponse,), {"media_type": "text/event-stream"})
    )
    async def stream():
        raise AssertionError("HEAD must not reach a stream")

    async with open_client(services, routers=[router]) as client:
        answer = await client.head("/v1/stream")
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, OPTIONS")


async def test_options_tells_the_methods_of_all_routers_without_a_token(services, open_client):
    async with open_client(services, token=None) as client:
        answer = await client.options("/v1/jobs/some-id")
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, POST"


async def test_a_wrong_method_is_answered_with_the_right_ones(client):
    answer = await client.put("/v1/jobs/some-id", json={})
    assert answer.status_code == 405
    assert answer.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, POST"
    assert answer.json()["code"] == "method_not_allowed"


async def test_an_unknown_path_is_not_found_for_every_method(client):
    for method in ("GET", "POST", "OPTIONS", "HEAD"):
        assert (await client.request(method, "/v1/nothing/here")).status_code == 404
    body = (await client.get("/v1/nothing/here")).json()
    assert (body["error"], body["code"]) == ("not found", "not_found")


async def test_no_origin_is_allowed_unless_it_is_listed(build_services, open_client):
    headers = {"Origin": "https://ui.example"}
    async with open_client(build_services()) as client:
        answer = await client.get("/healthz", headers=headers)
        assert not [name for name in answer.headers if name.startswith("access-control")]
    async with open_client(build_services(allowed_origins=("https://ui.example",))) as client:
        answer = await client.get("/healthz", headers=headers)
        assert answer.headers["access-control-allow-origin"] == "https://ui.example"
        assert answer.headers["vary"] == "Origin"
        other = await client.get("/healthz", headers={"Origin": "https://ui.example.evil"})
        assert "access-control-allow-origin" not in other.headers


async def test_a_preflight_is_answered_for_a_listed_origin(build_services, open_client):
    async with open_client(build_services(allowed_origins=("https://ui.example",)), token=None) as client:
        answer = await client.options("/v1/jobs/x", headers={"Origin": "https://ui.example"})
        assert answer.status_code == 204
        assert "DELETE" in answer.headers["access-control-allow-methods"]
        assert "Idempotency-Key" in answer.headers["access-control-allow-headers"]


def broken_router(error: Exception) -> APIRouter:
    router = OpenRouter()

    @router.get("/v1/broken")
    def broken() -> None:
        raise error

    return router


async def test_a_bug_is_answered_as_internal_and_logged_with_its_traceback(services, open_client, caplog):
    async with open_client(services, routers=[broken_router(ZeroDivisionError("secret-detail"))]) as client:
        with caplog.at_level(logging.ERROR, logger="rune.http"):
            answer = await client.get("/v1/broken", headers={"X-Request-Id": "r-1"})
    assert answer.status_code == 500
    assert answer.json() == {"error": "internal error", "code": "internal", "request_id": "r-1"}
    (record,) = [each for each in caplog.records if each.name == "rune.http"]
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError
    assert record.fields["request_id"] == "r-1"


async def test_an_error_without_a_row_in_the_table_is_a_bug(services, open_client, caplog):
    class Forgotten(RuneError):
        code = "forgotten"

    async with open_client(services, routers=[broken_router(Forgotten("secret-detail"))]) as client:
        answer = await client.get("/v1/broken")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret-detail" not in answer.text
    assert [record for record in caplog.records if record.exc_info]


async def test_an_unavailable_dependency_says_when_to_try_again(services, open_client):
    async with open_client(services, routers=[broken_router(Unavailable("table throttled"))]) as client:
        answer = await client.get("/v1/broken")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["error"] == "service unavailable"


def test_no_error_text_shows_what_its_exception_says():
    for error in RuneError.__subclasses__():
        if error.__init__ is RuneError.__init__:
            assert "secret-detail" not in json.dumps(error_answer(error("secret-detail"), "r").body)
