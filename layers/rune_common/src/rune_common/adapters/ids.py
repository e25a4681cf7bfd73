"""Run ids: UUIDv7 (RFC 9562 5.7), so that their order is the order of creation."""

from __future__ import annotations

import os
import threading
import time
import uuid

_lock = threading.Lock()
_last = 0


def new_run_id() -> str:
    """UUIDv7 text. Strictly ascending within a process: the 12 bits after the milliseconds count fractions."""
    global _last
    with _lock:
        now = time.time_ns() * 4096 // 1_000_000  # ms << 12, with the fraction of a millisecond below
        _last = now if now > _last else _last + 1
        stamp = _last
    random = int.from_bytes(os.urandom(8), "big") & ((1 << 62) - 1)
    value = ((stamp >> 12) & ((1 << 48) - 1)) << 80 | 0x7 << 76 | (stamp & 0xFFF) << 64 | 0b10 << 62 | random
    return str(uuid.UUID(int=value))
