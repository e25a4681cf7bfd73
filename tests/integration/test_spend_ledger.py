"""What a tenant has spent and set aside, on every adapter (jobs-api.md 7.3; acceptance 23)."""

from __future__ import annotations

import pytest
from tests.integration.run_samples import DAY, NOON, at_once

from rune_common.adapters import dynamodb_keys as keys
from rune_common.adapters.dynamodb_spend import DynamoSpendLedger
from rune_common.adapters.memory_spend import MemorySpendLedger
from rune_common.domain.errors import SpendLimitExceeded
from rune_common.domain.spend import spend_day

TODAY, TOMORROW = spend_day(NOON), spend_day(NOON + DAY)
LIMIT = 25_000_000
DOLLAR = 1_000_000


@pytest.fixture(params=["memory", "pydynox", "boto3"])
def ledger(request):
    if request.param == "memory":
        return MemorySpendLedger()
    table = request.getfixturevalue("tables").runs
    return DynamoSpendLedger(
        table, request.getfixturevalue("table_clients")[request.param], retention_days=90
    )


def test_nothing_is_spent_at_first(ledger):
    assert ledger.spent("default", TODAY) == 0


def test_a_reservation_counts_as_spent_until_the_real_cost_takes_its_place(ledger):
    ledger.reserve("default", "job-1", 3 * DOLLAR, TODAY, LIMIT)
    ledger.reserve("default", "job-2", 4 * DOLLAR, TODAY, LIMIT)
    assert ledger.spent("default", TODAY) == 7 * DOLLAR
    ledger.settle("default", "job-1", 1_234_567, TODAY)
    assert ledger.spent("default", TODAY) == 4 * DOLLAR + 1_234_567


def test_a_reservation_that_would_pass_the_limit_changes_nothing(ledger):
    with pytest.raises(SpendLimitExceeded):
        ledger.reserve("default", "job-1", LIMIT + 1, TODAY, LIMIT)
    assert ledger.spent("default", TODAY) == 0
    ledger.reserve("default", "job-1", LIMIT, TODAY, LIMIT)
    with pytest.raises(SpendLimitExceeded):
        ledger.reserve("default", "job-2", 1, TODAY, LIMIT)
    assert ledger.spent("default", TODAY) == LIMIT


def test_repeating_a_reservation_changes_nothing_even_when_the_day_is_full(ledger):
    ledger.reserve("default", "job-1", LIMIT, TODAY, LIMIT)
    ledger.reserve("default", "job-1", LIMIT, TODAY, LIMIT)
    assert ledger.spent("default", TODAY) == LIMIT


@pytest.mark.parametrize("amount", [2 * DOLLAR, 4 * DOLLAR])
def test_a_job_that_reserves_again_replaces_its_amount(ledger, amount):
    ledger.reserve("default", "job-1", 3 * DOLLAR, TODAY, LIMIT)
    ledger.reserve("default", "job-1", amount, TODAY, LIMIT)
    assert ledger.spent("default", TODAY) == amount
    ledger.settle("default", "job-1", 0, TODAY)
    assert ledger.spent("default", TODAY) == 0


def test_replacing_an_amount_keeps_to_the_limit(ledger):
    ledger.reserve("default", "job-1", 20 * DOLLAR, TODAY, LIMIT)
    ledger.reserve("default", "job-2", 5 * DOLLAR, TODAY, LIMIT)
    with pytest.raises(SpendLimitExceeded):
        ledger.reserve("default", "job-1", 20 * DOLLAR + 1, TODAY, LIMIT)
    assert ledger.spent("default", TODAY) == LIMIT


def test_a_second_settlement_and_one_without_a_reservation_do_nothing(ledger):
    ledger.settle("default", "job-1", DOLLAR, TODAY)
    assert ledger.spent("default", TODAY) == 0
    ledger.reserve("default", "job-1", 3 * DOLLAR, TODAY, LIMIT)
    ledger.settle("default", "job-1", DOLLAR, TODAY)
    ledger.settle("default", "job-1", DOLLAR, TODAY)
    ledger.settle("default", "job-2", DOLLAR, TODAY)
    assert ledger.spent("default", TODAY) == DOLLAR


def test_a_real_cost_above_the_reservation_is_counted_in_full(ledger):
    ledger.reserve("default", "job-1", DOLLAR, TODAY, DOLLAR)
    ledger.settle("default", "job-1", 2 * DOLLAR, TODAY)
    assert ledger.spent("default", TODAY) == 2 * DOLLAR
    with pytest.raises(SpendLimitExceeded):
        ledger.reserve("default", "job-2", 1, TODAY, DOLLAR)


def test_a_settled_job_may_reserve_anew_beside_what_it_has_cost(ledger):
    ledger.reserve("default", "job-1", 3 * DOLLAR, TODAY, LIMIT)
    ledger.settle("default", "job-1", DOLLAR, TODAY)
    ledger.reserve("default", "job-1/2", 4 * DOLLAR, TODAY, LIMIT)
    ledger.settle("default", "job-1", DOLLAR, TODAY)
    assert ledger.spent("default", TODAY) == 5 * DOLLAR


def test_tenants_and_days_do_not_see_each_other(ledger):
    ledger.reserve("default", "job-1", LIMIT, TODAY, LIMIT)
    ledger.reserve("teamb", "job-1", DOLLAR, TODAY, LIMIT)
    ledger.reserve("default", "job-1", DOLLAR, TOMORROW, LIMIT)
    assert ledger.spent("default", TODAY) == LIMIT
    assert ledger.spent("teamb", TODAY) == ledger.spent("default", TOMORROW) == DOLLAR


def test_parallel_reservations_never_pass_the_limit_together(ledger):
    def reserve(turn):
        ledger.reserve("default", f"job-{turn}", 4 * DOLLAR, TODAY, LIMIT)
        return turn

    outcomes = at_once(16, reserve)
    admitted = [each for each in outcomes if isinstance(each, int)]
    refused = [each for each in outcomes if isinstance(each, SpendLimitExceeded)]
    assert (len(admitted), len(refused)) == (6, 10)
    assert ledger.spent("default", TODAY) == 24 * DOLLAR


def test_one_job_reserved_and_settled_by_many_at_once_counts_once(ledger):
    reserved = at_once(8, lambda _: ledger.reserve("default", "job-1", 4 * DOLLAR, TODAY, LIMIT))
    assert reserved == [None] * 8
    assert ledger.spent("default", TODAY) == 4 * DOLLAR
    settled = at_once(8, lambda _: ledger.settle("default", "job-1", DOLLAR, TODAY))
    assert settled == [None] * 8
    assert ledger.spent("default", TODAY) == DOLLAR


def test_settling_and_reserving_at_once_loses_nothing(ledger):
    for turn in range(8):
        ledger.reserve("default", f"old-{turn}", 2 * DOLLAR, TODAY, LIMIT)

    def both(turn):
        if turn % 2:
            ledger.settle("default", f"old-{turn // 2}", DOLLAR, TODAY)
        else:
            ledger.reserve("default", f"new-{turn}", DOLLAR, TODAY, LIMIT)

    assert at_once(16, both) == [None] * 16
    assert ledger.spent("default", TODAY) == 16 * DOLLAR


def test_a_day_is_forgotten_after_the_retention(tables, table_clients):
    ledger = DynamoSpendLedger(tables.runs, table_clients["pydynox"], retention_days=90)
    ledger.reserve("default", "job-1", DOLLAR, TODAY, LIMIT)
    item = table_clients["pydynox"].get(tables.runs, keys.spend_key("default", TODAY))
    assert 90 * DAY < item["ttl"] * 1000 - NOON < 92 * DAY
