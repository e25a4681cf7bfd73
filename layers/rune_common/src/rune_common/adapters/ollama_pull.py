"""One pull of a model, followed line by line (jobs-api.md 5.3)."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from rune_common.adapters.checked_http import CheckedHttp
from rune_common.domain.errors import Unavailable
from rune_common.domain.model_pulls import PullProgress, PullTally

STALL_SECONDS = 120.0
LOOK_SECONDS = 1.0


def pull(
    exchange: CheckedHttp,
    model: str,
    *,
    progress: Callable[[PullProgress], None],
    stop: Callable[[], bool],
    stall_seconds: float = STALL_SECONDS,
    monotonic: Callable[[], float] = time.monotonic,
) -> bool:
    """True once the server says `success`, False when `stop` closed the call; it is asked every second.

    Raises PullRefused, and Unavailable for a call that ends without a word or brings no byte in time.
    """
    lines: queue.Queue[Any] = queue.Queue(maxsize=1000)
    reader = threading.Thread(target=_read, args=(exchange, model, lines), name="pull", daemon=True)
    tally, moved_at = PullTally(), monotonic()
    reader.start()
    with exchange:
        while not stop():
            if monotonic() - moved_at > stall_seconds:
                raise Unavailable("the pull stalls")
            try:
                line = lines.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                continue
            if isinstance(line, Unavailable):
                raise line
            if not isinstance(line, dict):
                continue
            before = tally.bytes_done
            found = tally.read(line)
            if tally.bytes_done > before:
                moved_at = monotonic()
            progress(found)
            if found.done:
                return True
    return False


def _read(exchange: CheckedHttp, model: str, lines: queue.Queue[Any]) -> None:
    body = {"model": model, "name": model, "stream": True}
    try:
        for line in exchange.lines("POST", "/api/pull", body):
            lines.put(line)
        lines.put(Unavailable("the pull ended without success"))
    except Unavailable as exc:
        lines.put(exc)
    except Exception as exc:
        # Closed from the other side while it was read, which looks like anything.
        lines.put(Unavailable(f"the pull broke: {type(exc).__name__}"))
