"""What runs have rented, on every adapter (jobs-api.md 4.10 G2, 6.5)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.integration.run_samples import NOON, change_of, stored

from rune_common.adapters.dynamodb_rentals import DynamoRentedRuns
from rune_common.adapters.memory_rentals import MemoryRentedRuns
from rune_common.domain.rentals import Rental, RentalState
from rune_common.domain.runs import PhaseRecord, RunKind, RunState

INTENT = Rental(
    label="rune/local-0123456789abcdef/r/1760000000",
    offer_id=7_100_103,
    dph_micro_usd=220_000,
    intended_at=NOON,
    spend_day="2026-09-21",
    reservation="r/1",
    limit_micro_usd=5_000_000,
)
FULL = replace(
    INTENT,
    reservation="r/2",
    state=RentalState.DESTROY_PENDING,
    contract_id="27000001",
    created_at=NOON + 1,
    unclear_since=NOON + 2,
    odd_polls=1,
    mapped_by=NOON + 3,
    ready_at=NOON + 4,
    destroying_since=NOON + 5,
    destroyed_at=NOON + 6,
    settled=True,
    lease_expires_at=NOON + 7,
    verified=True,
    relabelled=True,
    said="pulling fs layer",
)


@pytest.fixture(params=["memory", "pydynox", "boto3"])
def rented(request):
    if request.param == "memory":
        return MemoryRentedRuns()
    table = request.getfixturevalue("tables").runs
    return DynamoRentedRuns(table, request.getfixturevalue("table_clients")[request.param])


def test_a_run_that_rented_nothing_is_unknown(rented):
    assert rented.tenant_of("r") is None


def test_whose_run_an_instance_is_for_is_remembered(rented):
    rented.note("r", "teamb", expires_at=1_760_000_000)
    rented.note("r", "teamb", expires_at=1_760_000_600)
    rented.note("other", "default", expires_at=1_760_000_000)
    assert rented.tenant_of("r") == "teamb"


def test_rentals_phases_and_address_are_read_as_they_were_written(run_store):
    run = stored(run_store, kind=RunKind.BENCHMARK, state=RunState.RUNNING)
    change = change_of(
        run,
        rentals=(INTENT, FULL),
        phases=(PhaseRecord("admit", "ok", 0), PhaseRecord("acquire", "error", 1236)),
        backend_url="http://127.0.0.1:40123",
        phase_since=NOON + 9,
    )
    run_store.commit(change)
    found = run_store.get(run.tenant, run.run_id)
    assert found == change.after
    assert [type(each.dph_micro_usd) for each in found.rentals] == [int, int]


def test_a_rental_may_change_after_its_run_has_ended(run_store):
    run = stored(
        run_store, kind=RunKind.BENCHMARK, state=RunState.SUCCEEDED, finished_at=NOON, rentals=(FULL,)
    )
    gone = replace(FULL, state=RentalState.DESTROYED)
    run_store.commit(change_of(run, rentals=(gone,)))
    assert run_store.get(run.tenant, run.run_id).rentals == (gone,)
