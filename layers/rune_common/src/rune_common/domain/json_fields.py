"""Reading members of JSON that somebody else may have written: a wrong type counts as absent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_NOTHING: Mapping[str, Any] = {}


def text(holder: Mapping[str, Any], name: str) -> str | None:
    found = holder.get(name)
    return found if isinstance(found, str) else None


def members(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The object under `name`, empty when there is none."""
    found = holder.get(name)
    return found if isinstance(found, Mapping) else _NOTHING


def items(holder: Mapping[str, Any], name: str) -> Sequence[Any]:
    found = holder.get(name)
    return found if isinstance(found, list) else ()


def count(holder: Mapping[str, Any], name: str) -> int:
    """A whole number from 0 up; everything else counts as 0."""
    found = holder.get(name)
    return found if type(found) is int and found > 0 else 0


def number(holder: Mapping[str, Any], name: str) -> int | float | None:
    found = holder.get(name)
    return found if isinstance(found, (int, float)) and not isinstance(found, bool) else None


def micro_usd(dollars: int | float) -> int:
    """Money as it is added up: sums of floats would depend on their order."""
    return round(dollars * 1_000_000)
