"""A benchmark that rents, on memory adapters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.unit.agent_runs import REDACTOR, Time, changed, log, queued, stored

from rune_common.adapters.memory import MemoryRunStore
from rune_common.adapters.memory_market import MemoryMarket
from rune_common.adapters.memory_quotes import MemoryGpuQuotes
from rune_common.adapters.memory_rentals import MemoryRentedRuns
from rune_common.adapters.memory_spend import MemorySpendLedger
from rune_common.domain.addresses import AddressPolicy
from rune_common.domain.gpu_market import Offer
from rune_common.domain.rentals import Rental
from rune_common.domain.runs import Run, RunKind, RunState
from rune_common.domain.spend import SpendLimits, spend_day
from rune_common.usecases.acquire_backend import acquire_backend
from rune_common.usecases.renting import RentPorts, Step
from rune_common.usecases.teardown_backend import TeardownStep, teardown_backend

NOON = 1_760_000_000_000
DEPLOYMENT = "local-0123456789abcdef"
OFFERS = (
    Offer(11, 1.0, 24_564, 0.995, 200.0),
    Offer(12, 1.5, 24_564, 0.995, 200.0),
    Offer(13, 2.0, 24_564, 0.995, 200.0),
    Offer(14, 2.5, 24_564, 0.995, 200.0),
)
TERMS: dict[str, Any] = {
    "template_hash": "abc",
    "min_dph": 0.0,
    "max_dph": 3.0,
    "reliability": 0.99,
    "stop_instance": True,
    "lease_seconds": 3600,
    "vram_mb": 8000,
    "disk_gb": 41,
    "spend_limit_per_job_usd": 5.0,
    "spend_limit_per_day_usd": 25.0,
}


class Rented:
    """One run of a kind that rents. `step` and `finish` call what the state machine calls."""

    def __init__(
        self, kind: RunKind = RunKind.BENCHMARK, *, model: str = "llama3.1:8b", **terms: Any
    ) -> None:
        self.time = Time(NOON)
        self.store = MemoryRunStore()
        self.market = MemoryMarket(OFFERS, clock=self.time)
        self.quotes = MemoryGpuQuotes()
        self.ledger, self.rented = MemorySpendLedger(), MemoryRentedRuns()
        self.ports = RentPorts(
            runs=self.store,
            market=self.market,
            rented=self.rented,
            ledger=self.ledger,
            backends=AddressPolicy(("127.0.0.0/8",)),
            clock=self.time,
            redactor=REDACTOR,
            deployment_id=DEPLOYMENT,
            limits=SpendLimits.of_usd(5.0, 25.0),
            quotes=self.quotes,
        )
        self.document = {
            "rental": {**TERMS, **terms},
            "timeout_seconds": 3600,
            "max_cost_usd": None,
            "backend_url": None,
        }
        queued(self.store, "r", at=NOON, document=self.document, model=model)
        self.change(kind=kind, state=RunState.RUNNING, started_at=NOON, holds_slot=True, owner="me")

    @property
    def run(self) -> Run:
        return stored(self.store, "r")

    @property
    def rental(self) -> Rental:
        return self.run.rentals[-1]

    def change(self, **fields: Any) -> None:
        changed(self.store, "r", at=self.time(), **fields)

    def step(self) -> Step:
        return acquire_backend("t", "r", ports=self.ports)

    def acquire(self, until: Callable[[Step], bool] = lambda step: step.done, *, most: int = 200) -> None:
        """Step until it is done, waiting as the state machine does."""
        for _ in range(most):
            step = self.step()
            if until(step):
                return
            self.time.sleep(step.wait_seconds)
        raise AssertionError(f"not acquired: {self.run}")

    def teardown_step(self, error: str | None = None) -> TeardownStep:
        return teardown_backend("t", "r", error=error, ports=self.ports)

    def teardown(self, error: str | None = None, *, most: int = 200) -> TeardownStep:
        for _ in range(most):
            step = self.teardown_step(error)
            if step.done or step.again:
                return step
            self.time.sleep(step.wait_seconds)
        raise AssertionError("not torn down")

    def spent(self) -> int:
        return self.ledger.spent("t", spend_day(self.time()))

    def spans(self) -> list[str]:
        found = (event["payload"].get("span") for event in log(self.store, "r"))
        return [span["name"] for span in found if span]

    def lowered(self, **limits: float) -> None:
        """From now on the operator allows less."""
        self.ports = replace(self.ports, limits=SpendLimits.of_usd(**limits))


class Fault:
    """Raises an error before the calls of a name, so many times."""

    def __init__(self, name: str, error: Exception, times: int = 1) -> None:
        self.name, self.error, self.left = name, error, times

    def __call__(self, name: str) -> None:
        if name == self.name and self.left:
            self.left -= 1
            raise self.error
