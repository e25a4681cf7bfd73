"""Tickets with which a browser reads one stream of one run (runs-api.md 1.3). Signed, never stored."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Literal

from rune_common.domain.errors import Misconfigured

Purpose = Literal["events", "terminal"]
LIFE_MS = 10 * 60 * 1000
_MAC_BYTES = 32
_LABEL = b"rune/stream-ticket/v1\x00"
_LONGEST = 1024


@dataclass(frozen=True, slots=True)
class StreamTicket:
    """Who may read what until when (epoch ms). Reusable until then; it allows nothing but to read."""

    tenant: str
    run_id: str
    purpose: str
    subject: str
    expires_at: int


def sign_ticket(ticket: StreamTicket, *, key: bytes) -> str:
    """The same ticket has the same text. Raises Misconfigured without a key: everybody could make such tickets."""
    if not key:
        raise Misconfigured("RUNE_CURSOR_KEY is not set")
    fields = [ticket.tenant, ticket.run_id, ticket.purpose, ticket.subject, ticket.expires_at]
    raw = json.dumps(fields, separators=(",", ":")).encode()
    return _text(_mac(raw, key) + raw)


def read_ticket(text: str, *, run_id: str, purpose: Purpose, key: bytes, now_ms: int) -> StreamTicket | None:
    """The ticket, if it is one that this deployment signed for this run and purpose and that still counts."""
    if not key or len(text) > _LONGEST:
        return None
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        return None
    mac, raw = data[:_MAC_BYTES], data[_MAC_BYTES:]
    # Spare bits of the last character do not change what it decodes to, so the text is compared as well.
    if not hmac.compare_digest(mac, _mac(raw, key)) or _text(mac + raw) != text:
        return None
    ticket = StreamTicket(*json.loads(raw))
    wanted = (ticket.run_id, ticket.purpose) == (run_id, purpose)
    return ticket if wanted and now_ms < ticket.expires_at else None


def _mac(raw: bytes, key: bytes) -> bytes:
    return hmac.new(key, _LABEL + raw, hashlib.sha256).digest()


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
