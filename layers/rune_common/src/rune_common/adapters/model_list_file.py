"""The operator's model list as far as a catalog needs it (holmes-driver.md 3.4): never its credentials."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from rune_common.domain.models_offered import ListedModel, ModelPricing

_TEMPLATE = re.compile(r"\{\{\s*env\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_MILLION = 1_000_000


def parse_model_list(
    text: str, credentials: Collection[str]
) -> tuple[tuple[ListedModel, ...], tuple[str, ...]]:
    """The visible entries and the names of the hidden ones: those with a template of another variable.

    Raises ValueError for a text that is no model list.
    """
    entries = _entries(text)
    visible, hidden = [], []
    for name, entry in sorted(entries.items()):
        if credentials_needed(entry) <= set(credentials):
            visible.append(_listed(name, entry))
        else:
            hidden.append(name)
    return tuple(visible), tuple(hidden)


def credentials_of(text: str) -> frozenset[str]:
    """The variables that the templates of a model list name. Raises ValueError."""
    return frozenset(name for entry in _entries(text).values() for name in credentials_needed(entry))


def credentials_needed(entry: Mapping[str, Any]) -> set[str]:
    return {found for text in _texts(entry) for found in _TEMPLATE.findall(text)}


def _entries(text: str) -> dict[str, Mapping[str, Any]]:
    import yaml  # most functions that know of this module never read a list

    try:
        found = yaml.safe_load(text) or {}
    except yaml.YAMLError as exc:
        raise ValueError("not YAML") from exc
    entries = found.get("modelList", found) if isinstance(found, dict) else None
    if not isinstance(entries, dict) or not all(
        isinstance(name, str) and isinstance(entry, dict) and isinstance(entry.get("model"), str)
        for name, entry in entries.items()
    ):
        raise ValueError("a model list is a mapping of entries with a model")
    return entries


def _listed(name: str, entry: Mapping[str, Any]) -> ListedModel:
    tenants = entry.get("tenants") or []
    return ListedModel(
        name=name,
        model=entry["model"],
        tenants=tuple(map(str, tenants if isinstance(tenants, list) else [tenants])),
        context_window=_whole(entry.get("context_window")),
        max_output_tokens=_whole(entry.get("max_output_tokens")),
        vision=entry.get("vision") is True,
        pricing=_pricing(entry),
    )


def _pricing(entry: Mapping[str, Any]) -> ModelPricing | None:
    prices = [entry.get(f"{name}_cost_per_token") for name in ("input", "output")]
    known = [
        float(each) * _MILLION for each in prices if isinstance(each, (int, float, str)) and _numeric(each)
    ]
    return ModelPricing(*(round(each, 6) for each in known)) if len(known) == len(prices) else None


def _numeric(value: int | float | str) -> bool:
    # YAML 1.1 reads `2.5e-06` as a text, for want of a sign it knows.
    try:
        return float(value) >= 0
    except ValueError:
        return False


def _whole(value: Any) -> int | None:
    return value if type(value) is int and value > 0 else None


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for each in node.values():
            yield from _texts(each)
    elif isinstance(node, list):
        for each in node:
            yield from _texts(each)
