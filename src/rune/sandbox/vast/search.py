"""Searching: filters, order and limit over documents."""

from __future__ import annotations

import contextlib
import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rune.sandbox.vast.offers import Json
from rune.sandbox.vast.refusal import invalid

ON_DEMAND = ("on-demand", "ondemand")
OTHER_TYPES = ("bid", "interruptible", "reserved")
SETTINGS = frozenset({"order", "limit", "type", "allocated_storage"})
DEFAULT_LIMIT = 64

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "neq": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "in": lambda value, wanted: value in wanted,
    "notin": lambda value, wanted: value not in wanted,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """One filter, its value already of the field's type (a list of such for `in` and `notin`)."""

    field: str
    operator: str
    wanted: Any

    def holds(self, facts: Json) -> bool:
        """A field that a document lacks is no reason to leave it out: the caller has to look for itself."""
        value = facts[self.field]
        return value is None or COMPARISONS[self.operator](value, self.wanted)


@dataclass(frozen=True, slots=True)
class Search:
    """What a search asks for; `on_demand` is false for a type this market has nothing of."""

    conditions: tuple[Condition, ...]
    order: tuple[tuple[str, bool], ...]
    limit: int
    on_demand: bool

    def pick(self, documents: Iterable[Json]) -> list[Json]:
        """The documents that pass, in order (those without the field last), at most `limit`."""
        found = [each for each in documents if all(c.holds(each) for c in self.conditions)]
        for name, descending in reversed(self.order):
            with_it = [each for each in found if each[name] is not None]
            without = [each for each in found if each[name] is None]
            found = sorted(with_it, key=operator.itemgetter(name), reverse=descending) + without
        return found[: self.limit] if self.on_demand else []


def read_search(
    body: Mapping[str, Any],
    fields: Mapping[str, type],
    *,
    types: Sequence[str] = ON_DEMAND,
    filtering: bool = True,
) -> Search:
    """The search of a request's body; 400 for a field, operator, value or type that is not known.

    `fields` gives the type of each field. `types` are the spellings of on demand that are understood. Without
    `filtering` conditions are checked and then not applied.
    """
    kind = body.get("type", types[0])
    if kind not in (*types, *OTHER_TYPES):
        raise invalid(f"type must be one of {', '.join((*types, *OTHER_TYPES))}")
    _number("allocated_storage", body.get("allocated_storage", 0))
    conditions = tuple(
        condition
        for name, filters in body.items()
        if name not in SETTINGS
        for condition in _conditions(name, filters, fields)
    )
    limit = _number("limit", body.get("limit", DEFAULT_LIMIT))
    if limit < 1:
        raise invalid("limit must be 1 or more")
    return Search(
        conditions=conditions if filtering else (),
        order=_order(body.get("order", []), fields),
        limit=int(limit),
        on_demand=kind in types,
    )


def _conditions(name: str, filters: object, fields: Mapping[str, type]) -> Iterable[Condition]:
    if name not in fields:
        raise invalid(f"unknown field {name}")
    if not isinstance(filters, Mapping):
        raise invalid(f"{name}: a filter is an object, such as {{{name}: {{eq: …}}}}")
    for symbol, wanted in filters.items():
        if symbol not in COMPARISONS:
            raise invalid(f"{name}: unknown operator {symbol}")
        if symbol not in ("in", "notin"):
            yield Condition(name, symbol, _typed(name, wanted, fields[name]))
        elif isinstance(wanted, list):
            yield Condition(name, symbol, [_typed(name, each, fields[name]) for each in wanted])
        else:
            raise invalid(f"{name}: {symbol} takes a list")


def _typed(name: str, wanted: object, kind: type) -> Any:
    """A filter's value; numbers and truth values may come as strings."""
    if kind is bool:
        if isinstance(wanted, str) and wanted.lower() in ("true", "false"):
            return wanted.lower() == "true"
        if isinstance(wanted, bool):
            return wanted
        raise invalid(f"{name}: {wanted!r} is neither true nor false")
    if kind is str:
        if isinstance(wanted, str):
            return wanted
        raise invalid(f"{name}: {wanted!r} is no text")
    return _number(name, wanted)


def _number(name: str, given: object) -> float:
    if isinstance(given, int | float | str) and not isinstance(given, bool):
        with contextlib.suppress(ValueError):
            number = float(given)
            if math.isfinite(number):
                return number
    raise invalid(f"{name}: {given!r} is no number")


def _order(given: object, fields: Mapping[str, type]) -> tuple[tuple[str, bool], ...]:
    if not isinstance(given, list):
        raise invalid("order is a list of [field, direction]")
    found = []
    for pair in given:
        match pair:
            case [str(name), ("asc" | "desc") as direction] if name in fields:
                found.append((name, direction == "desc"))
            case _:
                raise invalid(f"order: cannot sort by {pair!r}")
    return tuple(found)
