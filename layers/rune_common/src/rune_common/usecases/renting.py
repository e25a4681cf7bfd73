"""What renting needs, and how the record of a rental changes (jobs-api.md 6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rune_common.domain.addresses import AddressPolicy
from rune_common.domain.events import EventDraft, Redacting
from rune_common.domain.finops import GpuQuotes
from rune_common.domain.gpu_market import GpuMarket
from rune_common.domain.ports import Clock, RunStore
from rune_common.domain.rentals import Rental, RentedRuns, with_rental
from rune_common.domain.runs import Run
from rune_common.domain.spend import SpendLedger, SpendLimits
from rune_common.usecases.change_run import Proposal
from rune_common.usecases.phase import Phase


@dataclass(frozen=True, slots=True)
class RentPorts:
    """Times in seconds. `limits` are the operator's own; a job's may be lower."""

    runs: RunStore
    market: GpuMarket
    rented: RentedRuns
    ledger: SpendLedger
    backends: AddressPolicy
    clock: Clock
    redactor: Redacting
    deployment_id: str
    limits: SpendLimits
    quotes: GpuQuotes
    poll_seconds: int = 10
    boot_timeout: int = 900
    recheck_seconds: int = 30
    teardown_timeout: int = 120


@dataclass(frozen=True, slots=True)
class Step:
    """What a step got to: `done`, or to be called again after so many seconds."""

    done: bool
    wait_seconds: int = 1


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of a job's rental, complete, as its submission stored them."""

    min_dph: float
    max_dph: float
    reliability: float
    vram_mb: int
    disk_gb: int
    template_hash: str
    stop_instance: bool
    lease_seconds: int
    timeout_seconds: int
    limits: SpendLimits
    max_cost_usd: float | None

    @classmethod
    def of(cls, document: Mapping[str, Any], server: SpendLimits) -> Terms | None:
        """None for a job that rents nothing."""
        rental = document.get("rental")
        if not isinstance(rental, Mapping):
            return None
        return cls(
            min_dph=float(rental["min_dph"]),
            max_dph=float(rental["max_dph"]),
            reliability=float(rental["reliability"]),
            vram_mb=int(rental["vram_mb"]),
            disk_gb=int(rental["disk_gb"]),
            template_hash=str(rental["template_hash"] or ""),
            stop_instance=bool(rental["stop_instance"]),
            lease_seconds=int(rental["lease_seconds"]),
            timeout_seconds=int(document["timeout_seconds"]),
            limits=server.lowered(rental["spend_limit_per_job_usd"], rental["spend_limit_per_day_usd"]),
            max_cost_usd=document.get("max_cost_usd"),
        )

    @property
    def kept_seconds(self) -> int:
        """How long the instance may stay after its job."""
        return 0 if self.stop_instance else self.lease_seconds


def save_rental(phase: Phase, rental: Rental, *drafts: EventDraft, **fields: Any) -> Rental:
    """Store a rental's new state with events and fields of its run, in one transaction."""
    phase.change(
        lambda run: Proposal(replace(run, rentals=with_rental(run.rentals, rental), **fields), drafts)
    )
    return rental


def open_rental(run: Run) -> Rental | None:
    """The one instance that may still cost something."""
    return next((rental for rental in reversed(run.rentals) if rental.open), None)
