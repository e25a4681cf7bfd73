"""Read a run's log as it is stored (runs-api.md 4.1, 4.2)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from rune_common.domain.access import Principal
from rune_common.domain.errors import FieldProblem, InvalidRequest
from rune_common.domain.events import FAMILY_OF, Event
from rune_common.domain.ports import RunStore
from rune_common.domain.run_cursors import event_id, place_of_event, place_of_sequence
from rune_common.domain.runs import Run
from rune_common.usecases.find_run import find_run
from rune_common.usecases.log_tails import LogTails

PAGE_BYTES = 4 * 1024 * 1024
READ_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events are shown; empty means all. The terminal event always is."""

    types: frozenset[str] = frozenset()
    families: frozenset[str] = frozenset()

    def shows(self, event: Event) -> bool:
        return event.terminal or (
            (not self.types or event.type in self.types)
            and (not self.families or FAMILY_OF.get(event.type) in self.families)
        )


@dataclass(frozen=True, slots=True)
class EventQuery:
    """A page of a log: from where on, at most how many events, and how long to wait for the first, in seconds."""

    after_event_id: str | None = None
    after_sequence: str | None = None
    limit: int = 200
    wait_seconds: float = 0
    where: EventFilter = EventFilter()


@dataclass(frozen=True, slots=True)
class StoredEvents:
    """`next_after` is the last event's place, or the one that was asked for when there is none."""

    run: Run
    events: tuple[Event, ...]
    next_after: int
    has_more: bool
    head_sequence: int
    terminal: bool

    @property
    def next_after_event_id(self) -> str:
        return event_id(self.run.run_id, self.next_after)


async def list_run_events(
    run_id: str, caller: Principal, query: EventQuery, *, runs: RunStore, tails: LogTails
) -> StoredEvents:
    """Ascending; what was returned once stays a prefix of what is returned later.

    Raises RunNotFound, InvalidCursor, InvalidRequest.
    """
    run = await asyncio.to_thread(find_run, run_id, caller, runs=runs)
    after = start_of(run, query)
    page = await asyncio.to_thread(_page, run, after, query, runs)
    if page.events or page.terminal or query.wait_seconds <= 0:
        return page
    return await _awaited(run, after, page.head_sequence, query, runs, tails)


def start_of(run: Run, query: EventQuery) -> int:
    """Raises InvalidCursor, and InvalidRequest for two starts."""
    if query.after_event_id is not None and query.after_sequence is not None:
        raise InvalidRequest(FieldProblem("after_sequence", "ambiguous", "cannot be with after_event_id"))
    if query.after_event_id is not None:
        return place_of_event(run, query.after_event_id)
    return 0 if query.after_sequence is None else place_of_sequence(run, query.after_sequence)


def _page(run: Run, after: int, query: EventQuery, runs: RunStore) -> StoredEvents:
    """Reads on until something is shown: an empty page means that there is nothing, not that it was not found."""
    shown: list[Event] = []
    place, size, more, ended = after, 0, True, run.head.terminal and after >= run.head.sequence
    full = False
    while more and not full:
        page = runs.events(run.tenant, run.run_id, after=place, limit=READ_AT_ONCE)
        more = page.more
        for index, event in enumerate(page.events):
            if event.sequence != place + 1:
                more = False  # a reading that meets a transaction may show only a part of it
                break
            if query.where.shows(event):
                if shown and (len(shown) == query.limit or size + len(event.body) > PAGE_BYTES):
                    full = True
                    break
                shown.append(event)
                size += len(event.body)
            place, ended = event.sequence, event.terminal
            if len(shown) == query.limit:
                full = more or index + 1 < len(page.events)
                more = False
                break
        if not page.events:
            break
    head = max(run.head.sequence, place)
    return StoredEvents(
        run=run,
        events=tuple(shown),
        next_after=shown[-1].sequence if shown else after,
        has_more=full or place < head,
        head_sequence=head,
        terminal=run.head.terminal or ended,
    )


async def _awaited(
    run: Run, after: int, place: int, query: EventQuery, runs: RunStore, tails: LogTails
) -> StoredEvents:
    """What comes while the caller waits: the first event that is shown, or nothing."""
    now = asyncio.get_running_loop().time
    until = now() + query.wait_seconds
    ended = False
    async with tails.follow(run.tenant, run.run_id, runs=runs) as tail:
        while not ended and now() < until:
            try:
                events = await asyncio.wait_for(tail.after(place), until - now())
            except TimeoutError:
                break
            place, ended = events[-1].sequence, events[-1].terminal
            if any(map(query.where.shows, events)):
                return await asyncio.to_thread(_page, run, after, query, runs)
    return StoredEvents(run, (), after, has_more=False, head_sequence=place, terminal=ended)
