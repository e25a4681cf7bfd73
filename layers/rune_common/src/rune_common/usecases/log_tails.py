"""A run's log as it grows: one reader in this process for all who follow it (runs-api.md 4.1)."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from rune_common.domain.errors import Unavailable
from rune_common.domain.events import Event
from rune_common.domain.ports import RunStore

PAGE = 500
KEPT_EVENTS = 256
KEPT_BYTES = 1024 * 1024

logger = logging.getLogger("rune.streams")


@dataclass(frozen=True, slots=True)
class Pace:
    """How often logs are looked at: seconds between two looks, and looks per second of the whole process.

    A log that grows is looked at every `fastest`, a quiet one every `slowest`; with many runs followed at once
    each is looked at less often, so that their number does not become a load. A store that did not answer is
    asked again after `unanswered` seconds.
    """

    fastest: float = 0.05
    slowest: float = 0.1
    looks_per_second: float = 100.0
    unanswered: float = 1.0

    def pause(self, before: float, *, grew: bool, runs: int) -> float:
        wanted = self.fastest if grew else min(before * 1.5, self.slowest)
        return max(wanted, min(1.0, runs / self.looks_per_second))


class LogTails:
    """The logs that are followed in this process. Belongs to one event loop."""

    def __init__(self, pace: Pace | None = None) -> None:
        self.pace = pace or Pace()
        self._tails: dict[tuple[str, str], LogTail] = {}

    @property
    def followed(self) -> int:
        """How many runs are followed now."""
        return len(self._tails)

    @asynccontextmanager
    async def follow(self, tenant: str, run_id: str, *, runs: RunStore) -> AsyncIterator[LogTail]:
        """The run's tail, shared with everybody who follows it now; the last to leave ends its reading."""
        key = (tenant, run_id)
        tail = self._tails.get(key)
        if tail is None:
            tail = self._tails[key] = LogTail(tenant, run_id, runs, self)
        tail.followers += 1
        try:
            yield tail
        finally:
            tail.followers -= 1
            if not tail.followers:
                del self._tails[key]
                tail.close()

    def nudge(self, tenant: str, run_id: str) -> None:
        """Say, from any thread, that a log has grown: whoever follows it looks at once."""
        tail = self._tails.get((tenant, run_id))
        if tail is not None:
            tail.nudge()

    def pause(self, before: float, *, grew: bool) -> float:
        return self.pace.pause(before, grew=grew, runs=len(self._tails))


class LogTail:
    """The newest events of one log. A follower holds nothing but its place in it."""

    def __init__(self, tenant: str, run_id: str, runs: RunStore, tails: LogTails) -> None:
        self.followers = 0
        self._tenant, self._run_id, self._runs, self._tails = tenant, run_id, runs, tails
        self._position = 0
        self._kept: deque[Event] = deque()
        self._kept_bytes = 0
        self._grown = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._nudged = asyncio.Event()
        self._failure: Exception | None = None

    async def after(self, position: int) -> Sequence[Event]:
        """The next events after a place, as soon as there are any: in order, without a gap, at least one."""
        while True:
            known = self._known(position)
            if known:
                return known
            if known is None:
                found = await self._read(position)
                if found:
                    return found
                self._begin(position)
            if self._failure is not None:
                raise self._failure
            await self._grown.wait()

    def close(self) -> None:
        if self._reader is not None:
            self._reader.cancel()

    def _known(self, position: int) -> Sequence[Event] | None:
        """None when some of what follows is not kept here: then it has to be read."""
        if self._reader is None or position < self._position - len(self._kept):
            return None
        return [event for event in self._kept if event.sequence > position]

    def _begin(self, position: int) -> None:
        """Keep reading from here on, if nobody does yet."""
        if self._reader is None:
            self._position = position
            self._reader = asyncio.create_task(self._keep_reading(), name=f"tail-{self._run_id}")

    async def _keep_reading(self) -> None:
        pause, ended = self._tails.pause(0.0, grew=True), False
        try:
            while not ended:
                await self._rest(pause)
                found = await self._read(self._position)
                pause = self._tails.pause(pause, grew=bool(found))
                if found:
                    self._keep(found)
                    ended = found[-1].terminal
        except Exception as exc:
            logger.exception("a log could not be followed")
            self._failure = exc
            self._grown.set()

    def nudge(self) -> None:
        self._loop.call_soon_threadsafe(self._nudged.set)

    async def _rest(self, pause: float) -> None:
        """Until the next look is due, or somebody says that it is worth while."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._nudged.wait(), pause)
        self._nudged.clear()

    def _keep(self, found: Sequence[Event]) -> None:
        for event in found:
            self._kept.append(event)
            self._kept_bytes += len(event.body)
        self._position = found[-1].sequence
        while len(self._kept) > 1 and (len(self._kept) > KEPT_EVENTS or self._kept_bytes > KEPT_BYTES):
            self._kept_bytes -= len(self._kept.popleft().body)
        woken, self._grown = self._grown, asyncio.Event()
        woken.set()

    async def _read(self, position: int) -> Sequence[Event]:
        """One look at the log. While the store does not answer, it is asked again: a follower only waits."""
        while True:
            try:
                page = await asyncio.to_thread(
                    self._runs.events, self._tenant, self._run_id, after=position, limit=PAGE
                )
            except Unavailable:
                await asyncio.sleep(self._tails.pace.unanswered)
                continue
            return _gapless(page.events, position)


def _gapless(events: Sequence[Event], position: int) -> Sequence[Event]:
    """What follows without a gap: a reading that meets a transaction may show only a part of it."""
    for index, event in enumerate(events):
        if event.sequence != position + index + 1:
            return events[:index]
    return events
