"""What one API for all generations of clients forgives (jobs-api.md 1.3: T2, T4, T5, T6)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

MAX_IGNORED_NAMES = 20
_SHOWABLE = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class Fields:
    """What is left of a body. `spelled`: the caller's word for a field; `ignored` is fit for a header."""

    values: Mapping[str, Any]
    spelled: Mapping[str, str]
    ignored: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tolerance:
    """One request's rules: its fields, their older names, where zero or empty means "not given"."""

    known: frozenset[str]
    synonyms: Mapping[str, str]
    empty_means_absent: frozenset[str]
    percentages: frozenset[str]

    def read(self, body: Mapping[str, Any]) -> Fields:
        """Null means "not given" for every field. Of two names for one field the newer one counts."""
        values: dict[str, Any] = {}
        spelled: dict[str, str] = {}
        ignored: list[str] = []
        for name, value in body.items():
            field = self.synonyms.get(name, name)
            shadowed = field != name and body.get(field) is not None
            if field not in self.known or shadowed:
                ignored.append(name)
            elif value is not None and not self._is_absent(field, value):
                values[field] = self._in_range(field, value)
                spelled[field] = name
        return Fields(values, spelled, showable(ignored))

    def _is_absent(self, field: str, value: Any) -> bool:
        empty = value == "" or (_is_number(value) and value == 0)
        return empty and field in self.empty_means_absent

    def _in_range(self, field: str, value: Any) -> Any:
        percentage = field in self.percentages and _is_number(value) and 1 < value <= 100
        return value / 100 if percentage else value


def showable(names: Iterable[str]) -> tuple[str, ...]:
    """The first names, those that do not fit a header as `?`."""
    return tuple(name if _SHOWABLE.fullmatch(name) else "?" for name in islice(names, MAX_IGNORED_NAMES))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
