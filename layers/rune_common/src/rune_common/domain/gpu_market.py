"""The market for GPUs: the port, and what goes through it (jobs-api.md 6). Prices in $/h, times in epoch ms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rune_common.domain.errors import RuneError, Unavailable


class OfferGone(RuneError):
    """Somebody else was faster: take the next offer."""

    code = "offer_gone"


class StaleQuote(OfferGone):
    """The price has gone up since the search."""

    code = "stale_quote"


class MarketRefused(RuneError):
    """The provider does not do it, and asking again will not help: key, credit, a field it does not take."""

    code = "market_refused"


class KeyRefused(MarketRefused):
    """The provider does not take the account's key, or there is none."""

    code = "key_refused"


class MarketUnavailable(Unavailable):
    """The provider does not answer, or asks for patience. What was asked for has not been done."""

    code = "market_unavailable"


class AmbiguousCreate(RuneError):
    """Nobody knows whether an instance was created: look for its label before anything else."""

    code = "ambiguous_create"


@dataclass(frozen=True, slots=True)
class OfferQuery:
    """What a search asks for. Memory in MB, disk in GB."""

    min_dph: float
    max_dph: float
    vram_mb: int
    disk_gb: int
    reliability: float


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer as the provider tells it, which is not to be trusted; None for what it does not tell.

    `gpu_ram_total` is in MB, below 1000 in GB; `fit` is False for what should not have been shown at all:
    unverified, taken, without a direct port.
    """

    offer_id: int
    dph: float | None
    gpu_ram_total: float | None
    reliability: float | None
    disk_gb: float | None
    dlperf: float = 0.0
    gpu_name: str = ""
    gpus: int = 1
    fit: bool = True


@dataclass(frozen=True, slots=True)
class Launch:
    """What is to run: a template, or without one the operator's image. `env` without the port's flag."""

    label: str
    disk_gb: int
    template_hash: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    port: int = 11434


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance as the provider tells it. `status` is its word for it, None before there is one.

    `address` is host and port under which the launched port is reached, None while it is not mapped.
    """

    contract_id: str
    label: str | None
    status: str | None
    intended: str | None = None
    message: str = ""
    address: tuple[str, int] | None = None
    dph: float | None = None
    started_at: int | None = None


class GpuMarket(Protocol):
    """One provider's account. Every call is bounded in time and raises MarketUnavailable, MarketRefused."""

    def search(self, query: OfferQuery) -> Sequence[Offer]: ...

    def create(self, offer_id: int, launch: Launch) -> str:
        """The new contract's id. Raises OfferGone, StaleQuote, and AmbiguousCreate; never tries twice."""
        ...

    def get(self, contract_id: str) -> Instance | None: ...

    def list_owned(self) -> Sequence[Instance]:
        """Every instance of the account, to the last page: whose it is, its label says."""
        ...

    def label(self, contract_id: str, label: str) -> None: ...

    def destroy(self, contract_id: str) -> None:
        """Ask for its end. One that is gone already is no error; whether it is gone, `get` tells."""
        ...
