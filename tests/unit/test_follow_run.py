"""Following a log: order, resumption, silence, windows, and one reader for many followers (runs-api.md 4.1)."""

from __future__ import annotations

import asyncio
import threading
from contextlib import aclosing
from dataclasses import replace

import pytest

from rune_common.adapters.memory import MemoryRunStore
from rune_common.domain.chain import genesis
from rune_common.domain.errors import InvalidCursor, Unavailable
from rune_common.domain.events import EventDraft, append_event
from rune_common.domain.ports import EventPage, RunRequest
from rune_common.domain.redaction import Redactor
from rune_common.domain.runs import LogHead, Run, RunKind, RunState
from rune_common.usecases.change_run import Proposal, change_run
from rune_common.usecases.follow_run import Ended, Limits, Mark, follow_run, start_after
from rune_common.usecases.log_tails import KEPT_EVENTS, LogTails, Pace

QUICK = Pace(fastest=0.001, slowest=0.002, unanswered=0.001)
NOW = 1_760_000_000_000


class Store(MemoryRunStore):
    """Counts readings of logs; may fail some of them, or show a part of a transaction first."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.failing = 0
        self.torn: list[int] = []
        self.held: threading.Event | None = None

    def events(self, tenant, run_id, *, after=0, limit=1000):
        self.reads += 1
        if self.held is not None:
            self.held.wait(10)
        if self.failing:
            self.failing -= 1
            raise Unavailable("the table does not answer")
        page = super().events(tenant, run_id, after=after, limit=limit)
        hidden = {self.torn.pop()} if self.torn else set()
        return EventPage(tuple(each for each in page.events if each.sequence not in hidden), page.more)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def run(store: Store) -> Run:
    head = LogHead("default", "r", 0, genesis("default", "r"))
    event, head = append_event(
        head, EventDraft("run_queued", {"summary": "1"}), now_ms=NOW, redactor=Redactor()
    )
    found = Run("default", "r", RunKind.AGENT, RunState.RUNNING, NOW, NOW, "tester", head)
    store.create(found, RunRequest({}), [event])
    return found


def append(store: Store, *summaries: str, end: bool = False) -> None:
    drafts = [EventDraft("narrative", {"summary": each}) for each in summaries]
    drafts += [EventDraft("run_completed", {"summary": "end"})] if end else []

    def decide(run: Run) -> Proposal:
        return Proposal(replace(run, state=RunState.SUCCEEDED) if end else run, drafts)

    change_run("default", "r", decide, runs=store, clock=lambda: NOW, redactor=Redactor())


def summary(event):
    return event.document()["payload"]["summary"]


async def collected(followed, *, until: int | None = None):
    """Everything that was shown, one by one, and the marks; or the first `until` of them."""
    found = []
    async with aclosing(followed):
        async for each in followed:
            found += each if isinstance(each, list) else [each]
            if until is not None and len(found) >= until:
                return found
    return found


def following(store, run, tails=None, *, after=0, show=summary, **limits):
    tails = tails or LogTails(QUICK)
    return follow_run(run, after=after, show=show, runs=store, tails=tails, limits=Limits(**limits))


async def test_a_finished_log_is_shown_once_and_ends(store, run):
    append(store, "2", "3", end=True)
    assert await collected(following(store, run)) == ["1", "2", "3", "end", Ended(4)]


async def test_only_what_follows_the_place_is_shown(store, run):
    append(store, "2", "3", end=True)
    assert await collected(following(store, run, after=2)) == ["3", "end", Ended(4)]


async def test_events_come_as_they_are_stored(store, run):
    followed = following(store, run)
    async with aclosing(followed):
        assert await anext(followed) == ["1"]
        append(store, "2")
        assert await anext(followed) == ["2"]
        append(store, "3", end=True)
        assert await anext(followed) == ["3", "end"]
        assert await anext(followed) == Ended(4)


async def test_a_part_of_a_transaction_is_not_shown_before_the_whole(store, run):
    tails = LogTails(QUICK)
    followed = following(store, run, tails)
    async with aclosing(followed):
        await anext(followed)
        store.torn = [2]
        append(store, "2", "3", "4", end=True)
        assert await collected(followed) == ["2", "3", "4", "end", Ended(5)]


async def test_what_is_not_shown_counts_as_silence(store, run):
    append(store, "hidden")
    followed = following(store, run, show=lambda event: None, silence=0.02)
    assert await collected(followed, until=2) == [Mark.SILENT, Mark.SILENT]


async def test_a_silent_store_does_not_silence_the_stream(store, run):
    store.held = threading.Event()
    followed = following(store, run, silence=0.02)
    try:
        assert await collected(followed, until=2) == [Mark.SILENT, Mark.SILENT]
    finally:
        store.held.set()


async def test_a_window_closes_without_an_end_and_the_next_one_goes_on_where_it_broke(store, run):
    append(store, "2")
    assert await collected(following(store, run, window=0.05)) == ["1", "2", Mark.WINDOW_CLOSED]
    append(store, "3", end=True)
    assert await collected(following(store, run, after=2)) == ["3", "end", Ended(4)]


async def test_a_store_that_fails_for_a_while_is_asked_again(store, run):
    append(store, end=True)
    store.failing = 3
    assert await collected(following(store, run)) == ["1", "end", Ended(2)]


async def test_a_defect_of_the_store_reaches_every_follower(store, run):
    tails = LogTails(QUICK)
    followed = [following(store, run, tails) for _ in range(3)]
    for each in followed:
        assert await anext(each) == ["1"]
    store.events = lambda *_, **__: 1 / 0
    results = await asyncio.gather(*(anext(each) for each in followed), return_exceptions=True)
    assert [type(each) for each in results] == [ZeroDivisionError] * 3
    assert tails.followed == 0


async def test_many_followers_of_a_run_share_one_reader(store, run):
    tails = LogTails(Pace(fastest=0.01, slowest=0.01))
    followed = [following(store, run, tails) for _ in range(200)]
    for each in followed:
        assert await anext(each) == ["1"]
    waiting = [asyncio.create_task(anext(each)) for each in followed]
    await asyncio.sleep(0.05)
    before = store.reads
    await asyncio.sleep(0.2)
    assert store.reads - before < 40
    append(store, "2")
    assert await asyncio.gather(*waiting) == [["2"]] * 200
    for each in followed:
        await each.aclose()
    assert tails.followed == 0


async def test_nobody_reads_for_a_run_that_nobody_follows(store, run):
    tails = LogTails(QUICK)
    followed = following(store, run, tails)
    await anext(followed)
    waiting = asyncio.create_task(anext(followed))
    await asyncio.sleep(0.02)
    assert tails.followed == 1
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert tails.followed == 0
    await asyncio.sleep(0.02)
    before = store.reads
    await asyncio.sleep(0.02)
    assert store.reads == before


async def test_a_slow_follower_reads_for_itself_what_is_no_longer_kept(store, run):
    tails = LogTails(QUICK)
    slow, fast = following(store, run, tails), following(store, run, tails)
    assert await anext(slow) == ["1"]
    texts = [str(number) for number in range(2, KEPT_EVENTS * 2)]
    reading = asyncio.create_task(collected(fast))
    await asyncio.sleep(0.01)
    for start in range(0, len(texts), 30):
        append(store, *texts[start : start + 30])
        await asyncio.sleep(0)
    append(store, end=True)
    expected = ["1", *texts, "end", Ended(len(texts) + 2)]
    assert await reading == expected
    assert await collected(slow) == expected[1:]


def test_the_more_runs_are_followed_the_less_often_each_is_read():
    pace = Pace(fastest=0.05, slowest=0.5, looks_per_second=100)
    assert pace.pause(0.3, grew=True, runs=1) == 0.05
    assert pace.pause(0.1, grew=False, runs=1) == pytest.approx(0.15)
    assert pace.pause(0.5, grew=False, runs=1) == 0.5
    assert pace.pause(0.05, grew=True, runs=20) == 0.2
    assert pace.pause(0.5, grew=True, runs=100_000) == 1.0


def test_a_place_beyond_the_log_is_no_place_and_beyond_an_ended_log_nothing_is_left(run):
    ended = replace(run, head=replace(run.head, sequence=9, terminal=True))
    assert [start_after(ended, cursor) for cursor in (None, 0, 8, 9, 10)] == [0, 0, 8, None, None]
    assert start_after(run, 1) == 1
    with pytest.raises(InvalidCursor):
        start_after(run, 2)
