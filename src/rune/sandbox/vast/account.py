"""The account: what it has rented, what it may do with it, and what that costs."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rune.sandbox.vast.faults import Quirk
from rune.sandbox.vast.launch import ENV_FORMS, Launch, read_label, read_launch
from rune.sandbox.vast.ledger import LedgerEntry
from rune.sandbox.vast.market import Market
from rune.sandbox.vast.offers import Json, Offer, VolumeOffer
from rune.sandbox.vast.refusal import Refused, invalid, no_credit, no_such_instance
from rune.sandbox.vast.rentals import Boot, Fate, Instance, Rental, Volume, volume_dph
from rune.sandbox.vast.templates import Template, read_template

FIRST_ID = 27_000_001
FOREIGN_MACHINE = Offer(0, 61000, "RTX A5000", 1, 24564, 0.31)


class Account:
    """All methods take `now` in clock seconds and may be called from several threads at once."""

    def __init__(
        self,
        market: Market,
        templates: Iterable[Template],
        *,
        boot: Boot,
        credit: float,
        env_forms: Sequence[str] = ENV_FORMS,
    ) -> None:
        self.boot = boot
        self._market = market
        self._credit = credit
        self._env_forms = env_forms
        self._lock = threading.RLock()
        self._ids = itertools.count(FIRST_ID)
        self._templates = {each.hash_id: each for each in templates}
        self._instances: dict[int, Instance] = {}
        self._volumes: dict[int, Volume] = {}

    # Instances.

    def rent(self, offer_id: int, body: Mapping[str, Any], quirk: Quirk, now: float) -> Instance:
        """Make a contract for an offer; Refused for a gone offer, a stale price, a bad request, no credit."""
        with self._lock:
            offer = self._market.offer(offer_id)
            launch = read_launch(body, self._templates, env_forms=self._env_forms)
            taken = offer.taken or offer_id in self.rented_offers()
            if taken and launch.cancel_unavail:
                raise self._market.no_such_ask(offer_id)
            self._market.check_price(offer, launch.price)
            if launch.disk > offer.disk_space:
                raise invalid(f"disk: the machine has {offer.disk_space:g} GB left")
            if launch.volume_id is not None:
                self._check_attachable(launch.volume_id, offer)
            if self.balance(now) <= 0:
                raise no_credit()
            instance = self._contract(offer, launch, quirk, now)
            if taken:
                # Nobody said to cancel: the contract waits, and costs, until the machine is free.
                instance.fate = Fate(0, None)
            return instance

    def add_foreign_instance(self, label: str | None, age_seconds: float, now: float) -> Instance:
        """An instance of someone else's, of at least that age and old enough to have booted."""
        with self._lock:
            launch = Launch("pytorch/pytorch:latest", label=label)
            since = now - max(age_seconds, self.boot.running_after)
            instance = self._contract(FOREIGN_MACHINE, launch, Quirk(), since)
            instance.foreign = True
            return instance

    def _contract(self, offer: Offer, launch: Launch, quirk: Quirk, now: float) -> Instance:
        instance = Instance(
            id=next(self._ids),
            kind="instance",
            label=None if quirk.label_missing else launch.label,
            dph=offer.dph_total,
            rented_at=now,
            offer=offer,
            launch=launch,
            boot=self.boot,
            powered_at=now,
            stopped=launch.stopped,
            fate=quirk.fate,
            ports_missing=quirk.ports_missing,
            label_refused=quirk.label_refused,
        )
        self._instances[instance.id] = instance
        return instance

    def instances(self, at: float) -> list[Instance]:
        """The contracts open at that time, by id."""
        with self._lock:
            return [each for each in self._instances.values() if each.open_at(at)]

    def instance(self, instance_id: int) -> Instance:
        with self._lock:
            found = self._instances.get(instance_id)
            if found is None or found.released_at is not None:
                raise no_such_instance(instance_id)
            return found

    def change(self, instance_id: int, body: Mapping[str, Any], now: float) -> Instance:
        """Relabel, stop or start."""
        with self._lock:
            instance = self.instance(instance_id)
            state = body.get("state")
            if state not in (None, "running", "stopped") or not body.keys() & {"state", "label"}:
                raise invalid("give a label, or a state: running or stopped")
            if "label" in body:
                label = read_label(body["label"])
                instance.label = instance.label if instance.label_refused else label
            if state is not None and (state == "stopped") != instance.stopped:
                instance.stopped = state == "stopped"
                instance.powered_at = now
                instance.fate = None
            return instance

    def force_status(self, instance_id: int, status: str | None, now: float) -> Instance:
        """Show a status from now on, whatever the boot would make of it."""
        with self._lock:
            instance = self.instance(instance_id)
            instance.fate = Fate(now - instance.powered_at, status)
            return instance

    def destroy(self, instance_id: int, now: float, *, deaf_seconds: float | None = None) -> bool:
        """End a contract; False if it is deaf to this for so long, counted from the first attempt."""
        with self._lock:
            instance = self.instance(instance_id)
            if deaf_seconds is not None:
                if instance.deaf_until is None:
                    instance.deaf_until = now + deaf_seconds
                if now < instance.deaf_until:
                    return False
            instance.released_at = now
            return True

    # Volumes.

    def volumes(self, now: float) -> list[Json]:
        with self._lock:
            return [v.document(now, self._attached(v.id)) for v in self._volumes.values() if v.open_at(now)]

    def rent_volume(self, body: Mapping[str, Any], now: float) -> Volume:
        with self._lock:
            offer = self._market.volume_offer(body.get("id"))
            size = body.get("size", 15)
            if (
                isinstance(size, bool)
                or not isinstance(size, int | float)
                or not 0 < size <= offer.disk_space
            ):
                raise invalid(f"size is a number of GB, at most {offer.disk_space}")
            if self.balance(now) <= 0:
                raise no_credit()
            return self._keep_volume(offer, size, read_label(body.get("name")), now)

    def add_foreign_volume(self, label: str | None, now: float) -> Volume:
        with self._lock:
            volume = self._keep_volume(VolumeOffer(0, FOREIGN_MACHINE.machine_id, 100), 100, label, now)
            volume.foreign = True
            return volume

    def _keep_volume(self, offer: VolumeOffer, size: float, label: str | None, now: float) -> Volume:
        volume = Volume(
            id=next(self._ids),
            kind="volume",
            label=label,
            dph=volume_dph(offer, size),
            rented_at=now,
            offer=offer,
            size=size,
        )
        self._volumes[volume.id] = volume
        return volume

    def destroy_volume(self, volume_id: int, now: float) -> None:
        with self._lock:
            volume = self._volume(volume_id)
            if self._attached(volume_id):
                raise Refused(400, "volume_in_use", f"Volume {volume_id} is attached to an instance.")
            volume.released_at = now

    def _volume(self, volume_id: int) -> Volume:
        volume = self._volumes.get(volume_id)
        if volume is None or volume.released_at is not None:
            raise Refused(404, "no_such_volume", f"Volume {volume_id} not found.")
        return volume

    def _check_attachable(self, volume_id: int, offer: Offer) -> None:
        if self._volume(volume_id).offer.machine_id != offer.machine_id:
            raise invalid(f"volume_info: volume {volume_id} is on another machine")

    def _attached(self, volume_id: int) -> list[int]:
        return [
            each.id
            for each in self._instances.values()
            if each.launch.volume_id == volume_id and each.released_at is None
        ]

    # Templates and money.

    def templates(self) -> list[Json]:
        with self._lock:
            return [template.document() for template in self._templates.values()]

    def add_template(self, body: Mapping[str, Any]) -> Json:
        with self._lock:
            template = read_template(next(self._ids), body)
            self._templates[template.hash_id] = template
            return template.document()

    def balance(self, now: float) -> float:
        """$ left."""
        return self._credit - sum(entry.cost_usd for entry in self.ledger(now) if not entry.foreign)

    def ledger(self, now: float) -> list[LedgerEntry]:
        with self._lock:
            return [LedgerEntry.of(rental, now) for rental in self._rentals().values()]

    def rental(self, rental_id: int) -> Rental:
        """Something rented, now or formerly; KeyError for an unknown id."""
        with self._lock:
            return self._rentals()[rental_id]

    def _rentals(self) -> dict[int, Rental]:
        return dict(sorted({**self._instances, **self._volumes}.items()))

    def rented_offers(self) -> set[int]:
        """Offers that this account has rented."""
        with self._lock:
            return {each.offer.id for each in self._instances.values() if each.released_at is None}
