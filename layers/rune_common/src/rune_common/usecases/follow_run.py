"""Follow a run's log to its end: what every stream of events is made of (runs-api.md 4.1, jobs-api.md 9.1)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from rune_common.domain.errors import InvalidCursor
from rune_common.domain.events import Event
from rune_common.domain.ports import RunStore
from rune_common.domain.runs import Run
from rune_common.usecases.log_tails import LogTails

SILENCE_SECONDS = 4.0
"""A reader gives up after 5 s without a byte, so after this long it gets one."""

WINDOW_SECONDS = 840.0
"""How long one stream lasts at most; its reader takes it up where it broke."""

T = TypeVar("T")


class Mark(Enum):
    """What a stream tells beside its events."""

    SILENT = "silent"
    """Nothing was shown for a while; the reader must hear that the stream lives."""

    WINDOW_CLOSED = "window_closed"
    """The stream has lasted long enough; the run goes on, and so may its reader. Nothing follows."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The run's last event, which has this sequence, has been passed; nothing follows."""

    sequence: int


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds of silence after which `Mark.SILENT` comes, and of a whole stream."""

    silence: float = SILENCE_SECONDS
    window: float = WINDOW_SECONDS


def start_after(run: Run, cursor: int | None) -> int | None:
    """The place to follow from; None when the reader has seen the end of a finished run.

    Raises InvalidCursor for a place that the log has not reached.
    """
    if cursor is None:
        return 0
    if cursor >= run.head.sequence and run.head.terminal:
        return None
    if cursor > run.head.sequence:
        raise InvalidCursor
    return cursor


async def follow_run(
    run: Run,
    *,
    after: int,
    show: Callable[[Event], T | None],
    runs: RunStore,
    tails: LogTails,
    limits: Limits | None = None,
) -> AsyncIterator[Sequence[T] | Mark | Ended]:
    """What `show` makes of each event after a place, in order, as events are stored; and marks between.

    Nothing is lost and nothing comes twice. What `show` answers with None is passed over, and counts as
    silence. The iterator ends after `Ended` or WINDOW_CLOSED, or by being closed.
    """
    limits = limits or Limits()
    now = asyncio.get_running_loop().time
    opened = spoken = now()
    waiting: asyncio.Task[Sequence[Event]] | None = None
    async with tails.follow(run.tenant, run.run_id, runs=runs) as tail:
        try:
            while True:
                if waiting is None:
                    waiting = asyncio.create_task(tail.after(after))
                until = min(spoken + limits.silence, opened + limits.window)
                await asyncio.wait({waiting}, timeout=max(0.0, until - now()))
                if waiting.done():
                    events, waiting = waiting.result(), None
                    after = events[-1].sequence
                    shown = [found for event in events if (found := show(event)) is not None]
                    if shown:
                        yield shown
                        spoken = now()
                    if events[-1].terminal:
                        yield Ended(after)
                        return
                if now() >= opened + limits.window:
                    yield Mark.WINDOW_CLOSED
                    return
                if now() >= spoken + limits.silence:
                    yield Mark.SILENT
                    spoken = now()
        finally:
            if waiting is not None:
                waiting.cancel()
