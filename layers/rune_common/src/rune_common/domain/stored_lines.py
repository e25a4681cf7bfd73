"""Stored event lines: reading one and proving that it is the RFC 8785 form of an event (runs-api.md 3.3)."""

from __future__ import annotations

import json
from typing import Any, NamedTuple, NoReturn

from rune_common.domain.canonical import MAX_SAFE_INTEGER, CanonicalError, canonical_json

LINKS = ("prev_hash", "hash")
"""The members that a leaf does not cover."""

_PREV_HASH, _HASH = LINKS
_LAST_BMP = "\uffff"


class StoredLine(NamedTuple):
    """An event and the bytes that its leaf covers: its RFC 8785 form without `prev_hash` and `hash`."""

    event: dict[str, Any]
    entry: bytes


class _NotPlain(ValueError):
    """The quick way cannot tell; the library has to."""


def read_line(raw: bytes) -> StoredLine | None:
    """None if the line is not the RFC 8785 form of an object.

    Python's own encoder writes what RFC 8785 asks for, ten times faster than the library, as long as no float
    needs an exponent, no integer is beyond 2^53-1 and no character sorts differently in UTF-16. So a line that
    it reproduces byte by byte is canonical; every other line is asked of the library.
    """
    try:
        text = raw.decode("utf-8")
        event = json.loads(text, parse_float=_decimal, parse_int=_small, parse_constant=_not_plain)
        sorts_alike = text.isascii() or max(text) <= _LAST_BMP
        if sorts_alike and isinstance(event, dict) and LINKS[0] in event and LINKS[1] in event:
            entry, whole = _written(event)
            if whole == text:
                return StoredLine(event, entry.encode())
        if not isinstance(event, dict):
            return None
    except _NotPlain:
        pass
    except (ValueError, RecursionError):
        return None
    return _read_slowly(raw)


def _written(event: dict[str, Any]) -> tuple[str, str]:
    """The texts of the entry and of the whole event: most of them is the same, so it is written once."""
    parts: tuple[dict[str, Any], ...] = ({}, {}, {})
    for name, value in event.items():
        if name not in LINKS:
            parts[(name > _HASH) + (name > _PREV_HASH)][name] = value
    before, between, after = (plain_json(part)[1:-1] for part in parts)
    own, previous = plain_json({_HASH: event[_HASH]})[1:-1], plain_json({_PREV_HASH: event[_PREV_HASH]})[1:-1]
    entry = ",".join(filter(None, (before, between, after)))
    whole = ",".join(filter(None, (before, own, between, previous, after)))
    return f"{{{entry}}}", f"{{{whole}}}"


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
"""RFC 8785 text of a value with ASCII names: no float with an exponent, no integer beyond 2^53-1, no lone
surrogate."""


def _small(digits: str) -> int:
    found = int(digits)
    if abs(found) > MAX_SAFE_INTEGER:
        raise _NotPlain
    return found


def _decimal(digits: str) -> float:
    """A float that Python and RFC 8785 write alike: a fraction without an exponent."""
    found = float(digits)
    if "e" in digits or digits.endswith(".0") or repr(found) != digits:
        raise _NotPlain
    return found


def _not_plain(text: str) -> NoReturn:
    raise _NotPlain


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
