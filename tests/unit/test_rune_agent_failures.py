"""Errors of the library and of model servers, answers that are none, results that are too kind."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rune_agent import answer, failures
from rune_agent.patches import Exchange
from rune_agent.tally import corrected


def code_of(text: str, exchange: Exchange | None = None, error: Exception | None = None) -> str:
    return failures.recognise(error or Exception(text), exchange).code


@pytest.mark.parametrize(
    ("status", "text", "code"),
    [
        (401, "", "backend_auth"),
        (403, "", "backend_auth"),
        (404, "", "model_not_found"),
        (408, "", "backend_timeout"),
        (429, "slow down", "rate_limited"),
        (500, "boom", "backend_error"),
        (502, "", "backend_error"),
        (503, "loading", "backend_error"),
        (503, "server busy, please try again. maximum pending requests exceeded", "rate_limited"),
        (504, "", "backend_timeout"),
        (200, "Expecting value: line 1 column 1", "backend_error"),
        (400, "m does not support tools", "model_lacks_tools"),
        (400, "something else", "agent_error"),
    ],
)
def test_the_recorded_status_decides(status: int, text: str, code: str) -> None:
    assert code_of(text, Exchange("h", status)) == code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("ConnectError", "backend_unreachable"),
        ("ReadError", "backend_unreachable"),
        ("RemoteProtocolError", "backend_error"),
        ("ReadTimeout", "backend_timeout"),
        ("ConnectTimeout", "backend_timeout"),
    ],
)
def test_a_call_without_answer_is_known_by_its_class(error: str, code: str) -> None:
    assert code_of("whatever", Exchange("h", None, error=error)) == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Too Many Requests", "rate_limited"),
        ("Model is getting throttled", "rate_limited"),
        ("error 429", "rate_limited"),
        ("order 14290 failed", "agent_error"),
        ('model "x" not found, try pulling it first', "model_not_found"),
        ("x DOES NOT SUPPORT TOOLS", "model_lacks_tools"),
        ("Request timed out.", "backend_timeout"),
        ("[Errno 111] Connection refused", "backend_unreachable"),
        ("Too many LLM calls - exceeded max_steps: 3/3", "max_steps"),
        ("maximum context length exceeded", "context_window"),
        ("KeyError: 'x'", "agent_error"),
    ],
)
def test_the_text_is_the_fallback(text: str, code: str) -> None:
    assert code_of(text) == code


def test_a_failed_compaction_is_known_by_its_class() -> None:
    class CompactionInsufficientError(Exception):
        pass

    assert code_of("", Exchange("h", 200), CompactionInsufficientError("rate limit")) == "context_window"


def test_a_retry_after_is_passed_on() -> None:
    details = failures.recognise(Exception("x"), Exchange("h", 429, retry_after=7.9)).details
    assert details == {"status": 429, "retry_after_seconds": 7}


def test_addresses_and_the_librarys_decoration_are_removed() -> None:
    text = failures.sentence(
        "backend_unreachable",
        "litellm.APIConnectionError: Ollama_chatException - no http://10.0.0.7:11434/api or [fd00::1]:80",
    )
    assert text == "the model server cannot be reached: no <address> or <address>"


def test_a_traceback_is_never_shown() -> None:
    text = 'bad byte\nTraceback (most recent call last):\n  File "/x.py", line 1'
    assert failures.sentence("backend_error", text) == "the model server failed: bad byte"


def test_a_long_provider_text_is_cut() -> None:
    assert len(failures.sentence("agent_error", "x" * 9_000)) < 2_000


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (" all well \n", "all well"),
        ("<think>hm</think>\nall well", "all well"),
        ([{"type": "text", "text": "all "}, {"type": "text", "text": "well"}], "all well"),
        ("<think>only this</think>", ""),
        (None, ""),
        ("", ""),
    ],
)
def test_only_the_final_text_is_the_answer(content: Any, text: str) -> None:
    assert answer.clean_answer(content) == text


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "bash", "parameters": {"command": "x"}}',
        '```json\n{"name": "bash", "arguments": {}}\n```',
        '[{"function": {"name": "bash"}}]',
    ],
)
def test_a_tool_call_written_as_text_is_recognised(text: str) -> None:
    assert answer.tool_call_in_text(text, {"bash"})


@pytest.mark.parametrize(
    "text", ["All well.", '{"name": "cart"}', '{"healthy": true}', "[]", 'Run {"name": "bash"} now', "5"]
)
def test_other_json_and_text_is_no_tool_call(text: str) -> None:
    assert not answer.tool_call_in_text(text, {"bash"})


def test_a_kubernetes_query_with_an_error_and_no_rows_failed() -> None:
    result = {"status": "success", "data": json.dumps({"stderr": "forbidden", "preview": []}), "error": None}
    assert corrected("kubernetes_count", result) == {**result, "status": "error", "error": "forbidden"}


@pytest.mark.parametrize(
    ("tool", "data"),
    [
        ("kubernetes_count", {"stderr": None, "preview": []}),
        ("kubernetes_count", {"stderr": "a warning", "preview": ["row"]}),
        ("bash", {"stderr": "forbidden"}),
    ],
)
def test_other_results_stay_as_they_are(tool: str, data: dict[str, Any]) -> None:
    result = {"status": "success", "data": json.dumps(data)}
    assert corrected(tool, result) == result
