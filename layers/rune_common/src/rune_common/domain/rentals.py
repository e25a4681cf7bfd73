"""What a run has rented: one record per instance, from before it was asked for (jobs-api.md 4.10 G2, 6.3)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from rune_common.domain.spend import accrued

MAX_INSTANCES = 3
"""Created instances per job (jobs-api.md 6.3)."""


class RentalState(StrEnum):
    CREATING = "creating"
    RUNNING = "running"
    DESTROY_PENDING = "destroy_pending"
    DESTROYED = "destroyed"


@dataclass(frozen=True, slots=True)
class Rental:
    """One instance, or the wish for one. Times are epoch ms, the price is in micro-USD per hour.

    `contract_id` "" until the provider's answer is known; it costs from `created_at` to `destroyed_at`.
    `unclear_since`: nobody knows whether the create call succeeded. `odd_polls` counts looks in a row at which
    the instance was absent or `unknown`; `mapped_by` is when its port must be mapped, once it runs.
    `ready_at`: its address is known. `reservation` is its name in the ledger, where money of `spend_day` was set
    aside; the job may not cost more than `limit_micro_usd` with it. `relabelled`: its label was set once more.
    `said` is the provider's last word about its start.
    """

    label: str
    offer_id: int
    dph_micro_usd: int
    intended_at: int
    spend_day: str
    reservation: str
    limit_micro_usd: int
    state: RentalState = RentalState.CREATING
    provider: str = "vastai"
    contract_id: str = ""
    created_at: int | None = None
    unclear_since: int | None = None
    odd_polls: int = 0
    mapped_by: int | None = None
    ready_at: int | None = None
    destroying_since: int | None = None
    destroyed_at: int | None = None
    settled: bool = False
    lease_expires_at: int | None = None
    verified: bool = False
    relabelled: bool = False
    said: str = ""

    @property
    def open(self) -> bool:
        """Whether it may still cost something."""
        return self.state is not RentalState.DESTROYED

    @property
    def dph(self) -> float:
        return self.dph_micro_usd / 1_000_000

    @property
    def released(self) -> bool:
        """Whether its lease was ended before its time."""
        return self.state is RentalState.DESTROY_PENDING and self.lease_expires_at is not None

    def leased(self, now_ms: int) -> bool:
        """Whether it is kept after its job."""
        return self.lease_expires_at is not None and now_ms < self.lease_expires_at

    def cost_micro_usd(self, now_ms: int) -> int:
        """What it has cost until now, from the create call to the confirmed end (G5)."""
        if self.created_at is None:
            return 0
        until = self.destroyed_at if self.destroyed_at is not None else now_ms
        return accrued(self.dph, until - self.created_at)


def with_rental(rentals: tuple[Rental, ...], rental: Rental) -> tuple[Rental, ...]:
    """The rentals with this one in place of its earlier state, or at the end."""
    if any(each.reservation == rental.reservation for each in rentals):
        return tuple(rental if each.reservation == rental.reservation else each for each in rentals)
    return (*rentals, rental)


def total_cost(rentals: tuple[Rental, ...], now_ms: int) -> int:
    """What all of them have cost until now, in micro-USD."""
    return sum(rental.cost_micro_usd(now_ms) for rental in rentals)


class RentedRuns(Protocol):
    """Which tenant's run an instance is for: its label names the run only. Raises Unavailable."""

    def note(self, run_id: str, tenant: str, *, expires_at: int) -> None:
        """Remember it, before anything is rented, until `expires_at` (epoch seconds) at least."""
        ...

    def tenant_of(self, run_id: str) -> str | None: ...
