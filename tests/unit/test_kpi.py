"""`kpi` is a pure function of the rows (runs-api.md 8, 16; acceptance 27)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.kpi_samples import AS_OF, DAY, ended

from rune_common.domain.kpi import kpi
from rune_common.domain.kpi_metrics import METRICS, nearest_rank
from rune_common.domain.kpi_rows import EVIDENCE_SUFFIX, RunRow, pack, pack_evidence_check, read_rows, unpack

CONTRACT_KEYS = [
    "runs_total",
    "cost_usd_total",
    "runs_per_day",
    "cost_usd_per_day",
    "success_rate",
    "failure_rate",
    "cancel_rate",
    "findings_opened_per_day",
    "findings_closed_per_day",
    "finding_closure_rate",
    "resurfaced_rate",
    "time_to_close_p50_s",
    "time_to_close_p90_s",
    "time_to_first_event_p50_ms",
    "duration_p50_ms",
    "duration_p90_ms",
    "cost_per_run_usd",
    "cost_per_closed_finding_usd",
    "tokens_per_run",
    "tool_calls_per_run",
    "subagents_per_run",
    "iterations_per_loop",
    "loop_clean_rate",
    "budget_stop_rate",
    "approval_latency_p50_s",
    "approval_denial_rate",
    "approval_expiry_rate",
    "evidence_verified_rate",
    "reproducibility_rate",
    "unpriced_call_rate",
]


def metrics(rows, compare=7, baseline=28):
    return {each["key"]: each for each in kpi(rows, AS_OF, compare, baseline)["metrics"]}


def hand_made():
    """Six runs now (one cancelled, one failed, two loops) and five before."""
    now = [
        ended(
            1, repo="a/a", model="big", cost_micro_usd=100_000, tokens=1000, tool_calls=4, subagents=1, llm_calls=4,
            first_event_ms=100, duration_ms=1_000, findings_opened=4, findings_resolved=2, findings_fixed=1,
            findings_resurfaced=1, close_ms=(1_000, 3_000), approval_ms=(2_000, 8_000), approvals_settled=4,
            approvals_denied=1, approvals_expired=2, evidence_verified=True, evidence_reproduced=True,
        ),
        ended(
            DAY, repo="a/a", model="small", cost_micro_usd=300_000, tokens=500, llm_calls=1, duration_ms=2_000,
            first_event_ms=300, evidence_verified=True,
        ),
        ended(
            2 * DAY, mode="autonomous_gated", kind="loop", iterations=3, cost_micro_usd=None, unpriced=True,
            llm_calls=5, unpriced_calls=5, duration_ms=9_000, first_event_ms=200,
        ),
        ended(
            3 * DAY, mode="autonomous_gated", kind="loop", iterations=1, stop_class="budget_exhausted",
            exit_reason="budget_exhausted", cost_micro_usd=200_000, duration_ms=4_000,
        ),
        ended(
            4 * DAY, status="failed", exit_reason="failed", stop_class="infra_error", cost_micro_usd=0, duration_ms=500,
        ),
        ended(5 * DAY, status="cancelled", exit_reason="cancelled", stop_class="manual_stop", cost_micro_usd=0),
    ]  # fmt: skip
    before = [ended(8 * DAY, status="failed", cost_micro_usd=100_000, duration_ms=2_000) for _ in range(4)]
    return [*now, *before, ended(9 * DAY, cost_micro_usd=100_000, duration_ms=2_000)]


@pytest.mark.parametrize(
    ("key", "compare", "baseline", "n", "verdict"),
    [
        ("runs_total", 6, 5, (6, 5), "neutral"),
        ("cost_usd_total", 0.6, 0.5, (6, 5), "neutral"),
        ("runs_per_day", 0.857143, 0.178571, (6, 5), "neutral"),
        ("cost_usd_per_day", 0.085714, 0.017857, (6, 5), "neutral"),
        ("success_rate", 0.8, 0.2, (5, 5), "improved"),
        ("failure_rate", 0.2, 0.8, (5, 5), "improved"),
        ("cancel_rate", 0.166667, 0, (6, 5), "regressed"),
        ("findings_opened_per_day", 0.571429, 0, (6, 5), "neutral"),
        ("findings_closed_per_day", 0.285714, 0, (6, 5), "improved"),
        ("finding_closure_rate", 0.25, None, (4, 0), "insufficient_data"),
        ("resurfaced_rate", 0.5, None, (2, 0), "insufficient_data"),
        ("time_to_close_p50_s", 1, None, (2, 0), "insufficient_data"),
        ("time_to_close_p90_s", 3, None, (2, 0), "insufficient_data"),
        ("time_to_first_event_p50_ms", 200, None, (3, 0), "insufficient_data"),
        ("duration_p50_ms", 2_000, 2_000, (5, 5), "flat"),
        ("duration_p90_ms", 9_000, 2_000, (5, 5), "regressed"),
        ("cost_per_run_usd", 0.12, 0.1, (5, 5), "regressed"),
        ("cost_per_closed_finding_usd", 0.3, None, (2, 0), "insufficient_data"),
        ("tokens_per_run", 250, 0, (6, 5), "neutral"),
        ("tool_calls_per_run", 0.666667, 0, (6, 5), "neutral"),
        ("subagents_per_run", 0.166667, 0, (6, 5), "neutral"),
        ("iterations_per_loop", 2, None, (2, 0), "insufficient_data"),
        ("loop_clean_rate", 0.5, None, (2, 0), "insufficient_data"),
        ("budget_stop_rate", 0.5, None, (2, 0), "insufficient_data"),
        ("approval_latency_p50_s", 2, None, (2, 0), "insufficient_data"),
        ("approval_denial_rate", 0.25, None, (4, 0), "insufficient_data"),
        ("approval_expiry_rate", 0.5, None, (4, 0), "insufficient_data"),
        ("evidence_verified_rate", 0.333333, 0, (6, 5), "improved"),
        ("reproducibility_rate", 0.166667, 0, (6, 5), "improved"),
        ("unpriced_call_rate", 0.5, None, (10, 0), "insufficient_data"),
    ],
)
def test_the_figures_are_those_of_a_hand_made_table(key, compare, baseline, n, verdict):
    found = metrics(hand_made())[key]
    assert (found["compare"], found["baseline"]) == (compare, baseline)
    assert (found["n_compare"], found["n_baseline"]) == n
    assert found["verdict"] == verdict


def test_deltas_are_of_the_shown_values_and_raw_totals_have_none():
    found = metrics(hand_made())
    assert (found["success_rate"]["delta"], found["success_rate"]["delta_pct"]) == (0.6, 300)
    assert (found["cost_per_run_usd"]["delta"], found["cost_per_run_usd"]["delta_pct"]) == (0.02, 20)
    assert (found["cancel_rate"]["delta"], found["cancel_rate"]["delta_pct"]) == (0.166667, None)
    for key in ("runs_total", "cost_usd_total"):
        assert (found[key]["delta"], found[key]["delta_pct"]) == (None, None)


def test_every_metric_of_the_contract_is_there_in_its_order():
    assert [each.key for each in METRICS] == CONTRACT_KEYS
    assert list(metrics([])) == CONTRACT_KEYS


def test_empty_windows_give_nulls_and_too_little_to_judge_by():
    for key, found in metrics([]).items():
        assert found["verdict"] == "insufficient_data"
        assert (found["n_compare"], found["n_baseline"]) == (0, 0)
        if not key.endswith(("_total", "_per_day")):
            assert (found["compare"], found["baseline"], found["delta"], found["delta_pct"]) == (None,) * 4


def test_a_cost_that_nobody_knows_is_null_and_not_zero():
    found = metrics([ended(1, unpriced=True), ended(2, unpriced=True)])
    assert (found["cost_usd_total"]["compare"], found["cost_per_run_usd"]["compare"]) == (None, None)
    assert found["cost_usd_total"]["baseline"] == 0


@pytest.mark.parametrize(
    ("rate", "verdict"), [(1.0, "flat"), (1.009, "flat"), (1.011, "regressed"), (0.98, "improved")]
)
def test_a_change_under_one_percent_is_flat(rate, verdict):
    rows = [ended(1, duration_ms=round(100_000 * rate)) for _ in range(5)]
    rows += [ended(8 * DAY, duration_ms=100_000) for _ in range(5)]
    assert metrics(rows)["duration_p50_ms"]["verdict"] == verdict


@pytest.mark.parametrize(
    ("ago", "place"),
    [(0, None), (1, "compare"), (7 * DAY, "compare"), (7 * DAY + 1, "baseline"), (35 * DAY, "baseline"),
     (35 * DAY + 1, None), (-1, None)],
)  # fmt: skip
def test_a_run_on_a_windows_edge_counts_once(ago, place):
    found = metrics([ended(ago)])["runs_total"]
    assert {name for name in ("compare", "baseline") if found[name]} == ({place} if place else set())


def test_windows_are_adjacent_and_shown():
    found = kpi([], AS_OF, 1, 2)
    assert found["windows"]["compare"] == {
        "from": "2026-09-20T14:13:20.000Z", "to": "2026-09-21T14:13:20.000Z", "days": 1,
    }  # fmt: skip
    assert found["windows"]["baseline"] == {
        "from": "2026-09-18T14:13:20.000Z", "to": "2026-09-20T14:13:20.000Z", "days": 2,
    }  # fmt: skip
    assert (found["as_of"], found["open_runs"]) == ("2026-09-21T14:13:20.000Z", 0)
    assert found["definitions_version"] == "1"


def test_breakdowns_show_the_runs_of_the_compare_window():
    found = kpi(hand_made(), AS_OF, 7, 28)["breakdowns"]
    assert found["by_mode"] == {
        "audit_readonly": {"runs_total": 4, "success_rate": 0.666667, "cost_usd_total": 0.4},
        "autonomous_gated": {"runs_total": 2, "success_rate": 1, "cost_usd_total": 0.2},
    }
    assert list(found["by_repo"]) == ["none", "a/a"]
    assert found["by_repo"]["a/a"] == {"runs_total": 2, "success_rate": 1, "cost_usd_total": 0.4}
    assert found["by_exit_reason"]["cancelled"] == {
        "runs_total": 1, "success_rate": None, "cost_usd_total": 0,
    }  # fmt: skip


def test_what_is_not_among_the_first_twenty_keys_is_other():
    rows = [ended(1, model=f"m{number:02d}") for number in range(25)] + [ended(1, model="m24")]
    rows += [ended(1, model="other")]
    found = kpi(rows, AS_OF, 7, 28)["breakdowns"]["by_model"]
    assert list(found) == ["m24", *(f"m{number:02d}" for number in range(19)), "other"]
    assert found["other"]["runs_total"] == 6
    assert sum(each["runs_total"] for each in found.values()) == len(rows)


ROWS = st.lists(
    st.builds(
        ended,
        st.sampled_from([0, 1, DAY, 7 * DAY - 1, 7 * DAY, 7 * DAY + 1, 20 * DAY, 35 * DAY, 40 * DAY]),
        status=st.sampled_from(["completed", "failed", "cancelled"]),
        mode=st.sampled_from(["advice", "audit_readonly"]),
        model=st.sampled_from(["", "a", "b"]),
        cost_micro_usd=st.none() | st.integers(0, 10**9),
        unpriced=st.booleans(),
        duration_ms=st.none() | st.integers(0, 10**6),
        close_ms=st.lists(st.integers(0, 10**6), max_size=3).map(tuple),
        iterations=st.none() | st.integers(0, 9),
    ),
    max_size=12,
)


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert kpi(shuffled, AS_OF, 7, 28) == kpi(rows, AS_OF, 7, 28)


@given(ROWS)
def test_a_row_that_comes_twice_counts_once(rows):
    again = [replace(row) for row in rows]
    assert kpi([*rows, *again], AS_OF, 7, 28) == kpi(rows, AS_OF, 7, 28)


@given(ROWS, st.integers(1, 40), st.integers(1, 40))
def test_every_run_is_in_the_one_window_that_spans_its_end(rows, compare, baseline):
    found = metrics(rows, compare, baseline)["runs_total"]
    now = [row for row in rows if AS_OF - compare * DAY <= row.ended_at < AS_OF]
    both = [row for row in rows if AS_OF - (compare + baseline) * DAY <= row.ended_at < AS_OF]
    assert (found["compare"], found["compare"] + found["baseline"]) == (len(now), len(both))


@given(st.lists(st.integers(0, 1000), min_size=1), st.integers(1, 100))
def test_the_nearest_rank_is_one_of_the_values_with_enough_below_it(values, percent):
    found = nearest_rank(values, percent)
    assert found in values
    assert sum(value <= found for value in values) >= percent / 100 * len(values)
    assert sum(value < found for value in values) < percent / 100 * len(values)


def test_the_nearest_rank_of_five_values():
    assert [nearest_rank([15, 20, 35, 40, 50], percent) for percent in (5, 30, 40, 50, 100)] == [
        15,
        20,
        20,
        35,
        50,
    ]
    assert nearest_rank([], 50) is None


@given(ROWS)
def test_a_row_survives_its_storage(rows):
    assert [unpack(row.run_id, pack(row)) for row in rows] == rows


def test_a_stored_row_is_small_and_one_of_a_later_version_can_be_read():
    row = hand_made()[0]
    assert len(pack(row)) < 400
    assert unpack(row.run_id, pack(row).replace("{", '{"new":1,', 1)) == row


def test_an_evidence_check_belongs_to_its_run_and_waits_for_it():
    row = RunRow("run-1", AS_OF, "agent", "completed", "advice")
    check = ("run-1" + EVIDENCE_SUFFIX, pack_evidence_check(verified=True, reproduced=False))
    assert read_rows([check]) == []
    [found] = read_rows([check, ("run-1", pack(row))])
    assert (found.evidence_verified, found.evidence_reproduced) == (True, False)
