"""What the account was charged for, and whether anything was left behind (holmes-driver.md 6.3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from rune.sandbox.vast.offers import Json
from rune.sandbox.vast.rentals import Rental


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One instance or volume. `dph` $/h; times epoch seconds; an open entry has no `released_at`, and its
    `seconds` and `cost_usd` run. `foreign` was in the account beforehand.
    """

    id: int
    kind: str
    label: str | None
    dph: float
    rented_at: float
    released_at: float | None
    seconds: float
    cost_usd: float
    foreign: bool

    @classmethod
    def of(cls, rental: Rental, now: float) -> LedgerEntry:
        return cls(
            rental.id,
            rental.kind,
            rental.label,
            rental.dph,
            rental.rented_at,
            rental.released_at,
            rental.seconds(now),
            rental.cost_usd(now),
            rental.foreign,
        )


def ledger_document(entries: Iterable[LedgerEntry]) -> Json:
    """What `GET /_sandbox/ledger` answers; `open` holds the ids of leaks."""
    entries = list(entries)
    return {
        "entries": [asdict(entry) for entry in entries],
        "open": [entry.id for entry in leaks(entries)],
        "cost_usd": sum(entry.cost_usd for entry in entries if not entry.foreign),
    }


def leaks(entries: Iterable[LedgerEntry]) -> list[LedgerEntry]:
    """Entries that still run up cost, others' aside."""
    return [entry for entry in entries if entry.released_at is None and not entry.foreign]
