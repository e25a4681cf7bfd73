from __future__ import annotations

import json

import httpx
import pytest

from rune.cli.client import JobsClient
from rune.cli.failures import CliFailure, UsageProblem
from rune.cli.masking import RequestLog

JOB = "j-1"


class Script:
    """Answers in order, the last one for ever."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    def __call__(self, request):
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Time:
    def __init__(self):
        self.now = 0.0
        self.slept = []

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def time():
    return Time()


def client(script, time, **more):
    return JobsClient(
        "http://server.test:8080/base",
        transport=httpx.MockTransport(script),
        sleep=time.sleep,
        monotonic=lambda: time.now,
        jitter=lambda: 1.0,
        **more,
    )


ACCEPTED = httpx.Response(202, json={"job_id": JOB, "status": "accepted"})
RECORD = httpx.Response(200, json={"job_id": JOB, "status": "running"})


def test_every_request_carries_token_tenant_and_both_spellings_of_the_token(time):
    script = Script(ACCEPTED)
    assert (
        client(script, time, token="t" * 32, tenant="teamb").submit("agentic-agent", {"question": "q"}, "k-1")
        == JOB
    )
    request = script.requests[0]
    assert str(request.url) == "http://server.test:8080/base/v1/jobs/agentic-agent"
    assert request.headers["Authorization"] == f"Bearer {'t' * 32}"
    assert request.headers["X-API-Key"] == "t" * 32
    assert request.headers["X-Tenant-ID"] == "teamb"
    assert request.headers["Idempotency-Key"] == "k-1"
    assert request.extensions["timeout"]["read"] == 20
    assert json.loads(request.content) == {"question": "q"}


def test_without_a_token_no_credential_is_sent(time):
    script = Script(RECORD)
    client(script, time).job(JOB)
    assert not {"authorization", "x-api-key"} & set(script.requests[0].headers)


def test_a_post_that_is_tried_again_keeps_the_key_it_was_given_by_the_client(time):
    script = Script(httpx.ConnectError("no"), httpx.Response(503), httpx.ReadTimeout("slow"), ACCEPTED)
    assert client(script, time).submit("agentic-agent", {}) == JOB
    keys = {request.headers["Idempotency-Key"] for request in script.requests}
    assert len(script.requests) == 4
    assert len(keys) == 1
    assert len(keys.pop()) >= 32
    assert time.slept == [0.5, 1.0, 2.0]


def test_the_server_decides_how_long_to_wait_after_429(time):
    script = Script(httpx.Response(429, headers={"Retry-After": "7"}), RECORD)
    client(script, time).job(JOB)
    assert time.slept == [7.0]


def test_after_a_minute_of_failures_the_last_answer_is_the_failure(time):
    script = Script(httpx.Response(503, json={"error": "service unavailable", "code": "unavailable"}))
    with pytest.raises(CliFailure, match=r"the server refused \(503\): service unavailable") as caught:
        client(script, time).job(JOB)
    assert caught.value.code == "unavailable"
    assert 50 < time.now <= 60


def test_a_server_that_is_not_there_is_named_with_a_hint(time):
    with pytest.raises(
        CliFailure, match="the server at http://server.test:8080/base cannot be reached"
    ) as caught:
        client(Script(httpx.ConnectError("refused")), time).job(JOB)
    assert caught.value.code == "server_unreachable"
    assert "rune serve" in caught.value.hint


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422])
def test_a_refusal_is_not_repeated(time, status):
    script = Script(httpx.Response(status, json={"error": "because", "code": "some_code"}))
    with pytest.raises(CliFailure, match="because") as caught:
        client(script, time).submit("agentic-agent", {})
    assert (caught.value.code, caught.value.exit_code) == ("some_code", 1)
    assert len(script.requests) == 1
    assert time.slept == []


def test_every_field_that_did_not_fit_is_named(time):
    details = [{"field": "model", "message": "is too long"}, {"field": "question", "message": "is required"}]
    body = {"error": "invalid request: model is too long", "code": "invalid_request", "details": details}
    with pytest.raises(CliFailure, match=r"model is too long \(model is too long; question is required\)"):
        client(Script(httpx.Response(400, json=body)), time).submit("agentic-agent", {})


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json=[1]),
        httpx.Response(200, json={"job": "x"}),
        httpx.Response(302, headers={"Location": "https://elsewhere.test"}),
        httpx.Response(404, text="<html>"),
    ],
)
def test_an_answer_of_something_else_is_a_failure_and_no_redirect_is_followed(time, answer):
    script = Script(answer)
    with pytest.raises(CliFailure):
        client(script, time, token="t" * 32).events(JOB)
    assert len(script.requests) == 1


def test_an_id_cannot_leave_its_place_in_the_path(time):
    script = Script(RECORD)
    client(script, time).job("../../v1/settings?x=1")
    assert script.requests[0].url.raw_path == b"/base/v1/jobs/..%2F..%2Fv1%2Fsettings%3Fx%3D1"


def test_events_are_read_page_by_page_until_the_server_names_no_next_one(time):
    script = Script(
        httpx.Response(200, json={"events": [{"seq": 1}], "next_after": 4}),
        httpx.Response(200, json={"events": [], "next_after": 6}),
        httpx.Response(200, json={"events": [{"seq": 9}], "next_after": None}),
    )
    assert client(script, time).events(JOB) == [{"seq": 1}, {"seq": 9}]
    assert [request.url.params.get("after") for request in script.requests] == [None, "4", "6"]


def test_a_server_that_names_the_same_next_page_for_ever_does_not_hang_the_client(time):
    script = Script(httpx.Response(200, json={"events": [{"seq": 4}], "next_after": 4}))
    assert len(client(script, time).events(JOB)) == 2


def test_a_limit_is_kept_over_pages(time):
    script = Script(
        httpx.Response(200, json={"events": [{"seq": 1}, {"seq": 2}], "next_after": 2}),
        httpx.Response(200, json={"events": [{"seq": 3}], "next_after": 3}),
    )
    assert [each["seq"] for each in client(script, time).events(JOB, limit=3)] == [1, 2, 3]
    assert [request.url.params["limit"] for request in script.requests] == ["3", "1"]


def test_once_time_is_short_calls_end_within_it(time):
    script = Script(httpx.ConnectError("refused"))
    short = client(script, time)
    short.finish_within(3)
    with pytest.raises(CliFailure):
        short.cancel(JOB)
    assert time.now <= 3
    assert script.requests[-1].extensions["timeout"]["read"] <= 3


def test_fields_that_the_server_ignored_are_told(time):
    told = []
    script = Script(httpx.Response(202, json={"job_id": JOB}, headers={"Rune-Ignored-Fields": "region"}))
    client(script, time, notice=told.append).submit("agentic-agent", {})
    assert told == ["warning: the server ignored region"]


@pytest.mark.parametrize("address", ["localhost:8080", "ftp://server.test", "http://[::1"])
def test_an_address_that_is_none_is_a_usage_problem(address):
    with pytest.raises(UsageProblem):
        JobsClient(address)


def test_a_token_that_cannot_be_a_header_is_a_usage_problem_that_does_not_show_it():
    with pytest.raises(UsageProblem) as caught:
        JobsClient("http://server.test", token="gehéim")
    assert "geh" not in caught.value.message


def test_the_request_log_masks_tokens_kubeconfigs_and_passwords_in_addresses():
    lines = []
    log = RequestLog(lines.append)
    headers = {"Authorization": "Bearer hunter2", "X-API-Key": "hunter2", "X-Tenant-ID": "teamb"}
    log.sent(
        "POST",
        "http://me:hunter2@server.test/v1",
        headers,
        {"kubeconfig": "hunter2", "list": [{"token": "hunter2"}]},
    )
    assert "hunter2" not in lines[0]
    assert '"X-Tenant-ID": "teamb"' in lines[0]
    assert "server.test/v1" in lines[0]
