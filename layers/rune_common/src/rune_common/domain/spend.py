"""The spend guard: what a job and a day may cost, decided before anything is rented (jobs-api.md 7.3).

Amounts are whole micro-USD. Costs are rounded up, limits and the time bought with them down: rounding never spends.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_FLOOR, Decimal
from typing import Protocol

from rune_common.domain.errors import SpendLimitExceeded
from rune_common.domain.money import HOUR_SECONDS, MICRO, exact, limit_micro_usd, micro_usd

_SMALLEST_PRICE_STEP = Decimal("0.000000001")


@dataclass(frozen=True, slots=True)
class SpendLimits:
    """What a tenant may spend: on one job, and on one day (UTC)."""

    per_job: int
    per_day: int

    @classmethod
    def of_usd(cls, per_job: float, per_day: float) -> SpendLimits:
        return cls(limit_micro_usd(per_job), limit_micro_usd(per_day))

    def lowered(self, per_job_usd: float | None = None, per_day_usd: float | None = None) -> SpendLimits:
        """These limits under a tenant's own, which only ever lower them. None: the tenant has none."""
        return SpendLimits(_lower(self.per_job, per_job_usd), _lower(self.per_day, per_day_usd))

    def job_limit(self, *, spent_today: int, max_cost_usd: float | None = None) -> int:
        """What one more job may cost now; 0 when the day's money is spent."""
        left = max(0, self.per_day - spent_today)
        return min(_lower(self.per_job, max_cost_usd), left)


def check_projection(min_dph: float, timeout_seconds: int, job_limit: int) -> None:
    """At submit: raises SpendLimitExceeded when even the cheapest allowed offer would pass the limit."""
    if job_limit <= 0 or micro_usd(_cost(min_dph, timeout_seconds)) > job_limit:
        raise SpendLimitExceeded


def price_cap(min_dph: float, max_dph: float, timeout_seconds: int, job_limit: int) -> Decimal:
    """The dearest offer that may be taken, in $/h (jobs-api.md 6.2). Raises SpendLimitExceeded."""
    affordable = job_limit / MICRO * HOUR_SECONDS / timeout_seconds
    cap = min(exact(max_dph), affordable.quantize(_SMALLEST_PRICE_STEP, ROUND_FLOOR))
    if cap <= 0 or cap < exact(min_dph):
        raise SpendLimitExceeded
    return cap


def reservation(dph: float | Decimal, timeout_seconds: int, lease_seconds: int, job_limit: int) -> int:
    """What is set aside before an instance is created: all that it may cost, at most the job's limit."""
    return min(micro_usd(_cost(dph, timeout_seconds + lease_seconds)), job_limit)


def accrued(dph: float | Decimal, elapsed_ms: int) -> int:
    """What an instance has cost so far. The limit is reached once this is no longer below it."""
    return micro_usd(_cost(dph, Decimal(max(0, elapsed_ms)) / 1000))


def lease_within(lease_seconds: int, dph: float | Decimal, accrued_so_far: int, job_limit: int) -> int:
    """How long an instance may be kept after its job, in whole seconds, for what is left of the limit."""
    left = max(0, job_limit - accrued_so_far)
    if micro_usd(_cost(dph, lease_seconds)) <= left:
        return lease_seconds
    # The whole quotient: a rounded one, multiplied again, could be a second too long.
    return int(left * HOUR_SECONDS // (exact(dph) * MICRO))


def spend_day(now_ms: int) -> str:
    """The UTC day to whose money a moment belongs, `yyyy-mm-dd`."""
    return datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y-%m-%d")


class SpendLedger(Protocol):
    """What each tenant has spent and set aside, by day. All of it is atomic; reads are consistent.

    A reservation belongs to (tenant, job, day). A job that rents again after settling uses another name, such as
    `<job id>/2`: a repeated settlement of its first instance then cannot touch the second one's money.
    """

    def reserve(self, tenant: str, job_id: str, amount_micro_usd: int, day: str, limit: int) -> None:
        """Set an amount aside, in place of what the job had set aside before.

        Raises SpendLimitExceeded when the day's total would pass `limit`; then nothing has changed.
        Parallel reservations cannot pass it together. Repeating a reservation changes nothing.
        """
        ...

    def settle(self, tenant: str, job_id: str, actual_micro_usd: int, day: str) -> None:
        """Put the real cost in place of the reservation. Without one, or a second time, it does nothing."""
        ...

    def spent(self, tenant: str, day: str) -> int:
        """Settled costs and open reservations of a day."""
        ...


def _lower(limit: int, other_usd: float | None) -> int:
    return limit if other_usd is None else min(limit, limit_micro_usd(other_usd))


def _cost(dph: float | Decimal, seconds: int | Decimal) -> Decimal:
    return exact(dph) * seconds / HOUR_SECONDS
