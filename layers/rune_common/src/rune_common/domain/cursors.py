"""Cursors of lists: opaque to clients, signed, bound to the list they were made for (jobs-api.md 4.6)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from rune_common.domain.canonical import canonical_json
from rune_common.domain.errors import FieldProblem, InvalidCursor, Misconfigured

_MAC_BYTES = 16
_INVALID = FieldProblem("cursor", "invalid", "is not valid")


def make_cursor(position: str, scope: Mapping[str, Any], *, key: bytes) -> str:
    """Text that brings `position` back for the same `scope`: all that the list depends on, as JSON."""
    raw = position.encode()
    return _text(_mac(raw, scope, key) + raw)


def read_cursor(cursor: str, scope: Mapping[str, Any], *, key: bytes) -> str:
    """The position. Raises InvalidCursor for a cursor that was changed or belongs to another scope."""
    try:
        data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise InvalidCursor(_INVALID) from None
    mac, raw = data[:_MAC_BYTES], data[_MAC_BYTES:]
    # Spare bits of the last character do not change what it decodes to, so the text is compared as well.
    if not hmac.compare_digest(mac, _mac(raw, scope, key)) or _text(mac + raw) != cursor:
        raise InvalidCursor(_INVALID)
    return raw.decode()


def _mac(raw: bytes, scope: Mapping[str, Any], key: bytes) -> bytes:
    if not key:
        raise Misconfigured("RUNE_CURSOR_KEY is not set")
    bound = canonical_json(dict(scope)) + b"\x00" + raw
    return hmac.new(key, bound, hashlib.sha256).digest()[:_MAC_BYTES]


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
