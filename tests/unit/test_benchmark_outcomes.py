"""What a benchmark found, as its JSON line and as a part of the page."""

from __future__ import annotations

import json

import pytest
from benchmarks.outcome import Outcome, read_outcome, run_benchmark
from benchmarks.page import page

OUTCOME = Outcome("idle_memory", {"resident_mb": 160.5, "spare": 1.0}, {"resident_mb": "<= 150"})


def test_an_aim_is_met_at_its_bound() -> None:
    outcome = Outcome("x", {"low": 100, "high": 400}, {"low": "<= 100", "high": ">= 400"})

    assert outcome.met == {"low": True, "high": True}


def test_an_aim_is_missed_beyond_its_bound() -> None:
    outcome = Outcome("x", {"low": 100.1, "high": 399.9}, {"low": "<= 100", "high": ">= 400"})

    assert outcome.met == {"low": False, "high": False}


def test_the_line_tells_what_was_found_and_what_was_aimed_at() -> None:
    assert json.loads(OUTCOME.line()) == {
        "benchmark": "idle_memory",
        "results": {"resident_mb": 160.5, "spare": 1.0},
        "aims": {"resident_mb": "<= 150"},
        "met": {"resident_mb": False},
    }


def test_the_outcome_is_read_from_the_last_line() -> None:
    assert read_outcome(f"a word before\n{OUTCOME.line()}\n") == OUTCOME


def test_output_without_an_outcome_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing"):
        read_outcome("\n")


def test_a_benchmark_that_misses_its_aim_has_run_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    status = run_benchmark("x", {"ms": "<= 1"}, lambda quick: {"ms": 0.5 if quick else 12.3456}, [])

    assert status == 0
    assert read_outcome(capsys.readouterr().out) == Outcome("x", {"ms": 12.3}, {"ms": "<= 1"})


def test_the_page_marks_a_missed_aim_and_leaves_the_rest_unmarked() -> None:
    found = page([OUTCOME])

    assert "| `resident_mb` | 160.5 | <= 150 | **no** |" in found
    assert "| `spare` | 1 |  |  |" in found
