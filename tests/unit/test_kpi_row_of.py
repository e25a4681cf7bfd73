"""A run's log becomes its KPI row in one pass (runs-api.md 8)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.kpi_samples import AS_OF

from rune_common.domain.chain import genesis
from rune_common.domain.events import timestamp
from rune_common.domain.kpi_row_of import LONGEST_SAMPLE, row_of
from rune_common.domain.runs import LogHead, Run, RunKind, RunState

START = AS_OF - 60_000


def run_of(**fields: Any) -> Run:
    known: dict[str, Any] = {
        "tenant": "default",
        "run_id": "run-1",
        "kind": RunKind.AGENT,
        "state": RunState.SUCCEEDED,
        "created_at": START,
        "updated_at": AS_OF,
        "started_at": START + 1_000,
        "finished_at": AS_OF,
        "created_by": "tester",
        "model": "llama3.1:8b",
        "head": LogHead("default", "run-1", 0, genesis("default", "run-1")),
    }
    return Run(**(known | fields))


def event(kind: str, second: float, payload: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    known: dict[str, Any] = {
        "run_id": "run-1",
        "sequence": 1,
        "ts": timestamp(START + round(second * 1000)),
        "type": kind,
        "payload": payload or {},
        "duration_ms": 0,
        "token_usage": 0,
        "cost_usd": 0,
        "usage": {},
    }
    return known | fields


def log(*between: dict[str, Any], **end: Any) -> list[dict[str, Any]]:
    request = {"repo": "a/b", "mode": "edit_gated", "subagent_model": "small:1b"}
    payload = {"exit_reason": "completed", "stop_class": "clean"} | end
    return [
        event("run_queued", 0, {"request": request}),
        event("run_started", 1),
        *between,
        event("run_completed", 60, payload),
    ]


def test_a_plain_run_tells_what_it_was_and_how_it_ended():
    row = row_of(run_of(), log())
    assert row is not None
    assert (row.run_id, row.ended_at, row.kind, row.status) == ("run-1", AS_OF, "agent", "completed")
    assert (row.mode, row.repo, row.model, row.exit_reason) == (
        "edit_gated",
        "a/b",
        "llama3.1:8b",
        "completed",
    )
    assert row.used_models == ("llama3.1:8b", "small:1b")
    assert (row.first_event_ms, row.duration_ms, row.iterations) == (1_000, 59_000, None)


@pytest.mark.parametrize(
    "run",
    [run_of(kind=RunKind.CHECKPOINT), run_of(state=RunState.RUNNING), run_of(finished_at=None)],
    ids=["checkpoint", "running", "unfinished"],
)
def test_a_run_that_does_not_count_has_no_row(run):
    assert row_of(run, log()) is None


def test_a_run_that_never_started_has_no_duration():
    row = row_of(run_of(started_at=None, state=RunState.CANCELLED), [event("run_queued", 0)])
    assert row is not None
    assert (row.status, row.duration_ms, row.first_event_ms) == ("cancelled", None, None)


def test_usage_is_summed_and_unpriced_calls_are_counted_apart():
    priced = {"llm_calls": 2, "tool_calls": 1, "model": "big", "unpriced": False}
    row = row_of(
        run_of(),
        log(
            event("run_progress", 5, usage=priced, token_usage=100, cost_usd=0.25),
            event("run_progress", 6, usage={"llm_calls": 3, "unpriced": True}, token_usage=50, cost_usd=None),
            event("tool_call", 7, {"badge": "SUBAGENT"}),
            event("tool_result", 9, duration_ms=19_000),
        ),
    )
    assert row is not None
    assert (row.cost_micro_usd, row.unpriced, row.priced) == (250_000, True, False)
    assert (row.tokens, row.tool_calls, row.subagents) == (150, 1, 1)
    assert (row.llm_calls, row.unpriced_calls) == (5, 3)
    assert row.call_ms == (59_000 - 19_000) / 5
    assert "big" in row.used_models


def test_findings_are_counted_by_their_events_and_timed_until_they_are_resolved():
    def found(kind: str, second: float, key: str, **more: Any) -> dict[str, Any]:
        return event(kind, second, {"fingerprint": key, "finding": {"severity": "P1"}} | more)

    row = row_of(
        run_of(),
        log(
            found("finding_opened", 2, "one"),
            found("finding_opened", 3, "two"),
            found("finding_updated", 4, "two"),
            found("finding_resolved", 10, "one", resolution="fixed"),
            found("finding_resurfaced", 20, "one"),
            found("finding_resolved", 30, "one", resolution="waived"),
            found("finding_resolved", 33, "two", resolution="fixed"),
        ),
    )
    assert row is not None
    assert (row.findings_opened, row.findings_resolved, row.findings_fixed) == (2, 3, 2)
    assert (row.findings_resurfaced, row.close_ms) == (1, (8_000, 30_000))


def test_an_approval_settles_once_and_its_wait_is_no_work():
    def asked(kind: str, second: float, key: str, **more: Any) -> dict[str, Any]:
        return event(kind, second, {"approval_id": key} | more)

    row = row_of(
        run_of(),
        log(
            asked("approval_requested", 10, "a"),
            asked("approval_approved", 12, "a", decision="partial"),
            asked("approval_denied", 15, "a", decision="denied"),
            event("run_resumed", 15),
            asked("approval_requested", 20, "b"),
            asked("approval_expired", 30, "b"),
            event("run_resumed", 30),
            asked("approval_cancelled", 31, "nobody asked"),
        ),
    )
    assert row is not None
    assert (row.approvals_settled, row.approvals_denied, row.approvals_expired) == (2, 1, 1)
    assert (row.approval_ms, row.duration_ms) == ((5_000, 10_000), 44_000)


def test_a_loop_tells_its_iterations():
    row = row_of(
        run_of(kind=RunKind.LOOP),
        log(
            event("iteration_started", 2, {"iteration": 1}),
            event("iteration_completed", 3, {"record": {"index": 1}}),
            exit_reason="budget_exhausted",
            stop_class="budget_exhausted",
        ),
    )
    assert row is not None
    assert (row.iterations, row.stop_class) == (1, "budget_exhausted")
    without = row_of(run_of(kind=RunKind.LOOP), log())
    assert without is not None
    assert without.iterations == 0


def test_a_log_of_strange_members_still_gives_a_row():
    strange = [
        event("finding_opened", 2, {"finding": "none"}),
        event("finding_resolved", 3, {"fingerprint": 7}),
        event("approval_requested", 4, {"approval_id": None}),
        event("tool_result", 5, duration_ms="long"),
        event("a_type_of_tomorrow", 6) | {"usage": [], "ts": "yesterday"},
    ]
    row = row_of(run_of(), log(*strange))
    assert row is not None
    assert row.findings_opened == 1


def test_of_very_many_times_a_row_keeps_an_even_choice():
    pairs = [
        event(kind, second, {"fingerprint": str(number), "resolution": "fixed"})
        for number in range(2 * LONGEST_SAMPLE)
        for kind, second in (("finding_opened", 1), ("finding_resolved", 1 + number / 100))
    ]
    row = row_of(run_of(), log(*pairs))
    assert row is not None
    assert len(row.close_ms) == LONGEST_SAMPLE
    assert (row.close_ms[0], row.close_ms[-1]) == (0, 9_990)
    assert row == replace(row, findings_resolved=2 * LONGEST_SAMPLE)
