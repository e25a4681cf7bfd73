"""A folded log as bytes and back, so that a long log need not be read again (ADR 0008)."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import zlib
from typing import Any, get_args, get_type_hints

from rune_common.domain.fold import RunStatus

FOLD_VERSION = 1
"""Raised when `fold` makes something else of the same events."""


@functools.cache
def snapshot_form() -> str:
    """Names what a snapshot's bytes mean: the version of `fold` and the fields of what it makes."""
    shape = json.dumps([FOLD_VERSION, _shape(RunStatus)])
    return hashlib.sha256(shape.encode()).hexdigest()[:16]


def dump_status(status: RunStatus) -> bytes:
    text = json.dumps(dataclasses.asdict(status), separators=(",", ":"), ensure_ascii=False)
    return zlib.compress(text.encode("utf-8", "surrogatepass"), 1)


def load_status(data: bytes) -> RunStatus:
    """What `dump_status` was given; only for bytes of the present `snapshot_form`."""
    found: RunStatus = _build(RunStatus, json.loads(zlib.decompress(data).decode("utf-8", "surrogatepass")))
    return found


def _shape(kind: Any) -> list[Any]:
    """The names and types of a dataclass's fields, at every depth."""
    hints = _hints(kind)
    return [
        [each.name, str(hints[each.name]), _shape(inner) if (inner := _inner(hints[each.name])) else None]
        for each in dataclasses.fields(kind)
    ]


def _inner(hint: Any) -> Any:
    """The dataclass that a field holds, by itself or as the values of a dict."""
    kinds = [each for each in (hint, *get_args(hint)) if dataclasses.is_dataclass(each)]
    return kinds[0] if kinds else None


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _build(kind: Any, values: dict[str, Any]) -> Any:
    hints = _hints(kind)
    return kind(**{name: _value(hints[name], value) for name, value in values.items()})


def _value(hint: Any, value: Any) -> Any:
    inner = _inner(hint)
    if inner is None:
        return value
    if inner is hint:
        return _build(inner, value)
    return {name: _build(inner, each) for name, each in value.items()}
