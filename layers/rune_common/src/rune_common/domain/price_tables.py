"""Static reference prices, in USD (jobs-api.md 7.1, 7.2). They are looked up, never fetched."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Literal

TokenPricing = Literal["table", "default", "self_hosted"]
InstancePrices = Mapping[str, Decimal]
"""$/h by how an instance type begins; the longest beginning that fits counts, "" fits every type."""


def _prices(**dollars: str) -> InstancePrices:
    return MappingProxyType({name: Decimal(text) for name, text in dollars.items()})


def _with_default(default: str, **families: str) -> InstancePrices:
    return MappingProxyType({"": Decimal(default), **_prices(**families)})


CLOUDS = ("aws", "gcp", "azure")
CLOUD_PRICES: Mapping[str, InstancePrices] = MappingProxyType(
    {
        "aws": _with_default("0.526", g5="1.21", g6="1.21", p3="12.0", p4="12.0", p5="12.0"),
        "gcp": _with_default("0.70", a2="3.67"),
        "azure": _with_default("3.06"),
    }
)


@dataclass(frozen=True, slots=True)
class PriceTable:
    """The operator's prices over the built-in ones (`RUNE_PRICE_TABLE`)."""

    clouds: Mapping[str, InstancePrices] = field(default_factory=lambda: CLOUD_PRICES)

    def hourly(self, cloud: str, instance_type: str) -> Decimal:
        """$/h of an instance type, "" for the cloud's usual GPU instance."""
        prices, wanted = self.clouds[cloud], instance_type.strip().lower()
        return prices[max((name for name in prices if wanted.startswith(name)), key=len)]

    def overridden(self, clouds: Mapping[str, InstancePrices]) -> PriceTable:
        """This table with some prices replaced or added."""
        merged = {name: {**prices, **clouds.get(name, {})} for name, prices in self.clouds.items()}
        return PriceTable(MappingProxyType(merged))


GPU_PRICES: tuple[tuple[str, Decimal], ...] = (
    ("4090", Decimal("0.40")),
    ("3090", Decimal("0.25")),
    ("a100", Decimal("3.67")),
    ("h100", Decimal("12.00")),
    ("l40", Decimal("1.20")),
    ("v100", Decimal("3.06")),
    ("t4", Decimal("0.52")),
)
DEFAULT_GPU_PRICE = Decimal("0.50")


@dataclass(frozen=True, slots=True)
class GpuRate:
    """$/h of a GPU. `known`: it is not the price of a GPU that nobody knows."""

    low: Decimal
    mid: Decimal
    high: Decimal
    known: bool = True


def gpu_name(text: str) -> str:
    """The name by which prices are found: case, spaces, hyphens and underscores do not matter."""
    return re.sub(r"[\s_-]+", "", text).lower()


def gpu_rate(gpu: str) -> GpuRate:
    """The static price of a GPU, 0.7 to 1.5 times of it."""
    name = gpu_name(gpu)
    found = next((price for part, price in GPU_PRICES if part in name), None)
    mid = DEFAULT_GPU_PRICE if found is None else found
    return GpuRate(mid * Decimal("0.7"), mid, mid * Decimal("1.5"), known=found is not None)


@dataclass(frozen=True, slots=True)
class TokenRate:
    """USD per million tokens, and where it comes from."""

    input: Decimal
    output: Decimal
    source: TokenPricing


def _tokens(input_price: str, output_price: str) -> TokenRate:
    return TokenRate(Decimal(input_price), Decimal(output_price), "table")


TOKEN_PRICES: Mapping[str, TokenRate] = MappingProxyType(
    {
        "gpt-4o": _tokens("2.5", "10"),
        "gpt-4o-mini": _tokens("0.15", "0.6"),
        "gpt-4-turbo": _tokens("10", "30"),
        "claude-3-5-sonnet": _tokens("3", "15"),
        "claude-3-opus": _tokens("15", "75"),
        "claude-3-haiku": _tokens("0.25", "1.25"),
        "llama-3.1-405b": _tokens("5", "15"),
        "llama-3.1-70b": _tokens("0.6", "0.8"),
        "llama-3.1-8b": _tokens("0.1", "0.2"),
    }
)
DEFAULT_TOKEN_RATE = TokenRate(Decimal("0.5"), Decimal("1.5"), "default")
SELF_HOSTED_TOKEN_RATE = TokenRate(Decimal(0), Decimal(0), "self_hosted")

# Bedrock writes a hosted model's version as `…-v1:0`: that colon is no tag of a model server's own.
_HOSTED_VERSION = re.compile(r"-v\d+:\d+")


def token_rate(model: str) -> TokenRate:
    """What a model's tokens cost. A self-hosted one costs nothing more: its GPU's time is paid already."""
    name = model.lower()
    if name.startswith("ollama") or (":" in name and not _HOSTED_VERSION.search(name)):
        return SELF_HOSTED_TOKEN_RATE
    found = max((key for key in TOKEN_PRICES if key in name), key=len, default=None)
    return DEFAULT_TOKEN_RATE if found is None else TOKEN_PRICES[found]
