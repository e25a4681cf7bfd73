"""The Vast.ai simulator: the provider's API over an account, with a ledger (holmes-driver.md 6.3)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from rune.sandbox.clock import Clock
from rune.sandbox.exchange import Cut, SimRequest, SimResponse
from rune.sandbox.faults import Fault
from rune.sandbox.ollama import OllamaSim
from rune.sandbox.simulator import Simulator
from rune.sandbox.vast import stock
from rune.sandbox.vast.account import Account
from rune.sandbox.vast.faults import KINDS, Quirk, VastFaultPlan
from rune.sandbox.vast.forwarder import PortMap
from rune.sandbox.vast.ledger import LedgerEntry, leaks, ledger_document
from rune.sandbox.vast.market import Dialect, Market
from rune.sandbox.vast.offers import Offer, VolumeOffer, read_offers
from rune.sandbox.vast.refusal import Refused, no_credit, too_frequent
from rune.sandbox.vast.rentals import Boot
from rune.sandbox.vast.routes import Routes, Target, find_target
from rune.sandbox.vast.templates import Template

BOOT_SECONDS = 1.0
CREDIT_USD = 100.0
AN_HOUR = 3600.0
WRITES = ("PUT", "POST", "DELETE")


class VastSim(Simulator):
    """A market with an account behind a bearer key; instances boot, run and cost by the clock.

    `ollama` is where the mapped port 11434 of every running instance leads; without it callers there are hung
    up on. `offers` (`Offer`s or mappings of its fields), `volume_offers` and `templates` replace the default
    stock; ValueError for an offer that makes no sense. An instance shows null for `provision_seconds`
    (default a quarter of the boot), then `loading`, and `running` from `boot_seconds` after the request.
    `credit` is the account's balance in $. With `min_interval_seconds` a request that follows another to the
    same endpoint sooner is answered 429. `gb_units` and `dialect` choose where the provider's documents
    disagree.
    """

    name: ClassVar[str] = "vast"
    fault_kinds: ClassVar[frozenset[str]] = KINDS

    def __init__(
        self,
        *,
        ollama: OllamaSim | None = None,
        port: int = 0,
        clock: Clock | None = None,
        api_key: str = "sandbox-key",
        offers: Iterable[Offer | Mapping[str, Any]] | None = None,
        volume_offers: Iterable[VolumeOffer] = stock.VOLUME_OFFERS,
        templates: Iterable[Template] = stock.TEMPLATES,
        boot_seconds: float = BOOT_SECONDS,
        provision_seconds: float | None = None,
        credit: float = CREDIT_USD,
        min_interval_seconds: float = 0.0,
        gb_units: bool = False,
        dialect: Dialect | None = None,
    ) -> None:
        super().__init__(port=port, clock=clock)
        self._faults = VastFaultPlan()
        self.api_key = api_key
        self._ollama = ollama
        self._offers = read_offers((*stock.GOOD_OFFERS, *stock.TRAPS) if offers is None else offers)
        self._volume_offers = tuple(volume_offers)
        self._templates = tuple(templates)
        provision = boot_seconds / 4 if provision_seconds is None else provision_seconds
        self._boot = Boot(min(provision, boot_seconds), boot_seconds)
        self._credit = credit
        chosen = dialect or Dialect()
        self._dialect = dataclasses.replace(chosen, gb_units=gb_units or chosen.gb_units)
        self._min_interval = min_interval_seconds
        self._ports = PortMap(self._ollama_address)
        self._begin()

    def _begin(self) -> None:
        self._market = Market(self._offers, self._volume_offers, self._dialect)
        self._account = Account(
            self._market,
            self._templates,
            boot=self._boot,
            credit=self._credit,
            env_forms=self._dialect.env_forms,
        )
        self._routes = Routes(
            self._market,
            self._account,
            self._ports,
            clock=self.clock,
            api_key=self.api_key,
            dialect=self._dialect,
            min_interval=self._min_interval,
        )

    # What tests and trials use.

    @property
    def ledger(self) -> list[LedgerEntry]:
        """One entry for each instance and volume so far, by id, up to now by the clock."""
        return self._account.ledger(self.clock.time())

    def assert_no_leaks(self) -> None:
        """AssertionError if anything that was rented through the API still runs up cost."""
        left = [f"{entry.kind} {entry.id} ({entry.label!r})" for entry in leaks(self.ledger)]
        if left:
            raise AssertionError(f"still rented: {', '.join(left)}")

    def assert_untouched(self, rental_id: int) -> None:
        """AssertionError if any request so much as tried to change this instance or volume.

        KeyError for an id that the account never had.
        """
        released = self._account.rental(rental_id).released_at
        tried = [
            f"{each.method} {each.path}"
            for each in self.requests
            if each.method in WRITES and find_target(each).concerns(rental_id)
        ]
        if tried or released is not None:
            raise AssertionError(f"{rental_id} was touched: {', '.join(tried)}")

    def add_foreign_instance(self, label: str | None = None, *, age_seconds: float = AN_HOUR) -> int:
        """Put a running instance of someone else's into the account; gives its id.

        Also for what an earlier deployment left behind: give the label, and how long ago it was rented.
        """
        return self._account.add_foreign_instance(label, age_seconds, self.clock.time()).id

    def add_foreign_volume(self, label: str | None = None) -> int:
        """Put a volume of someone else's into the account; gives its id."""
        return self._account.add_foreign_volume(label, self.clock.time()).id

    def set_status(self, instance_id: int, status: str | None) -> None:
        """From now on the instance shows this `actual_status`, until it is stopped or started.

        Any word will do, since the provider may have new ones. Refused for an instance that is gone.
        """
        self._account.force_status(instance_id, status, self.clock.time())
        if status != "running":
            self._ports.close(instance_id)

    def reprice(self, offer_id: int, dph_total: float) -> None:
        """Change an offer's price; renting it on an older, lower quote is then refused (`invalid_price`)."""
        self._market.reprice(offer_id, dph_total)

    # What the shared core asks for.

    def start(self) -> None:
        self._ports.reopen()
        super().start()

    def stop(self) -> None:
        super().stop()
        self._ports.close_all()

    def on_reset(self) -> None:
        self._ports.close_all()
        self._ports.reopen()
        self._begin()

    def state(self) -> dict[str, object]:
        now = self.clock.time()
        return {
            "offers": self._market.prices(),
            "instances": {str(each.id): each.status(now) for each in self._account.instances(now)},
            "volumes": [volume["id"] for volume in self._account.volumes(now)],
            "balance": self._account.balance(now),
            **ledger_document(self.ledger),
        }

    def control(self, request: SimRequest) -> SimResponse:
        match request.method, request.path.removeprefix("/_sandbox/").split("/"):
            case "GET", ["ledger"]:
                return SimResponse.json(ledger_document(self.ledger))
            case "POST", ["foreign"]:
                asked = request.json() or {}
                age = float(asked.get("age_seconds", AN_HOUR))
                made = self.add_foreign_instance(asked.get("label"), age_seconds=age)
                return SimResponse.json({"id": made})
            case "POST", ["instances", instance_id]:
                try:
                    self.set_status(int(instance_id), request.json()["actual_status"])
                except Refused as refused:
                    return refused.response()
                return SimResponse.json({"ok": True})
            case "POST", ["offers", offer_id]:
                self.reprice(int(offer_id), float(request.json()["dph_total"]))
                return SimResponse.json({"ok": True})
        return super().control(request)

    def handle(self, request: SimRequest) -> SimResponse:
        return self._routes.answer(request)

    def apply_fault(
        self, fault: Fault, request: SimRequest, proceed: Callable[[], SimResponse]
    ) -> SimResponse:
        if fault.kind == "status" and "body" not in fault.options:
            return _plain_status(fault)
        if fault.kind not in KINDS:
            return super().apply_fault(fault, request, proceed)
        refused = self._routes.refused(request)
        return refused or self._misbehave(fault, request, find_target(request), proceed)

    def _misbehave(
        self, fault: Fault, request: SimRequest, target: Target, proceed: Callable[[], SimResponse]
    ) -> SimResponse:
        """The answer under one of the provider's own faults; normal for a request it cannot concern."""
        action = target.action(request.method)
        match action, fault.kind:
            case "rent", "offer_gone":
                self._market.withdraw(target.id)
                return self._market.no_such_ask(target.id).response()
            case "rent", "no_credit":
                return no_credit().response()
            case "rent", "rent_reply_lost":
                answer = proceed()
                return (
                    dataclasses.replace(answer, cut=Cut(None, reset=True)) if answer.status == 200 else answer
                )
            case "rent", _:
                return self._routes.answer(request, quirk=Quirk.of(fault, self._boot))
            case "destroy", "delete_fails":
                return Refused(500, "internal_error", "Something went wrong; try again.").response()
            case "destroy", "delete_ignored":
                deaf = float(fault.options.get("seconds", "inf"))
                return self._routes.answer(request, deaf_seconds=deaf)
            case "list", "list_stale":
                return self._routes.answer(request, stale_seconds=float(fault.options["seconds"]))
        return proceed()

    def _ollama_address(self) -> tuple[str, int] | None:
        return None if self._ollama is None else ("127.0.0.1", self._ollama.port)


def _plain_status(fault: Fault) -> SimResponse:
    """A status without a body of its own in the provider's words: 429 as plain text, others as JSON."""
    status = int(fault.options["status"])
    answer = too_frequent() if status == 429 else Refused(status, "simulated", f"status {status}").response()
    given = {str(name): str(value) for name, value in (fault.options.get("headers") or {}).items()}
    return dataclasses.replace(answer, headers=answer.headers | given)
