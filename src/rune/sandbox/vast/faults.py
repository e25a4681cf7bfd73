"""Faults of this provider, and the requests that each is about when a fault does not say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rune.sandbox.faults import COMMON_KINDS, BadFault, Fault, FaultPlan
from rune.sandbox.vast.rentals import Boot, Fate

RENT = {"method": "PUT", "path": "*/asks/*"}
DESTROY = {"method": "DELETE", "path": "*/instances/*"}
DEFAULT_MATCH: Mapping[str, Mapping[str, str]] = {
    "offer_gone": RENT,
    "rent_reply_lost": RENT,
    "label_missing": RENT,
    "stuck_loading": RENT,
    "exits_while_loading": RENT,
    "becomes": RENT,
    "port_missing": RENT,
    "no_credit": RENT,
    "delete_ignored": DESTROY,
    "delete_fails": DESTROY,
    "list_stale": {"method": "GET", "path": "*/instances*"},
}
KINDS = frozenset(DEFAULT_MATCH)
NEEDS_SECONDS = frozenset({"list_stale", "becomes"})


class VastFaultPlan(FaultPlan):
    """A plan in which a fault without `match` concerns the requests that it can change.

    Otherwise `times` of, say, `offer_gone` would be used up by searches.
    """

    def __init__(self) -> None:
        super().__init__(COMMON_KINDS | KINDS)

    def add(self, spec: Mapping[str, Any]) -> None:
        kind = spec.get("kind")
        if kind in NEEDS_SECONDS and not isinstance(spec.get("seconds"), int | float):
            raise BadFault(f"{kind} needs seconds")
        if kind == "becomes" and not isinstance(spec.get("status"), str):
            raise BadFault("becomes needs a status")
        super().add(
            spec if spec.get("match") or kind not in KINDS else {**spec, "match": DEFAULT_MATCH[kind]}
        )


@dataclass(frozen=True, slots=True)
class Quirk:
    """How an instance that is about to be rented will misbehave."""

    label_missing: bool = False
    label_refused: bool = False
    ports_missing: bool = False
    fate: Fate | None = None

    @classmethod
    def of(cls, fault: Fault, boot: Boot) -> Quirk:
        match fault.kind:
            case "label_missing":
                return cls(label_missing=True, label_refused=bool(fault.options.get("refused")))
            case "port_missing":
                return cls(ports_missing=True)
            case "stuck_loading":
                return cls(fate=Fate(boot.loading_after, "loading"))
            case "exits_while_loading":
                return cls(fate=Fate((boot.loading_after + boot.running_after) / 2, "exited"))
            case "becomes":
                return cls(fate=Fate(float(fault.options["seconds"]), str(fault.options["status"])))
        return cls()
