"""Hand back what the command line has rented: at its end, and by `vastai-reap` (jobs-api.md 6.5, 15)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rune.local.instance_book import Booked
from rune.local.user_folder import UserFolder
from rune_common.domain.gpu_market import GpuMarket, Instance
from rune_common.domain.labels import OwnerLabel, parse_label
from rune_common.domain.ports import Clock
from rune_common.domain.spend import accrued

DESTROY_SECONDS = 120.0
AGAIN_SECONDS = 2.0
UNKNOWN_MS = 15 * 60 * 1000
"""An instance that the book does not know may be younger than its line."""

UNLISTED_MS = 60 * 1000
"""How long the provider may take to list what it has created."""


@dataclass(frozen=True, slots=True)
class Account:
    """The provider's account, this user's folder, and time: `sleep` in seconds, `clock` in epoch ms."""

    market: GpuMarket
    folder: UserFolder
    clock: Clock
    sleep: Callable[[float], None]


@dataclass(frozen=True, slots=True)
class GivenBack:
    """`gone`: its absence was seen; None when nothing was done (dry run)."""

    contract_id: str
    label: str
    reason: str
    gone: bool | None


def reap(account: Account, *, dry_run: bool, kept: bool) -> Iterator[GivenBack]:
    """Destroy what is expired or finished, of this machine's own label only; `kept`: what is leased as well.

    Raises MarketUnavailable, MarketRefused.
    """
    own = account.folder.deployment_id()
    booked = {each.label: each for each in account.folder.book.open()}
    listed = set()
    for instance in account.market.list_owned():
        label = parse_label(instance.label)
        if label is None or label.deployment_id != own:
            continue
        listed.add(str(label))
        known = booked.get(str(label))
        reason = _reason(instance, label, known, account, kept=kept)
        if reason:
            gone = None if dry_run else destroy(instance.contract_id, account)
            if gone and known:
                close(known, account)
            yield GivenBack(instance.contract_id, str(label), reason, gone)
    for label_text, each in booked.items():
        unlisted = label_text not in listed and account.clock() - each.asked_at > UNLISTED_MS
        if not dry_run and unlisted and not account.folder.alive(each.session):
            close(each, account)


def hand_back(session: str, account: Account) -> None:
    """Destroy what this session has rented and no lease keeps. Raises MarketUnavailable, MarketRefused."""
    open_ones = [each for each in account.folder.book.open() if each.session == session]
    mine = {each.label: each for each in open_ones if not each.kept(account.clock())}
    if not mine:
        return
    for instance in account.market.list_owned():
        known = mine.get(instance.label or "")
        if known and destroy(instance.contract_id, account):
            close(known, account)


def destroy(contract_id: str, account: Account) -> bool:
    """Whether its absence was seen in time. Raises MarketUnavailable, MarketRefused."""
    until = account.clock() + DESTROY_SECONDS * 1000
    while True:
        account.market.destroy(contract_id)
        if account.market.get(contract_id) is None:
            return True
        if account.clock() >= until:
            return False
        account.sleep(AGAIN_SECONDS)


def close(booked: Booked, account: Account) -> None:
    """It is gone, so what it cost is known."""
    cost = accrued(booked.dph, account.clock() - booked.asked_at) if booked.contract_id else 0
    account.folder.book.ended(booked.label)
    account.folder.book.settle_run(booked.job_id, cost)


def _reason(
    instance: Instance, label: OwnerLabel, known: Booked | None, account: Account, *, kept: bool
) -> str:
    """ "" for what is still needed."""
    now = account.clock()
    if now > label.expires_at * 1000:
        return "expired"
    if known is None:
        old = instance.started_at is not None and now - instance.started_at > UNKNOWN_MS
        return "unknown job" if old else ""
    if account.folder.alive(known.session):
        return ""
    if known.kept(now):
        return "lease ended early" if kept else ""
    return "job has ended"
