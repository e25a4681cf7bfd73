"""Canonical JSON (RFC 8785) and the normalisation that comes before it (runs-api.md 3.3, 16)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import rfc8785

MAX_DEPTH = 16
"""Containers inside each other, the outermost one counted (runs-api.md 3.3)."""

MAX_SAFE_INTEGER = 2**53 - 1
_SHORTEST_EXPONENT = 1e21  # from here on RFC 8785 writes an exponent, so a reader sees a float again

MARKER_NAN = "[INVALID:nan]"
MARKER_INFINITY = "[INVALID:infinity]"
MARKER_SURROGATE = "[INVALID:surrogate]"
MARKER_DEPTH = "[INVALID:depth]"
MARKER_TYPE = "[INVALID:type]"

_SURROGATE = re.compile("[\ud800-\udfff]")


class CanonicalError(ValueError):
    """The value has no canonical JSON form. The text names the rule, never the value."""


def canonical_json(value: Any) -> bytes:
    """RFC 8785 bytes of a JSON value; parsing them and repeating gives the same bytes.

    Raises CanonicalError on NaN, infinities, lone surrogates, member names that are not text, types that
    JSON does not have, and whole numbers beyond ±(2^53-1) in either type: a reader could not tell the
    float 1e16 from the integer.
    """
    if _plain(value):
        # For such values both give the same bytes, and this is written in C.
        return _encode(value).encode()
    try:
        found = rfc8785.dumps(value)
        if _has_unsafe_float(value):
            raise CanonicalError("a whole number is beyond 2^53-1")
    except CanonicalError:
        raise
    except RecursionError:
        raise CanonicalError("the value is nested too deeply") from None
    except rfc8785.IntegerDomainError:
        raise CanonicalError("a whole number is beyond 2^53-1") from None
    except rfc8785.FloatDomainError:
        raise CanonicalError("a number is not finite") from None
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        # The library's text, and the cause's, would repeat the value.
        raise CanonicalError("a text is not valid Unicode, or a value is not JSON") from None
    return found


_encode = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":"), check_circular=False
).encode


MOST_PLAIN = 20_000


def _plain(value: Any) -> bool:
    """Whether a value is made of dicts with ASCII names, lists, ASCII texts, safe integers, truth values, nulls."""
    waiting = [value]
    for item in waiting:
        if len(waiting) > MOST_PLAIN:
            return False  # large, or a value that contains itself: the slower way tells
        kind = type(item)
        if kind is str:
            if not item.isascii():
                return False
        elif kind is dict:
            for name in item:
                if type(name) is not str or not name.isascii():
                    return False
            waiting.extend(item.values())
        elif kind is list:
            waiting.extend(item)
        elif kind is int:
            if not -MAX_SAFE_INTEGER <= item <= MAX_SAFE_INTEGER:
                return False
        elif item is not None and kind is not bool:
            return False
    return True


def normalise(value: Any, *, strict: bool) -> Any:
    """Step 1 of runs-api.md 3.3: a copy of `value` that has a canonical form.

    Whole numbers beyond ±(2^53-1) become decimal strings, tuples lists. NaN, infinities, lone surrogates,
    values that JSON does not have and containers deeper than MAX_DEPTH raise CanonicalError when `strict`
    (external input); otherwise a marker `[INVALID:…]` takes their place. Halves of one surrogate pair that
    stand side by side are joined, because together they are valid.
    """
    return _normalise(value, strict, 1)


def _normalise(value: Any, strict: bool, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, strict)
    if isinstance(value, int):
        return int(value) if abs(value) <= MAX_SAFE_INTEGER else _decimal(value)
    if isinstance(value, float):
        return _number(value, strict)
    if not isinstance(value, (Mapping, list, tuple)):
        return _refuse(MARKER_TYPE, strict)
    if depth > MAX_DEPTH:
        return _refuse(MARKER_DEPTH, strict)
    if isinstance(value, Mapping):
        return {_name(name, strict): _normalise(member, strict, depth + 1) for name, member in value.items()}
    return [_normalise(member, strict, depth + 1) for member in value]


def _name(name: Any, strict: bool) -> str:
    if isinstance(name, str):
        return _text(name, strict)
    _refuse(MARKER_TYPE, strict)
    return str(name)


def _text(text: str, strict: bool) -> str:
    text = str.__str__(text)
    if text.isascii() or not _SURROGATE.search(text):
        return text
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    if not _SURROGATE.search(joined):
        return joined
    _refuse(MARKER_SURROGATE, strict)
    return _SURROGATE.sub(MARKER_SURROGATE, joined)


def _number(number: float, strict: bool) -> Any:
    if math.isnan(number):
        return _refuse(MARKER_NAN, strict)
    if math.isinf(number):
        return _refuse(MARKER_INFINITY, strict)
    return _decimal(int(number)) if _unsafe(number) else float(number)


def _decimal(number: int) -> str:
    # Hexadecimal has no digit limit, unlike str(): an absurdly long integer must not raise here.
    return str(number) if number.bit_length() < 4096 else hex(number)


def _refuse(marker: str, strict: bool) -> str:
    if strict:
        raise CanonicalError(f"the value is not allowed: {marker[9:-1]}")
    return marker


def _unsafe(number: float) -> bool:
    return MAX_SAFE_INTEGER < abs(number) < _SHORTEST_EXPONENT


def _has_unsafe_float(value: Any) -> bool:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, (list, tuple)):
            waiting.extend(item)
        elif isinstance(item, float) and _unsafe(item):
            return True
    return False
