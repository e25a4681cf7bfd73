"""Reading job events out of a log that is mostly about other things (jobs-api.md 4.9)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rune_common.adapters.lazy_redactor import LazyRedactor
from rune_common.adapters.memory import MemoryRunStore
from rune_common.domain.access import Principal
from rune_common.domain.chain import genesis
from rune_common.domain.errors import RunNotFound
from rune_common.domain.events import EventDraft, append_event
from rune_common.domain.ports import RunRequest
from rune_common.domain.runs import LogHead, Run, RunKind, RunState
from rune_common.usecases.read_job_events import read_job_events

CALLER = Principal("s", "human", "t")


def log_of(spans):
    """A run whose log has one event per item; True: it names a span."""
    head = LogHead("t", "r-1", 0, genesis("t", "r-1"))
    run = Run("t", "r-1", RunKind.AGENT, RunState.RUNNING, 1, 1, "s", head)
    events = []
    for number, shown in enumerate(spans, start=1):
        span = {"span": {"name": f"n{number}", "status": "ok", "labels": {}}} if shown else {}
        draft = EventDraft("run_progress", {"summary": "s"} | span)
        event, head = append_event(head, draft, now_ms=1, redactor=LazyRedactor())
        events.append(event)
    runs = MemoryRunStore()
    runs.create(replace(run, head=head), RunRequest({}), events)
    return runs


def seqs(page):
    return [event.seq for event in page.events]


def test_sequences_have_gaps_where_a_log_event_is_not_shown():
    page = read_job_events("r-1", CALLER, runs=log_of([True, False, False, True]))
    assert (seqs(page), page.next_after) == ([1, 4], None)


def test_a_page_ends_after_its_limit_and_says_where_to_go_on():
    runs = log_of([True] * 3 + [False] * 60 + [True] * 2)
    page = read_job_events("r-1", CALLER, limit=3, runs=runs)
    assert (seqs(page), page.next_after) == ([1, 2, 3], 3)
    rest = read_job_events("r-1", CALLER, after=3, limit=3, runs=runs)
    assert (seqs(rest), rest.next_after) == ([64, 65], None)


def test_the_last_event_of_a_log_ends_the_list():
    page = read_job_events("r-1", CALLER, limit=2, runs=log_of([True, True]))
    assert (seqs(page), page.next_after) == ([1, 2], None)


def test_one_call_passes_only_so_much_of_a_chatty_log():
    runs = log_of([False] * 700 + [True])
    seen, after, calls = [], 0, 0
    while after is not None:
        page = read_job_events("r-1", CALLER, after=after, limit=1, runs=runs)
        seen, after, calls = seen + seqs(page), page.next_after, calls + 1
    assert (seen, calls) == ([701], 2)


def test_another_tenants_events_are_not_found():
    with pytest.raises(RunNotFound):
        read_job_events("r-1", Principal("s", "human", "other"), runs=log_of([True]))
