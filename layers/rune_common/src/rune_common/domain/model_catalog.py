"""Models whose size is known, and what a rented GPU needs to run one (jobs-api.md 13, 6.2 step 1)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CatalogModel:
    """A model with the GPU memory it needs, in MB, and the disk, in GB."""

    name: str
    vram_mb: int
    required_disk_gb: int


@dataclass(frozen=True, slots=True)
class ModelNeed:
    """What an offer must have: GPU memory in MB, disk in GB."""

    vram_mb: int
    disk_gb: int


CATALOG = (
    CatalogModel("llama3.1:405b", 260_000, 324),
    CatalogModel("mixtral:8x22b", 95_000, 139),
    CatalogModel("command-r-plus:104b", 75_000, 117),
    CatalogModel("qwen2.5-coder:72b", 55_000, 94),
    CatalogModel("llama3.1:70b", 50_000, 89),
    CatalogModel("mixtral:8x7b", 32_000, 68),
    CatalogModel("command-r:35b", 28_000, 64),
    CatalogModel("llama3.1:8b", 8_000, 41),
)
"""Largest first."""

_BY_NAME = {each.name: each for each in CATALOG}
_SIZE_TAG = re.compile(r":(\d{1,4}(?:\.\d{1,3})?)b(?![a-z0-9.])", re.ASCII | re.IGNORECASE)
_SERVER_PREFIXES = ("ollama_chat/", "ollama/")


def bare_name(model: str) -> str:
    """The server's own name of a model: exactly one known prefix is stripped (holmes-driver.md 3.1)."""
    for prefix in _SERVER_PREFIXES:
        if model.startswith(prefix):
            return model.removeprefix(prefix)
    return model


def model_need(model: str, *, vram_mb: int | None = None) -> ModelNeed | None:
    """What `model` needs; None when its size is unknown.

    GPU memory is the request's `vram_mb`, else the catalog's, else what a tag `:<n>b` says for n billion
    parameters; disk is the catalog's, else follows from the memory.
    """
    known = _BY_NAME.get(bare_name(model))
    memory = vram_mb or (known.vram_mb if known else _memory_of_tag(model))
    if memory is None:
        return None
    return ModelNeed(memory, known.required_disk_gb if known else math.ceil(memory / 1024 * 1.15) + 32)


def largest_fitting(vram_mb: float) -> CatalogModel | None:
    """The largest model of the catalog that fits into so much GPU memory; None when none does."""
    return next((each for each in CATALOG if each.vram_mb <= vram_mb), None)


def _memory_of_tag(model: str) -> int | None:
    found = _SIZE_TAG.search(bare_name(model))
    billions = float(found[1]) if found else 0.0
    return math.ceil(billions * 750 + 2000) if billions > 0 else None
