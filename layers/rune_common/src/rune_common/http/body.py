"""Reading a request's body: size, encoding and JSON rules (jobs-api.md 1.1)."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn

from fastapi import Depends, Request

from rune_common.domain.canonical import CanonicalError, canonical_json
from rune_common.domain.errors import BodyTooLarge, InvalidBody, InvalidJson

MAX_BODY_BYTES = 10 * 1024 * 1024
MAX_DEPTH = 32


async def read_body(request: Request) -> bytes:
    """The whole body, with a declared length or chunked. Raises BodyTooLarge.

    A body up to twice the limit is received and thrown away, so that its sender gets to read the answer
    instead of a reset connection; beyond that nothing more is received.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > 2 * MAX_BODY_BYTES:
        raise BodyTooLarge
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= MAX_BODY_BYTES:
            chunks.append(chunk)
        elif size > 2 * MAX_BODY_BYTES:
            break
    if size > MAX_BODY_BYTES:
        raise BodyTooLarge
    return b"".join(chunks)


RawBody = Annotated[bytes, Depends(read_body)]


@dataclass(frozen=True, slots=True)
class JsonObject:
    """A request's object, and the SHA-256 of its RFC 8785 form as submitted (jobs-api.md 4.4)."""

    members: Mapping[str, Any]
    sha256: str


def json_object(raw: bytes) -> JsonObject:
    """The object in a body; an empty body is `{}`. Raises InvalidJson, InvalidBody.

    Strict RFC 8259: UTF-8 without byte order mark, finite numbers, no NUL, no lone surrogate, at most 32
    containers inside each other. Of equal names the last counts.
    """
    value = _parse(raw) if raw else {}
    if not isinstance(value, dict):
        raise InvalidBody
    try:
        form = canonical_json(value)
    except CanonicalError:
        # Whole numbers beyond 2^53-1 have no canonical form; the bytes then stand for themselves.
        form = raw
    return JsonObject(value, hashlib.sha256(form).hexdigest())


def _parse(raw: bytes) -> Any:
    try:
        text = raw.decode()
        value = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError):
        raise InvalidJson from None
    # Only an escape can bring in a NUL or half a surrogate pair, and only brackets make depth.
    if text.count("{") + text.count("[") > MAX_DEPTH or "\\u" in text:
        _check(value)
    return value


def _check(value: Any) -> None:
    waiting = [(value, 0)]
    while waiting:
        item, depth = waiting.pop()
        if isinstance(item, str):
            if "\x00" in item or not _encodable(item):
                raise InvalidJson
        elif isinstance(item, (dict, list)):
            if depth == MAX_DEPTH:
                raise InvalidJson
            inner = [*item, *item.values()] if isinstance(item, dict) else item
            waiting.extend((each, depth + 1) for each in inner)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number
