"""What may be spent, as pure functions (jobs-api.md 7.3, 6.2; acceptance 23)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rune_common.adapters.memory_spend import MemorySpendLedger
from rune_common.domain.errors import SpendLimitExceeded
from rune_common.domain.spend import (
    SpendLimits,
    accrued,
    check_projection,
    lease_within,
    price_cap,
    reservation,
    spend_day,
)

DOLLAR = 1_000_000
LIMITS = SpendLimits.of_usd(5.00, 25.00)


def test_a_job_may_cost_the_least_of_its_limit_its_request_and_what_is_left_of_the_day():
    assert LIMITS.job_limit(spent_today=0) == 5 * DOLLAR
    assert LIMITS.job_limit(spent_today=0, max_cost_usd=1.5) == 1_500_000
    assert LIMITS.job_limit(spent_today=0, max_cost_usd=50.0) == 5 * DOLLAR
    assert LIMITS.job_limit(spent_today=23 * DOLLAR) == 2 * DOLLAR
    assert LIMITS.job_limit(spent_today=26 * DOLLAR) == 0


def test_a_tenant_lowers_its_limits_and_never_raises_them():
    assert LIMITS.lowered() == LIMITS
    assert LIMITS.lowered(2.0, 10.0) == SpendLimits(2 * DOLLAR, 10 * DOLLAR)
    assert LIMITS.lowered(6.0, 100.0) == LIMITS
    assert LIMITS.lowered(0.0).job_limit(spent_today=0) == 0


def test_a_job_whose_cheapest_offer_passes_the_limit_is_refused_at_submit():
    with pytest.raises(SpendLimitExceeded):
        check_projection(6.0, 3600, LIMITS.job_limit(spent_today=0))
    check_projection(6.0, 3000, LIMITS.job_limit(spent_today=0))
    with pytest.raises(SpendLimitExceeded):
        check_projection(6.0, 3001, LIMITS.job_limit(spent_today=0))


def test_a_job_is_refused_when_nothing_is_left_of_the_day():
    with pytest.raises(SpendLimitExceeded):
        check_projection(0.0, 3600, LIMITS.job_limit(spent_today=25 * DOLLAR))
    check_projection(0.0, 3600, LIMITS.job_limit(spent_today=25 * DOLLAR - 1))


def test_the_price_cap_is_what_the_limit_affords_for_the_whole_timeout():
    assert price_cap(0.0, 3.0, 3600, 5 * DOLLAR) == 3
    assert price_cap(0.0, 10.0, 3600, 5 * DOLLAR) == 5
    assert price_cap(0.0, 10.0, 7200, 5 * DOLLAR) == Decimal("2.5")
    assert price_cap(2.5, 10.0, 7200, 5 * DOLLAR) == Decimal("2.5")


@pytest.mark.parametrize(
    ("low", "high", "limit"), [(6.0, 10.0, 5 * DOLLAR), (0.0, 3.0, 0), (0.0, 0.0, 5 * DOLLAR)]
)
def test_a_cap_below_the_lowest_price_is_no_cap(low, high, limit):
    with pytest.raises(SpendLimitExceeded):
        price_cap(low, high, 3600, limit)


def test_the_reservation_covers_timeout_and_lease_up_to_the_limit():
    assert reservation(2.9, 3600, 0, 5 * DOLLAR) == 2_900_000
    assert reservation(2.0, 3600, 3600, 5 * DOLLAR) == 4 * DOLLAR
    assert reservation(2.9, 3600, 3600, 5 * DOLLAR) == 5 * DOLLAR
    assert reservation(0.1, 10, 0, 5 * DOLLAR) == 278


def test_what_has_accrued_is_never_understated():
    assert accrued(3.0, 3_600_000) == 3 * DOLLAR
    assert accrued(2.9, 1) == 1
    assert accrued(2.9, -5) == 0
    assert accrued(5.0, 3_600_000) >= LIMITS.per_job > accrued(5.0, 3_599_999)


def test_a_lease_ends_when_the_limit_is_used_up():
    assert lease_within(3600, 2.0, 1 * DOLLAR, 5 * DOLLAR) == 3600
    assert lease_within(3600, 2.0, 4 * DOLLAR, 5 * DOLLAR) == 1800
    assert lease_within(3600, 2.9, 4_999_999, 5 * DOLLAR) == 0
    assert lease_within(3600, 2.0, 6 * DOLLAR, 5 * DOLLAR) == 0
    assert lease_within(3600, 0.0, 0, 5 * DOLLAR) == 3600


def test_a_day_is_a_day_in_utc():
    assert spend_day(1_790_000_000_000) == "2026-09-21"
    assert spend_day(0) == "1970-01-01"
    assert spend_day(86_399_999) == "1970-01-01"
    assert spend_day(86_400_000) == "1970-01-02"


PRICES = st.decimals("0.01", "128", places=4).map(float)


@given(PRICES, st.integers(10, 14_400), st.integers(0, 86_400), st.integers(1, 100 * DOLLAR))
def test_an_offer_within_the_cap_is_paid_by_its_reservation_until_the_timeout(dph, timeout, lease, limit):
    cap = price_cap(0.0, dph, timeout, limit)
    assert accrued(cap, timeout * 1000) <= limit
    held = reservation(cap, timeout, lease, limit)
    assert held <= limit
    kept = lease_within(lease, cap, accrued(cap, timeout * 1000), limit)
    assert accrued(cap, (timeout + kept) * 1000) <= held


@given(st.lists(st.tuples(PRICES, st.integers(10, 14_400)), max_size=20))
def test_jobs_of_a_day_never_pass_its_limit_together(jobs):
    ledger = MemorySpendLedger()
    for turn, (dph, timeout) in enumerate(jobs):
        limit = LIMITS.job_limit(spent_today=ledger.spent("default", "d"))
        try:
            cap = price_cap(0.0, dph, timeout, limit)
            ledger.reserve("default", str(turn), reservation(cap, timeout, 0, limit), "d", LIMITS.per_day)
        except SpendLimitExceeded:
            continue
        assert cap <= Decimal(str(dph))
    assert ledger.spent("default", "d") <= LIMITS.per_day
