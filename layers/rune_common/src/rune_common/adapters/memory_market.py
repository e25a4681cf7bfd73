"""A market in this process, for trying out what is done with one: nothing is rented, faults come when told."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from rune_common.domain.gpu_market import Instance, Launch, MarketUnavailable, Offer, OfferGone, OfferQuery

FIRST_CONTRACT = 1001


@dataclass(slots=True)
class MemoryInstance:
    """`statuses` are shown one after the other, the last of them for good."""

    contract_id: str
    offer_id: int
    label: str | None
    launch: Launch | None = None
    statuses: list[str | None] = field(default_factory=lambda: ["running"])
    address: tuple[str, int] | None = ("127.0.0.1", 11434)
    started_at: int = 0
    deaf: int = 0


class MemoryMarket:
    """One account. `before` is called with the name of every call, and may raise what the provider would.

    `boots` are the statuses of the instances to come, in order; without any they run at once.
    """

    def __init__(self, offers: Iterable[Offer] = (), *, clock: Callable[[], int] = lambda: 0) -> None:
        self.offers = list(offers)
        self.instances: dict[str, MemoryInstance] = {}
        self.boots: list[list[str | None]] = []
        self.before: Callable[[str], None] = lambda _: None
        self.after_create: Callable[[MemoryInstance], None] = lambda _: None
        self.created: list[MemoryInstance] = []
        self._clock = clock
        self._ids = itertools.count(FIRST_CONTRACT)
        self._lock = threading.RLock()

    def search(self, query: OfferQuery) -> Sequence[Offer]:
        self.before("search")
        return list(self.offers)

    def create(self, offer_id: int, launch: Launch) -> str:
        self.before("create")
        with self._lock:
            if all(each.offer_id != offer_id for each in self.offers):
                raise OfferGone
            contract = str(next(self._ids))
            made = MemoryInstance(contract, offer_id, launch.label, launch, started_at=self._clock())
            if self.boots:
                made.statuses = self.boots.pop(0)
            self.instances[contract] = made
            self.created.append(made)
        self.after_create(made)
        return contract

    def get(self, contract_id: str) -> Instance | None:
        self.before("get")
        with self._lock:
            found = self.instances.get(contract_id)
            return None if found is None else self._shown(found)

    def list_owned(self) -> Sequence[Instance]:
        self.before("list")
        with self._lock:
            return [self._shown(each, step=False) for each in self.instances.values()]

    def label(self, contract_id: str, label: str) -> None:
        self.before("label")
        with self._lock:
            self.instances[contract_id].label = label

    def destroy(self, contract_id: str) -> None:
        self.before("destroy")
        with self._lock:
            found = self.instances.get(contract_id)
            if found is None:
                return
            if found.deaf:
                found.deaf -= 1
                raise MarketUnavailable("it does not listen")
            del self.instances[contract_id]

    def add_foreign(self, label: str | None, *, started_at: int = 0) -> str:
        """An instance that somebody else rented with this account."""
        contract = str(next(self._ids))
        self.instances[contract] = MemoryInstance(contract, 0, label, started_at=started_at)
        return contract

    def _shown(self, found: MemoryInstance, *, step: bool = True) -> Instance:
        status = found.statuses.pop(0) if step and len(found.statuses) > 1 else found.statuses[0]
        shown = Instance(found.contract_id, found.label, status, "running", started_at=found.started_at)
        return replace(shown, address=found.address) if status == "running" else shown
