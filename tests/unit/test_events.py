"""The event log: whatever is appended verifies, and whatever is changed is found (runs-api.md 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rune_common.domain.chain import genesis, verify_chain
from rune_common.domain.events import (
    FAMILY_OF,
    TERMINAL_TYPES,
    Event,
    EventDraft,
    EventUsage,
    LogClosed,
    Redacted,
    append_event,
    epoch_ms,
    timestamp,
    total_usage,
)
from rune_common.domain.redaction import Redactor
from rune_common.domain.runs import LogHead, UsageTotals

TENANT, RUN_ID = "default", "0192f0c1-0000-7000-8000-000000000001"
OPEN_TYPES = sorted(FAMILY_OF.keys() - TERMINAL_TYPES)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
PAYLOADS = st.dictionaries(st.text(), JSON, max_size=4)
DRAFTS = st.builds(EventDraft, st.sampled_from(OPEN_TYPES), PAYLOADS, duration_ms=st.floats(0, 1e6))
LOGS = st.lists(st.tuples(DRAFTS, st.integers(-10_000, 10_000)), min_size=1, max_size=6)


def empty_head() -> LogHead:
    return LogHead(TENANT, RUN_ID, 0, genesis(TENANT, RUN_ID))


def appended(steps: Sequence[tuple[EventDraft, int]], redactor: Redactor | None = None) -> list[Event]:
    """Events made at times that go forth and back by the given milliseconds."""
    head, now, found = empty_head(), 1_760_000_000_000, list[Event]()
    for draft, step in steps:
        now += step
        event, head = append_event(head, draft, now_ms=now, redactor=redactor or Redactor())
        found.append(event)
    assert head.sequence == len(found)
    return found


def bodies(events: Sequence[Event]) -> list[bytes]:
    return [event.body for event in events]


@given(LOGS)
def test_what_is_appended_verifies_and_its_time_never_goes_back(steps: list[tuple[EventDraft, int]]) -> None:
    events = appended(steps)
    assert verify_chain(TENANT, RUN_ID, bodies(events)) == []
    times = [event.document()["ts"] for event in events]
    assert times == sorted(times)
    for number, event in enumerate(events, 1):
        document = event.document()
        assert document["sequence"] == event.sequence == number
        assert document["event_id"] == f"{RUN_ID}-{number}"
        assert document["family"] == FAMILY_OF[event.type]
        assert 1 <= len(document["payload"]["summary"]) <= 300
        assert event.body == event.body.strip()
        assert b"\n" not in event.body


@given(LOGS, st.data())
@settings(max_examples=200)
def test_every_changed_byte_is_found(steps: list[tuple[EventDraft, int]], data: st.DataObject) -> None:
    lines = bodies(appended(steps))
    at = data.draw(st.integers(0, len(lines) - 1))
    place = data.draw(st.integers(0, len(lines[at]) - 1))
    flip = data.draw(st.integers(1, 255))
    changed = bytearray(lines[at])
    changed[place] ^= flip
    assert verify_chain(TENANT, RUN_ID, [*lines[:at], bytes(changed), *lines[at + 1 :]])


@given(st.lists(st.tuples(DRAFTS, st.integers(0, 10)), min_size=3, max_size=6), st.data())
def test_a_removed_repeated_or_moved_event_is_found(
    steps: list[tuple[EventDraft, int]], data: st.DataObject
) -> None:
    lines = bodies(appended(steps))
    at = data.draw(st.integers(0, len(lines) - 2))
    assert verify_chain(TENANT, RUN_ID, lines[:at] + lines[at + 1 :])
    assert verify_chain(TENANT, RUN_ID, [*lines[: at + 1], *lines[at:]])
    assert verify_chain(TENANT, RUN_ID, [*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]])


@given(LOGS)
def test_a_log_belongs_to_one_tenant_and_run(steps: list[tuple[EventDraft, int]]) -> None:
    lines = bodies(appended(steps))
    assert verify_chain("other", RUN_ID, lines)
    assert verify_chain(TENANT, RUN_ID[:-1] + "2", lines)


SECRET = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=12, max_size=24)


@given(SECRET, st.text(max_size=20), st.sampled_from(["data", "text", "args"]))
def test_a_known_secret_is_never_stored(secret: str, around: str, name: str) -> None:
    payload = {"summary": f"{around} {secret}", name: {"deep": [f"{secret}{around}", {"deeper": secret}]}}
    (event,) = appended([(EventDraft("tool_result", payload), 0)], Redactor([secret]))
    assert secret.encode() not in event.body
    assert event.redactions >= 3


def test_what_was_removed_is_told_by_place_and_rule() -> None:
    payload = {"summary": "s", "args": {"password": "hunter22", "note": "Authorization: Basic abcdefgh"}}
    (event,) = appended([(EventDraft("tool_call", payload), 0)])
    document = event.document()
    assert document["payload"]["args"]["password"] == "[REDACTED:secret_member]"
    assert {(each["pointer"], each["rule"]) for each in document["redactions"]} == {
        ("/payload/args/password", "secret_member"),
        ("/payload/args/note", "auth_header"),
    }
    assert event.redactions == 2


@pytest.mark.parametrize("kind", sorted(TERMINAL_TYPES))
def test_nothing_follows_a_terminal_event(kind: str) -> None:
    event, head = append_event(empty_head(), EventDraft(kind, {}), now_ms=1, redactor=Redactor())
    assert (event.terminal, head.terminal) == (True, True)
    with pytest.raises(LogClosed):
        append_event(head, EventDraft("narrative", {}), now_ms=2, redactor=Redactor())


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(ValueError, match="no event type"):
        append_event(empty_head(), EventDraft("error", {}), now_ms=1, redactor=Redactor())


def test_a_redactor_that_fails_lets_nothing_through() -> None:
    class Broken:
        def value(self, value: Any) -> tuple[Any, Sequence[Redacted]]:
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError):
        append_event(empty_head(), EventDraft("narrative", {"text": "x"}), now_ms=1, redactor=Broken())


def test_a_summary_is_made_where_there_is_none_and_cut_where_it_is_long() -> None:
    events = appended(
        [(EventDraft("run_progress", {}), 0), (EventDraft("narrative", {"summary": "x" * 500}), 0)]
    )
    summaries = [event.document()["payload"]["summary"] for event in events]
    assert summaries == ["run progress", "x" * 299 + "…"]


def test_an_unpriced_event_has_no_cost_and_a_priced_one_its_own() -> None:
    unpriced = EventUsage(10, 5, 1, unpriced=True, model="m")
    priced = EventUsage(10, 5, 1, cost_micro_usd=25, model="m")
    documents = [
        event.document()
        for event in appended([(EventDraft("narrative", {}, usage=use), 0) for use in (unpriced, priced)])
    ]
    assert [each["cost_usd"] for each in documents] == [None, 0.000025]
    assert [each["token_usage"] for each in documents] == [15, 15]
    assert documents[0]["usage"]["unpriced"] is True


USES = st.builds(
    EventUsage,
    *[st.integers(0, 1000)] * 4,
    cost_micro_usd=st.integers(0, 1000),
    unpriced=st.booleans(),
)


@given(st.lists(USES), st.integers(0, 10))
def test_usage_adds_up_however_it_is_split(uses: list[EventUsage], at: int) -> None:
    whole = total_usage(UsageTotals(), uses)
    assert total_usage(total_usage(UsageTotals(), uses[:at]), uses[at:]) == whole
    assert whole.input_tokens == sum(use.input_tokens for use in uses)
    assert whole.unpriced == any(use.unpriced for use in uses)
    assert (whole.cost_micro_usd or 0) == sum(use.cost_micro_usd for use in uses)


@given(st.integers(0, 4_102_444_800_000))
def test_times_survive_their_text_form(moment: int) -> None:
    assert epoch_ms(timestamp(moment)) == moment
    assert timestamp(moment) < timestamp(moment + 1)
