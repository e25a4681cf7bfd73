"""`fold`: a status from events alone (runs-api.md 2.5, 16)."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.evidence_runs import ENDED, REQUEST, full_run, record

from rune_common.domain.events import FAMILY_OF, EventDraft, EventUsage
from rune_common.domain.fold import RunStatus, fold

STATUS_MEMBERS = {
    *("run_id", "kind", "status", "mode", "runtime_profile", "repo", "ref", "orchestrator_model"),
    *("subagent_model", "parent_run_id", "loop_id", "work_item_id", "labels", "spec_id", "spec_hash"),
    *("spec_binding_mode", "created_by", "created_at", "updated_at", "started_at", "ended_at", "duration_ms"),
    *(
        "current_stage",
        "current_iteration",
        "max_iterations",
        "total_events",
        "last_event_id",
        "last_sequence",
    ),
    *("head_hash", "exit_reason", "stop_class", "stop_code", "stop_reason", "error", "gate_status", "result"),
    *("change_set", "usage", "budget", "findings_summary", "artifacts_count", "context_files"),
    "pending_approvals",
}
TYPES = [*FAMILY_OF, "some_new_type"]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
MEMBERS = st.sampled_from(
    [
        "finding",
        "fingerprint",
        "approval_id",
        "approval",
        "gate_id",
        "request",
        "change_set",
        "severity",
        "record",
    ]
)
PAYLOADS = st.dictionaries(MEMBERS | st.text(max_size=6), JSON, max_size=5)
USAGES = st.builds(
    EventUsage, st.integers(0, 99), st.integers(0, 99), st.integers(0, 3), st.integers(0, 3),
    st.integers(0, 10**7), st.booleans(), st.sampled_from([None, "m1", "m2"]),
)  # fmt: skip


def documents(drafts: list[EventDraft]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in record(drafts).lines]


def full() -> list[dict[str, Any]]:
    return [json.loads(line) for line in full_run().lines]


def status_after(*drafts: EventDraft) -> dict[str, Any]:
    queued = EventDraft("run_queued", {"request": REQUEST})
    return fold(documents([queued, EventDraft("run_started", {}), *drafts])).document()


@given(st.data())
def test_going_on_from_a_fold_equals_folding_all(data: st.DataObject) -> None:
    events = full()
    for event in events:
        if data.draw(st.integers(0, 5)) == 0:
            event["type"] = data.draw(st.sampled_from(TYPES))
    cut = data.draw(st.integers(0, len(events)))
    before = fold(events[:cut])
    kept = copy.deepcopy(before)
    assert fold(events[cut:], before) == fold(events)
    assert before == kept


@given(st.lists(st.tuples(st.sampled_from(TYPES), PAYLOADS, USAGES), max_size=8))
def test_whatever_a_log_holds_it_folds_to_a_whole_status(parts: list[tuple[str, Any, EventUsage]]) -> None:
    events = [
        {"type": kind, "payload": payload, "usage": usage.document(), "sequence": number, "event_id": f"r-{number}",
         "run_id": "r", "ts": "2026-01-01T00:00:00.000Z", "token_usage": 3, "cost_usd": 0.5, "hash": "ab"}
        for number, (kind, payload, usage) in enumerate(parts, start=1)
    ]  # fmt: skip
    found = fold(events).document()
    assert found.keys() == STATUS_MEMBERS
    assert found["total_events"] == len(events)


def test_the_empty_log_has_a_whole_status_of_nothing() -> None:
    found = fold([]).document()
    assert found.keys() == STATUS_MEMBERS
    assert (found["status"], found["total_events"], found["head_hash"]) == (None, 0, None)


def test_a_run_goes_through_its_states() -> None:
    status = RunStatus()
    seen = []
    for event in full():
        status.take(event)
        if not seen or seen[-1] != status.status:
            seen.append(status.status)
    assert seen == ["queued", "running", "awaiting_approval", "running", "completed"]


def test_a_cancelled_run_is_cancelling_before() -> None:
    requested = EventDraft("cancel_requested", {"mode": "graceful"})
    assert status_after(requested)["status"] == "cancelling"
    ended = status_after(requested, EventDraft("run_cancelled", {**ENDED, "exit_reason": "cancelled"}))
    assert (ended["status"], ended["exit_reason"]) == ("cancelled", "cancelled")


def test_the_head_is_that_of_the_log() -> None:
    events = full()
    found = fold(events).document()
    assert found["head_hash"] == events[-1]["hash"]
    assert found["last_event_id"] == events[-1]["event_id"]
    assert found["total_events"] == found["last_sequence"] == len(events)


def test_usage_is_the_sum_of_the_events() -> None:
    uses = [EventUsage(10, 5, 1, 1, 1_000_001, model="a"), EventUsage(7, 0, 1, 0, 2, model="b")]
    found = status_after(*(EventDraft("run_progress", {}, usage=each) for each in uses))["usage"]
    assert (found["input_tokens"], found["output_tokens"], found["token_usage"]) == (17, 5, 22)
    assert (found["llm_calls"], found["tool_calls"], found["cost_usd"]) == (2, 1, 1.000003)


def test_an_unknown_cost_is_not_zero() -> None:
    free = status_after(EventDraft("run_progress", {}))["usage"]
    unpriced = status_after(EventDraft("run_progress", {}, usage=EventUsage(1, 1, 1, unpriced=True)))
    assert (free["cost_usd"], free["unpriced"]) == (0, False)
    assert (unpriced["usage"]["cost_usd"], unpriced["usage"]["unpriced"]) == (None, True)
    assert unpriced["budget"]["warnings"] == ["COST_UNENFORCEABLE"]


def test_a_budget_turns_yellow_and_red() -> None:
    def after(calls: int) -> Any:
        return status_after(EventDraft("run_progress", {}, usage=EventUsage(tool_calls=calls)))["budget"]

    assert (after(7)["health"], after(7)["remaining"]["max_tool_calls"]) == ("GREEN", 3)
    assert (after(8)["health"], after(10)["health"], after(12)["remaining"]["max_tool_calls"]) == (
        "YELLOW",
        "RED",
        0,
    )


def test_waiting_is_no_work() -> None:
    asked = EventDraft("approval_requested", {"approval_id": "a", "gate": "edit"})
    settled = EventDraft(
        "approval_denied", {"approval_id": "a", "decision": "deny", "reason": "no"}, actor="eve"
    )
    resumed = EventDraft("run_resumed", {"approval_ids": ["a"]})
    waiting = status_after(asked)
    assert [each["approval_id"] for each in waiting["pending_approvals"]] == ["a"]
    found = status_after(asked, settled, resumed, EventDraft("run_completed", ENDED))
    assert found["pending_approvals"] == []
    assert (found["usage"]["approval_wait_ms"], found["usage"]["duration_ms"]) == (3_000, 3_000)
    assert found["duration_ms"] == 6_000


def test_a_partial_approval_settles_nothing() -> None:
    asked = EventDraft("approval_requested", {"approval_id": "a", "gate": "edit"})
    partial = EventDraft("approval_approved", {"approval_id": "a", "decision": "partial"}, actor="ann")
    (pending,) = status_after(asked, partial)["pending_approvals"]
    assert (pending["status"], [each["actor"] for each in pending["decisions"]]) == ("pending", ["ann"])


def test_open_findings_block() -> None:
    opened = [EventDraft("finding_opened", {"finding": {"fingerprint": f"v1:{n}", "severity": s}})
              for n, s in enumerate(["P0", "P1", "P2", "odd"])]  # fmt: skip
    fixed = EventDraft("finding_resolved", {"fingerprint": "v1:0", "resolution": "fixed"})
    again = EventDraft("finding_resurfaced", {"fingerprint": "v1:0", "finding": {"severity": "P0"}})
    found = status_after(*opened, fixed)["findings_summary"]
    assert found == {"P0": 0, "P1": 2, "P2": 1, "P3": 0, "total": 3, "blocking": 2}
    assert status_after(*opened, fixed, again)["findings_summary"]["P0"] == 1


def test_a_gate_that_failed_or_is_missing_is_not_passed() -> None:
    def gate(status: str, **more: Any) -> EventDraft:
        return EventDraft(
            "gate_result", {"gate_id": "tests", "gate_status": status, "required": True, **more}
        )

    opened = EventDraft("finding_opened", {"finding": {"fingerprint": "v1:a", "severity": "P1"}})
    ended = EventDraft("run_completed", {**ENDED, "change_set": {"tree_sha": "t2"}})
    assert status_after()["gate_status"] is None
    assert status_after(gate("passed"))["gate_status"] == "passed"
    assert status_after(gate("failed"))["gate_status"] == "blocked"
    assert status_after(gate("passed"), opened)["gate_status"] == "blocked"
    assert status_after(gate("skipped"))["gate_status"] == "error"
    assert status_after(gate("passed", tree_sha="t1"), ended)["gate_status"] == "error"
    assert status_after(gate("passed", tree_sha="t2"), ended)["gate_status"] == "passed"


def test_what_a_client_reports_counts_when_no_event_told_it() -> None:
    reported = {
        "findings": {"P0": 0, "P1": 2, "P2": 1, "P3": 0, "total": 3, "blocking": True},
        "usage": {"token_usage": 900, "cost_usd": 0.25, "duration_ms": 1200, "tool_calls": 4},
    }
    found = status_after(EventDraft("run_completed", {**ENDED, "reported": reported}))
    assert found["findings_summary"] == {"P0": 0, "P1": 2, "P2": 1, "P3": 0, "total": 3, "blocking": 2}
    assert (found["usage"]["token_usage"], found["usage"]["cost_usd"]) == (900, 0.25)
    assert (found["usage"]["duration_ms"], found["usage"]["tool_calls"]) == (1200, 4)
    told = EventDraft("finding_opened", {"finding": {"fingerprint": "v1:a", "severity": "P3"}})
    assert (
        status_after(told, EventDraft("run_completed", {**ENDED, "reported": reported}))["findings_summary"][
            "P1"
        ]
        == 0
    )


def test_an_answer_is_the_result_and_a_failure_the_error() -> None:
    answered = status_after(EventDraft("narrative", {"text": "All is well.", "final": True}))
    assert answered["result"] == {"analysis": "All is well.", "artifact_id": None}
    moved = {"artifact_id": "a_1", "sha256": "00", "bytes": 3}
    assert status_after(EventDraft("narrative", {"text": moved, "final": True}))["result"] == {
        "analysis": None,
        "artifact_id": "a_1",
    }
    failed = {**ENDED, "error": {"code": "AGENT_ERROR", "message": "it broke"}}
    assert status_after(EventDraft("run_failed", failed))["error"] == failed["error"]


def test_a_loop_counts_its_iterations() -> None:
    found = status_after(
        EventDraft("loop_started", {"limits": {"max_iterations": 5}}),
        EventDraft("iteration_started", {"iteration": 2}),
        EventDraft("stage_changed", {"stage": "VERIFY", "previous_stage": "APPLY"}),
    )
    assert (found["current_iteration"], found["max_iterations"], found["current_stage"]) == (2, 5, "VERIFY")
    assert found["budget"]["remaining"]["max_iterations"] == 3


def test_a_job_tells_its_kind_by_its_span() -> None:
    span = {"name": "job.queued", "status": "ok", "labels": {"kind": "agentic-agent"}}
    assert (
        fold(documents([EventDraft("run_queued", {"request": {}, "span": span})])).document()["kind"]
        == "agent"
    )
