"""Daily rows on every adapter, and the count of open runs (runs-api.md 8)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.integration.run_samples import at_once, moved, stored

from rune_common.adapters import dynamodb_daily_rows as adapter
from rune_common.adapters import dynamodb_keys as keys
from rune_common.adapters.dynamodb_daily_rows import DynamoDailyRows
from rune_common.adapters.dynamodb_open_runs import DynamoOpenRuns
from rune_common.adapters.memory_daily_rows import MemoryDailyRows
from rune_common.domain.daily_rows import day_of
from rune_common.domain.runs import RunKind, RunState

DAY = "2026-09-21"
TEXT = '{"e":1790000000000,"k":"agent"}'


@pytest.fixture(params=["memory", "pydynox", "boto3"])
def rows(request):
    if request.param == "memory":
        return MemoryDailyRows()
    table = request.getfixturevalue("tables").runs
    return DynamoDailyRows(table, request.getfixturevalue("table_clients")[request.param])


@pytest.fixture
def dynamo(tables, table_clients):
    return DynamoDailyRows(tables.runs, table_clients["pydynox"])


def found(
    rows, first: str = DAY, last: str = DAY, series: str = "KPI", tenant: str = "default"
) -> dict[str, str]:
    pairs = list(rows.between(tenant, series, first, last))
    assert len(pairs) == len(dict(pairs))
    return dict(pairs)


def items(tables, table_clients, day: str = DAY) -> list[dict[str, Any]]:
    low, high = keys.daily_range("KPI", day, day)
    values = {":of": "T#default", ":low": low, ":high": high}
    return list(table_clients["boto3"].query(tables.runs, keys.DAILY, values, page=50))


def test_a_day_without_rows_is_empty(rows):
    assert found(rows, "2026-01-01", "2026-12-31") == {}


def test_rows_come_back_by_tenant_series_and_day(rows):
    rows.add("default", "KPI", DAY, "run-1", TEXT)
    rows.add("default", "KPI", "2026-09-22", "run-2", "2")
    rows.add("default", "KPI", "2026-10-01", "run-3", "3")
    rows.add("default", "OTHER", DAY, "run-1", "another series")
    rows.add("teamb", "KPI", DAY, "run-1", "another tenant")
    assert found(rows) == {"run-1": TEXT}
    assert found(rows, DAY, "2026-09-30") == {"run-1": TEXT, "run-2": "2"}
    assert set(found(rows, "2026-09-22", "2026-10-01")) == {"run-2", "run-3"}
    assert found(rows, series="OTHER") == {"run-1": "another series"}
    assert found(rows, tenant="teamb") == {"run-1": "another tenant"}
    assert found(rows, series="KP") == {}


def test_a_row_that_is_added_again_stays_as_it_was(rows):
    rows.add("default", "KPI", DAY, "run-1", TEXT)
    rows.add("default", "KPI", DAY, "run-1", "changed")
    assert found(rows) == {"run-1": TEXT}


def test_rows_of_a_day_are_packed_and_a_full_item_takes_no_more(dynamo, tables, table_clients):
    for number in range(60):
        dynamo.add("default", "KPI", DAY, f"run-{number:03d}", "x" * 200)
    assert set(found(dynamo)) == {f"run-{number:03d}" for number in range(60)}
    packed = items(tables, table_clients)
    assert [each["sk"] for each in packed] == [f"KPI#{DAY}#{part:04d}" for part in range(len(packed))]
    assert len(packed) == 4
    assert all(each["taken"] < adapter.FULL_BYTES + 220 for each in packed)


def test_a_row_that_is_added_again_after_its_item_was_full_is_read_once(dynamo):
    for number in range(20):
        dynamo.add("default", "KPI", DAY, f"run-{number:03d}", "x" * 200)
    dynamo.add("default", "KPI", DAY, "run-000", "x" * 200)
    assert len(found(dynamo)) == 20


def test_rows_that_are_added_at_once_are_all_kept(rows):
    failed = at_once(12, lambda turn: rows.add("default", "KPI", DAY, f"run-{turn % 8:02d}", "x" * 1500))
    assert failed == [None] * 12
    assert set(found(rows)) == {f"run-{number:02d}" for number in range(8)}


def test_items_outlive_the_two_longest_windows(dynamo, tables, table_clients):
    dynamo.add("default", "KPI", DAY, "run-1", TEXT)
    [item] = items(tables, table_clients)
    kept_until = day_of(int(item["ttl"]) * 1000)
    assert kept_until == "2028-11-29"


def test_open_runs_are_counted_without_checkpoints(run_store, request):
    counter = (
        run_store
        if hasattr(run_store, "open_runs")
        else DynamoOpenRuns(
            request.getfixturevalue("tables").runs, request.getfixturevalue("table_clients")["pydynox"]
        )
    )
    assert counter.open_runs("default") == 0
    agents = [stored(run_store) for _ in range(3)]
    stored(run_store, kind=RunKind.CHECKPOINT)
    stored(run_store, "teamb")
    moved(run_store, agents[0], RunState.CANCELLED)
    moved(run_store, agents[1], RunState.RUNNING)
    assert counter.open_runs("default") == 2
    assert counter.open_runs("teamb") == 1
    assert counter.open_runs("nobody") == 0
