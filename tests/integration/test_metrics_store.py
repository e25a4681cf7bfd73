"""Counters by day and by run (jobs-api.md 11), on every adapter."""

from __future__ import annotations

import pytest
from tests.integration.metric_samples import NEW_YEAR, sample
from tests.integration.run_samples import at_once

from rune_common.adapters.dynamodb import DynamoMetricsStore
from rune_common.adapters.memory import MemoryMetricsStore
from rune_common.domain.errors import RuneError
from rune_common.domain.metrics import MAX_NAMES, EventCounts, MetricsStore

ALL = {"first": "20260101", "last": "20260131"}


@pytest.fixture(params=["memory", "pydynox", "boto3"])
def metrics(request: pytest.FixtureRequest) -> MetricsStore:
    if request.param == "memory":
        return MemoryMetricsStore()
    client = request.getfixturevalue("table_clients")[request.param]
    return DynamoMetricsStore(request.getfixturevalue("tables").runs, client, retention_days=90)


def test_counters_tell_number_outcome_duration_and_the_newest_sample(metrics: MetricsStore) -> None:
    metrics.add("t", "a", [sample(1, ms=10), sample(2, ms=30, ok=False)])
    metrics.add("t", "b", [sample(3, ms=20)])
    expected = EventCounts(3, 1, 60.0, 10.0, 30.0, "b", "ok", NEW_YEAR + 3, 20.0)
    assert metrics.of_days("t", **ALL) == {"agent.ask": expected}
    assert (expected.ok, expected.avg_ms) == (2, 20.0)
    assert metrics.of_run("t", "a")["agent.ask"].total == 2
    assert metrics.of_run("t", "a")["agent.ask"].status == "error"


def test_an_event_that_is_delivered_again_counts_once(metrics: MetricsStore) -> None:
    batch = [sample(1), sample(2), sample(4)]
    metrics.add("t", "a", batch)
    metrics.add("t", "a", batch)
    metrics.add("t", "a", [*batch[1:], sample(7)])
    assert metrics.of_days("t", **ALL)["agent.ask"].total == 4
    assert metrics.of_run("t", "a")["agent.ask"].total == 4


def test_a_day_holds_its_own_events_and_a_window_its_own_days(metrics: MetricsStore) -> None:
    metrics.add("t", "a", [sample(1, day=1), sample(2, day=2), sample(3, day=3), sample(4, "other", day=3)])
    found = metrics.of_days("t", first="20260102", last="20260103")
    assert {name: counts.total for name, counts in found.items()} == {"agent.ask": 2, "other": 1}
    assert metrics.of_days("t", first="20260104", last="20260131") == {}


def test_a_tenant_has_its_own_counters(metrics: MetricsStore) -> None:
    metrics.add("t", "a", [sample(1)])
    assert metrics.of_days("u", **ALL) == {}
    assert metrics.of_run("u", "a") == {}
    assert metrics.of_run("t", "b") == {}


def test_nothing_is_lost_when_many_count_at_once(metrics: MetricsStore) -> None:
    answers = at_once(6, lambda turn: metrics.add("t", f"run-{turn}", [sample(1), sample(2)]))
    assert not [each for each in answers if isinstance(each, RuneError)]
    assert metrics.of_days("t", **ALL)["agent.ask"].total == 12


def test_names_without_number_do_not_make_a_row_without_bound(metrics: MetricsStore) -> None:
    metrics.add("t", "a", [sample(number + 1, f"n{number}") for number in range(MAX_NAMES + 50)])
    assert len(metrics.of_days("t", **ALL)) == MAX_NAMES
