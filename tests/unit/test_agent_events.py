"""What the agent does, as events of the run's log (holmes-driver.md 5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rune_common.domain.agent_events import AgentLog
from rune_common.domain.driver_protocol import DriverEvent, DriverSuccess, failure
from rune_common.domain.events import EventDraft, total_usage
from rune_common.domain.prices import TokenPrice
from rune_common.domain.runs import UsageTotals


class Leg:
    """A leg of the agent whose events are numbered as a driver numbers them."""

    def __init__(self, prices: Mapping[str, TokenPrice] | None = None) -> None:
        self.log = AgentLog("a1", "m", prices or {})
        self.drafts: list[EventDraft] = []
        self._seq = 0

    def say(self, name: str, **data: Any) -> list[EventDraft]:
        self._seq += 1
        found = self.log.drafts(DriverEvent(name, self._seq, self._seq * 100, data))
        self.drafts += found
        return found

    def call(self, call_id: str, tool: str = "bash", **params: Any) -> list[EventDraft]:
        return self.say("start_tool_calling", tool_name=tool, id=call_id, params=params, turn=1)

    def result(self, call_id: str, status: str = "success", **result: Any) -> list[EventDraft]:
        return self.say("tool_calling_result", tool_call_id=call_id, result={"status": status, **result})

    def tokens(self, prompt: int, completion: int) -> EventDraft:
        (draft,) = self.say(
            "token_count", metadata={"costs": {"prompt_tokens": prompt, "completion_tokens": completion}}
        )
        return draft


def answer(**usage: int) -> DriverSuccess:
    return DriverSuccess(
        {"answer": "found it", "token_usage": usage, "metadata": {"agent_version": "0.45.0"}}
    )


def test_a_tool_call_and_its_result_share_their_id() -> None:
    leg = Leg()
    (called,) = leg.call("c1", command="kubectl get pods -A")
    leg.say("heartbeat", phase="tools", llm_calls=1)
    (result,) = leg.result("c1", data="x 0/1", return_code=0)
    assert (called.type, called.call_id, called.payload["badge"]) == ("tool_call", "c1", "RUN")
    assert called.payload["summary"] == "bash: kubectl get pods -A"
    assert len(called.payload["args_digest"]) == 64
    assert (result.type, result.call_id, result.payload["status"]) == ("tool_result", "c1", "success")
    assert (result.payload["data"], result.payload["exit_code"]) == ("x 0/1", 0)
    assert result.duration_ms == 200
    assert result.payload["span"] == {
        "name": "agent.tool_call",
        "status": "ok",
        "labels": {"tool": "bash", "status": "success"},
    }


@pytest.mark.parametrize(
    ("status", "logged", "span"),
    [("no_data", "no_data", "ok"), ("error", "error", "error"), ("strange", "error", "error")],
)
def test_a_results_status_is_one_of_the_known(status: str, logged: str, span: str) -> None:
    leg = Leg()
    leg.call("c1")
    (result,) = leg.result("c1", status, error="it broke")
    assert (result.payload["status"], result.payload["span"]["status"]) == (logged, span)


def test_a_call_that_waits_for_approval_stays_open() -> None:
    leg = Leg()
    leg.call("c1")
    assert leg.result("c1", "approval_required") == []
    (aborted,) = leg.log.close_open_calls()
    assert (aborted.call_id, aborted.payload["status"]) == ("c1", "aborted")


def test_a_result_without_a_call_is_not_logged() -> None:
    leg = Leg()
    assert leg.result("never called") == []
    leg.call("c1")
    leg.result("c1")
    assert leg.result("c1") == []


def test_two_calls_under_one_id_are_told_apart() -> None:
    leg = Leg()
    leg.call("same")
    (second,) = leg.call("same")
    assert second.call_id not in ("same", "")
    assert len({draft.call_id for draft in leg.log.close_open_calls()}) == 2


CALLS = st.lists(
    st.tuples(
        st.sampled_from(["call", "result"]),
        st.sampled_from(["c1", "c2", "c3"]),
        st.sampled_from(["success", "error"]),
    ),
    max_size=20,
)


@given(CALLS, st.booleans())
def test_every_tool_call_has_exactly_one_result_whatever_comes(
    steps: list[tuple[str, str, str]], fails: bool
) -> None:
    leg = Leg()
    for what, call_id, status in steps:
        leg.call(call_id) if what == "call" else leg.result(call_id, status)
    end = (
        leg.log.failed(failure("agent_crashed", "x"), duration_ms=1)
        if fails
        else leg.log.final(answer(), duration_ms=1)
    )
    drafts = [*leg.drafts, *end]
    called = sorted(str(draft.call_id) for draft in drafts if draft.type == "tool_call")
    assert called == sorted(str(draft.call_id) for draft in drafts if draft.type == "tool_result")
    keys = [draft.producer_key for draft in drafts if draft.producer_key]
    assert len(set(keys)) == len(keys)


def test_tokens_are_logged_as_increases() -> None:
    leg = Leg()
    first, again, more = leg.tokens(100, 10), leg.tokens(100, 10), leg.tokens(250, 30)
    assert [(draft.usage.input_tokens, draft.usage.output_tokens) for draft in (first, again, more)] == [
        (100, 10),
        (0, 0),
        (150, 20),
    ]
    end = leg.log.final(answer(prompt_tokens=300, completion_tokens=40, llm_calls=3), duration_ms=1)[-1]
    assert (end.usage.input_tokens, end.usage.output_tokens) == (50, 10)


@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 10_000)), max_size=8))
def test_the_logs_usage_is_the_highest_count_ever_reported(counts: list[tuple[int, int]]) -> None:
    leg = Leg({"m": TokenPrice(1.0, 2.0)})
    for prompt, completion in counts:
        leg.tokens(prompt, completion)
    total = total_usage(UsageTotals(), (draft.usage for draft in leg.drafts))
    assert total.input_tokens == max((prompt for prompt, _ in counts), default=0)
    assert total.output_tokens == max((completion for _, completion in counts), default=0)
    assert not total.unpriced


def test_a_price_makes_a_cost_and_none_makes_it_unknown() -> None:
    priced = Leg({"m": TokenPrice(2.0, 10.0)}).tokens(100, 20).usage
    assert (priced.cost_micro_usd, priced.unpriced) == (400, False)
    unpriced = Leg().tokens(100, 20).usage
    assert (unpriced.cost_micro_usd, unpriced.unpriced) == (0, True)


def test_thoughts_and_texts_are_two_events() -> None:
    leg = Leg()
    drafts = leg.say("ai_message", content="I look.\nThen I tell.", reasoning="pods first")
    assert [(draft.type, draft.payload["text"]) for draft in drafts] == [
        ("reasoning_summary", "pods first"),
        ("narrative", "I look.\nThen I tell."),
    ]
    assert drafts[1].payload["summary"] == "I look."
    assert drafts[1].payload["final"] is False
    assert leg.say("ai_message", content="", reasoning=None) == []


@pytest.mark.parametrize(
    ("name", "data", "begun"),
    [
        ("agent_ready", {"startup_ms": 6900}, False),
        ("preflight", {"check": "model", "ok": True}, False),
        ("heartbeat", {"phase": "startup", "llm_calls": 0}, False),
        ("heartbeat", {"phase": "llm", "llm_calls": 0}, True),
        ("heartbeat", {"phase": "tools", "llm_calls": 1}, True),
        ("llm_retry", {"status": 429, "attempt": 1}, True),
        ("start_tool_calling", {"tool_name": "bash", "id": "c1"}, True),
        ("ai_message", {"content": "x"}, True),
        ("token_count", {}, True),
    ],
)
def test_it_is_known_whether_the_model_was_asked(name: str, data: dict[str, Any], begun: bool) -> None:
    leg = Leg()
    leg.say(name, **data)
    assert leg.log.model_call_begun is begun


def test_pull_progress_is_logged_every_two_seconds_at_most() -> None:
    leg = Leg()
    drafts = [leg.say("pull_progress", completed=n, total=100) for n in range(60)]
    assert [index for index, found in enumerate(drafts) if found] == [0, 20, 40]


def test_events_that_mean_nothing_to_the_log_are_left_out() -> None:
    leg = Leg()
    assert leg.say("heartbeat", phase="llm") == []
    assert leg.say("ai_answer_end") == []
    assert leg.say("an event of a newer library", text="x") == []


def test_the_final_answer_closes_open_calls_and_is_the_last_narrative() -> None:
    leg = Leg()
    leg.call("c1")
    aborted, final = leg.log.final(answer(), duration_ms=1234)
    assert (aborted.type, aborted.payload["status"]) == ("tool_result", "aborted")
    assert (final.type, final.payload["text"], final.payload["final"]) == ("narrative", "found it", True)
    assert final.payload["span"]["name"] == "agent.ask"
    assert final.duration_ms == 1234


def test_a_failure_is_told_by_its_code_and_not_by_its_text() -> None:
    (failed,) = Leg().log.failed(failure("rate_limited", "the provider's own words"), duration_ms=1)
    assert failed.payload["span"]["error_type"] == "rate_limited"
    assert "own words" not in str(failed.payload)
