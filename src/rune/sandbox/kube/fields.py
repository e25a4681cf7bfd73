"""Reading one YAML value at a time, with errors that name the field."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

NAME = re.compile(r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")
QUANTITY = re.compile(r"^\d+(\.\d+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")


class BadClusterFile(ValueError):
    """A cluster file that cannot be used; the text begins with the field at fault."""


class Field:
    """A value and where it stands, e.g. `workloads[1].state`."""

    def __init__(self, value: Any, path: str = "") -> None:
        self.value = value
        self.path = path

    def fail(self, reason: str) -> BadClusterFile:
        return BadClusterFile(f"{self.path or 'the document'}: {reason}")

    @property
    def given(self) -> bool:
        return self.value is not None

    def members(self, known: Collection[str]) -> dict[str, Field]:
        """The fields of a mapping whose keys are all `known`; missing ones come with the value None."""
        entries = self.entries()
        for key in entries:
            if key not in known:
                raise entries[key].fail(f"unknown field; known here: {', '.join(sorted(known))}")
        return {key: entries.get(key, self._at(key, None)) for key in known}

    def entries(self) -> dict[str, Field]:
        """The fields of a mapping with free keys."""
        if self.value is None:
            return {}
        if not isinstance(self.value, dict):
            raise self.fail(f"must be a mapping, not {_kind(self.value)}")
        return {str(key): self._at(str(key), value) for key, value in self.value.items()}

    def items(self) -> list[Field]:
        if self.value is None:
            return []
        if not isinstance(self.value, list):
            raise self.fail(f"must be a list, not {_kind(self.value)}")
        return [Field(value, f"{self.path}[{i}]") for i, value in enumerate(self.value)]

    def text(self, default: str | None = None, *, may_be_empty: bool = False) -> str:
        if self.value is None and default is not None:
            return default
        if not isinstance(self.value, str):
            raise self.fail(f"must be a text, not {_kind(self.value)}")
        if not self.value and not may_be_empty:
            raise self.fail("must not be empty")
        return self.value

    def texts(self) -> tuple[str, ...]:
        return tuple(item.text() for item in self.items())

    def name(self, default: str | None = None) -> str:
        """A name Kubernetes accepts: lower-case letters, digits, `-` and `.`."""
        text = self.text(default)
        if not NAME.match(text):
            raise self.fail(f"{text!r} is not a name (lower-case letters, digits, '-' and '.')")
        return text

    def quantity(self, default: str) -> str:
        """A Kubernetes quantity such as `500m`, `4` or `128Mi`."""
        text = default if self.value is None else str(self.value)
        if isinstance(self.value, bool) or not QUANTITY.match(text):
            raise self.fail(f"{self.value!r} is not a quantity such as 500m, 4 or 128Mi")
        return text

    def whole(self, default: int, *, least: int = 0, most: int = 10_000) -> int:
        value = default if self.value is None else self.value
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.fail(f"must be a whole number from {least} to {most}, not {self.value!r}")
        return value

    def seconds(self, default: float | None = None) -> float:
        value = default if self.value is None else self.value
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise self.fail(f"must be a number of seconds, not {self.value!r}")
        return float(value)

    def flag(self, default: bool) -> bool:
        value = default if self.value is None else self.value
        if not isinstance(value, bool):
            raise self.fail(f"must be true or false, not {self.value!r}")
        return value

    def choice(self, options: Collection[str], default: str) -> str:
        value = default if self.value is None else self.value
        if value not in options:
            raise self.fail(f"{value!r} is not one of {', '.join(options)}")
        return str(value)

    def _at(self, key: str, value: Any) -> Field:
        return Field(value, f"{self.path}.{key}" if self.path else key)


def _kind(value: Any) -> str:
    names = {dict: "a mapping", list: "a list", str: "a text", bool: "a flag", type(None): "nothing"}
    return names.get(type(value), f"{value!r}")
