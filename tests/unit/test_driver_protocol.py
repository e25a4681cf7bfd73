"""Lines of the driver protocol and its table of errors."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rune_common.domain import driver_protocol as protocol
from rune_common.domain.driver_protocol import (
    ERRORS,
    DriverEvent,
    DriverFailure,
    DriverRequest,
    DriverSuccess,
    MalformedLine,
    failure,
    parse_answer,
    parse_request,
)


def answer(**document: Any) -> Any:
    return parse_answer({"id": "r", **document}, "r")


@given(
    st.dictionaries(st.text(min_size=1), st.integers() | st.text() | st.none()),
    st.text(min_size=1).filter(lambda text: "\ud800" not in text),
    st.booleans(),
)
def test_a_request_survives_its_line(params: dict[str, Any], request_id: str, stream: bool) -> None:
    request = DriverRequest("ask", params, request_id, stream)
    line = request.line()
    assert line.endswith(b"\n")
    assert b"\n" not in line[:-1]
    assert parse_request(line, new_id="other") == request


def test_a_request_without_id_gets_one() -> None:
    assert parse_request(b'{"action":"info"}', new_id="new").id == "new"


def test_a_request_does_not_stream_unless_asked() -> None:
    assert parse_request(b'{"action":"ask","params":{}}', new_id="new").stream is False


def test_the_short_form_of_cancel_names_the_call_by_its_id() -> None:
    assert parse_request(b'{"action":"cancel","id":"r"}', new_id="new").params == {"id": "r"}


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"no json",
        b"[]",
        b'{"params":{}}',
        b'{"action":1}',
        b'{"action":"ask","params":[]}',
        b'{"action":"ask","id":5}',
        b'{"action":"ask","stream":"yes"}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_a_bad_request_line_is_malformed(line: bytes) -> None:
    with pytest.raises(MalformedLine):
        parse_request(line, new_id="new")


def test_a_line_is_final_if_and_only_if_it_has_a_status() -> None:
    assert answer(event="heartbeat", seq=1, t_ms=2, data={"phase": "llm"}) == DriverEvent(
        "heartbeat", 1, 2, {"phase": "llm"}
    )
    assert answer(event="heartbeat", status="ok", result={"answer": "x"}) == DriverSuccess({"answer": "x"})


def test_an_error_keeps_what_the_driver_says() -> None:
    found = answer(status="error", error="busy", error_code="rate_limited", retryable=False, details={"a": 1})
    assert found == DriverFailure("rate_limited", "busy", False, {"a": 1})


def test_an_error_without_words_gets_the_fixed_text_and_the_tables_retryability() -> None:
    assert answer(status="error") == DriverFailure("agent_error", "driver failed", False, {})
    assert answer(status="error", error_code="backend_error").retryable is True
    assert answer(status="error", error_code="made_up").error_code == "agent_error"


def test_an_answer_to_another_request_is_a_protocol_error() -> None:
    assert parse_answer({"status": "ok", "result": {}, "id": "other"}, "r").error_code == "protocol_error"  # type: ignore[union-attr]


def test_a_driver_that_echoes_no_id_is_accepted() -> None:
    assert parse_answer({"status": "ok", "result": {}}, "r") == DriverSuccess({})


@pytest.mark.parametrize(
    "document", [{"status": "done"}, {"status": "ok"}, {"event": 5}, {"event": "x", "data": []}]
)
def test_an_unknown_shape_is_a_protocol_error(document: dict[str, Any]) -> None:
    assert answer(**document).error_code == "protocol_error"


def test_a_failure_survives_its_line() -> None:
    failed = failure("cluster_unreachable", "the cluster cannot be reached", {"n": 1})
    assert parse_answer(json.loads(failed.line("r")), "r") == failed


def test_a_lone_surrogate_does_not_break_a_line() -> None:
    assert json.loads(protocol.encode_line({"text": "a\ud800b"})) == {"text": "a?b"}


def test_rate_limits_have_their_own_chat_codes() -> None:
    rule = ERRORS["rate_limited"]
    assert (rule.chat_status, rule.sse_code, rule.transient) == (429, 5204, True)
    assert [code for code, rule in ERRORS.items() if rule.sse_code == 5204] == ["rate_limited"]


def test_a_failure_is_transient_exactly_where_the_contract_says() -> None:
    assert {code for code, rule in ERRORS.items() if rule.transient} == {
        "backend_unreachable",
        "backend_error",
        "backend_timeout",
        "rate_limited",
        "model_load_failed",
        "cluster_unreachable",
        "agent_crashed",
        "agent_lost",
    }


def test_job_codes_are_the_run_codes_in_lower_case_or_driver_error() -> None:
    exceptions = {"model_not_found", "cancelled"}
    for code, rule in ERRORS.items():
        assert rule.job in {"driver_error", rule.run.lower()} or code in exceptions
