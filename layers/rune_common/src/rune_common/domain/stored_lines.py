"""Stored event lines: reading one and proving that it is the RFC 8785 form of an event (runs-api.md 3.3)."""

from __future__ import annotations

import json
from typing import Any, NamedTuple, NoReturn

from rune_common.domain.canonical import MAX_SAFE_INTEGER, CanonicalError, canonical_json

LINKS = ("prev_hash", "hash")
"""The members that a leaf does not cover."""

_LAST_BMP = "\uffff"


class StoredLine(NamedTuple):
    """An event and the bytes that its leaf covers: its RFC 8785 form without `prev_hash` and `hash`."""

    event: dict[str, Any]
    entry: bytes


class _NotPlain(ValueError):
    """The quick way cannot tell; the library has to."""


def read_line(raw: bytes) -> StoredLine | None:
    """None if the line is not the RFC 8785 form of an object.

    Python's own encoder writes what RFC 8785 asks for, ten times faster than the library, as long as there is
    no float, no integer beyond 2^53-1 and no character that UTF-16 sorts differently. So a line that it
    reproduces byte by byte is canonical; every other line is asked of the library.
    """
    try:
        text = raw.decode("utf-8")
        event = json.loads(text, parse_float=_not_plain, parse_int=_small, parse_constant=_not_plain)
        sorts_alike = text.isascii() or max(text) <= _LAST_BMP
        if sorts_alike and isinstance(event, dict) and plain_json(event) == text:
            return StoredLine(event, plain_json(_without_links(event)).encode())
        if not isinstance(event, dict):
            return None
    except _NotPlain:
        pass
    except (ValueError, RecursionError):
        return None
    return _read_slowly(raw)


def _read_slowly(raw: bytes) -> StoredLine | None:
    try:
        event = json.loads(raw.decode("utf-8"), parse_constant=_no_constant)
        if not isinstance(event, dict) or canonical_json(event) != raw:
            return None
        return StoredLine(event, canonical_json(_without_links(event)))
    except (ValueError, RecursionError, CanonicalError):
        return None


def _without_links(event: dict[str, Any]) -> dict[str, Any]:
    return {name: member for name, member in event.items() if name not in LINKS}


plain_json = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, sort_keys=True, separators=(",", ":")
).encode
"""RFC 8785 text of a value that has ASCII names and no floats, integers beyond 2^53-1 or lone surrogates."""


def _small(digits: str) -> int:
    found = int(digits)
    if abs(found) > MAX_SAFE_INTEGER:
        raise _NotPlain
    return found


def _not_plain(text: str) -> NoReturn:
    raise _NotPlain


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
