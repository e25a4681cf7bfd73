"""The terminal protocol without a transport (runs-api.md 5, 16)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rune_common.domain.events import Event
from rune_common.domain.terminal import UNACKNOWLEDGED, Phase, Terminal, terminal_session
from rune_common.domain.terminal_frames import MAX_FRAME_BYTES, frame_text
from rune_common.domain.terminal_inputs import LATE, LIFE_OVER, Appended, Opened, Received, Signal

Frames = list[dict[str, Any]]
KINDS = st.sampled_from(["chunk", "chunk", "chunk", "other", "step"])


def log_of(kinds: list[str], *, ends: bool = True) -> list[Event]:
    """A log with chunks among other events; `step` begins the next step and ends the one before."""
    events: list[Event] = []
    seq, step = 0, 0

    def add(kind: str, payload: dict[str, Any], **fields: Any) -> None:
        sequence = len(events) + 1
        document = {"sequence": sequence, "type": kind, "ts": "t", "payload": payload, **fields}
        events.append(Event(sequence, kind, json.dumps(document).encode()))

    add("run_queued", {})
    for kind in kinds:
        if kind == "chunk":
            seq += 1
            data = {"stream": "stdout", "step_id": "main", "encoding": "utf8", "data": f"{seq}.", "offset": 0}
            add("terminal_output", {"terminal_seq": seq, **data})
        elif kind == "step":
            step += 1
            add("step_started", {"step_id": f"s{step}", "command": f"c{step}"}, step_id=f"s{step}")
            done = {"step_id": f"s{step}", "state": "succeeded", "exit_code": step}
            add("step_completed", done, step_id=f"s{step}", duration_ms=5)
        else:
            add("run_progress", {})
    if ends:
        add("run_completed", {"status": "completed"})
    return events


def opened(log: list[Event], cursor: Any = None, **fields: Any) -> Opened:
    head = sum(event.type == "terminal_output" for event in log)
    ended = log[-1].terminal
    return Opened("run-1", "running", head, len(log), cursor, ended, **fields)


def fed(state: Terminal, log: list[Event]) -> tuple[Terminal, Frames]:
    """The rest of the log, as a transport gives it: from the state's position, as long as it is wanted."""
    frames: Frames = []
    while state.ready and state.position < len(log):
        state, more = terminal_session(state, Appended(log[state.position]))
        frames += more
    return state, frames


def begun(log: list[Event], cursor: Any = None, **fields: Any) -> tuple[Terminal, Frames]:
    return terminal_session(Terminal(), opened(log, cursor, **fields))


def seqs(frames: Frames) -> list[int]:
    return [frame["seq"] for frame in frames if frame["type"] == "chunk"]


@given(st.lists(KINDS, max_size=40), st.data())
def test_resuming_after_any_drop_gives_each_chunk_once_and_in_order(
    kinds: list[str], data: st.DataObject
) -> None:
    log = log_of(kinds)
    total, cursor, seen = kinds.count("chunk"), 0, []
    for _ in range(data.draw(st.integers(0, 4))):
        state, hello = begun(log, str(cursor))
        assert hello[0]["cursor"] == cursor
        _, frames = fed(state, log)
        kept = frames[: data.draw(st.integers(0, len(frames)))]
        seen += seqs(kept)
        cursor = seen[-1] if seen else 0
    state, _ = begun(log, str(cursor))
    state, frames = fed(state, log)
    assert seen + seqs(frames) == list(range(1, total + 1))
    assert not [frame for frame in frames if frame["type"] == "gap"]
    assert frames[-1]["type"] == "exit"
    assert frames[-1]["head_seq"] == total
    assert state.closed


@given(st.lists(KINDS, max_size=30), st.data())
def test_a_resume_within_a_connection_goes_back_to_any_chunk(kinds: list[str], data: st.DataObject) -> None:
    log = log_of(kinds, ends=False)
    total = kinds.count("chunk")
    state, _ = begun(log)
    state, _ = fed(state, log)
    back = data.draw(st.integers(0, total))
    state, frames = terminal_session(state, Received(json.dumps({"type": "resume", "cursor": back})))
    assert not frames
    _, frames = fed(state, log)
    assert seqs(frames) == list(range(back + 1, total + 1))


@given(st.lists(KINDS, max_size=30), st.integers(0, 30))
def test_steps_come_in_log_order_between_the_chunks_that_are_sent(kinds: list[str], cursor: int) -> None:
    log = log_of(kinds)
    cursor = min(cursor, kinds.count("chunk"))
    _, all_frames = fed(begun(log)[0], log)
    _, frames = fed(begun(log, str(cursor))[0], log)
    assert frames == all_frames[len(all_frames) - len(frames) :]
    assert seqs(frames) == list(range(cursor + 1, kinds.count("chunk") + 1))


@given(st.integers(0, 20), st.integers(0, 20))
def test_a_run_of_one_step_is_not_read_from_its_start(chunks: int, cursor: int) -> None:
    log = log_of(["other", *["chunk"] * chunks, "step"])
    cursor = min(cursor, chunks)
    state, _ = begun(log, str(cursor), one_step=True)
    assert state.position == cursor
    _, frames = fed(state, log)
    assert seqs(frames) == list(range(cursor + 1, chunks + 1))
    assert frames[-1]["exit_code"] == 1


def test_latest_shows_only_what_comes_from_now_on() -> None:
    before = log_of(["chunk", "step", "chunk"], ends=False)
    log = [*before, *log_of(["chunk", "step", "chunk", "chunk"])[len(before) :]]
    state, frames = begun(before, "latest")
    assert frames[0]["cursor"] == 2
    _, frames = fed(state, log)
    assert [frame["type"] for frame in frames] == ["chunk", "exit"]
    assert seqs(frames) == [3]


@pytest.mark.parametrize("cursor", ["3", "-1", "x", "1.0", "9" * 30, " 1", "١"])
def test_a_cursor_that_is_no_place_closes(cursor: str) -> None:
    state, frames = begun(log_of(["chunk", "chunk"]), cursor)
    assert (frames[0]["code"], frames[0]["close_code"]) == ("CURSOR_INVALID", 4400)
    assert state.closed


@pytest.mark.parametrize("cursor", [3, -1, True, "x", 1.5, {}, None])
def test_a_resume_to_no_place_closes_except_to_the_start(cursor: Any) -> None:
    state, _ = begun(log_of(["chunk", "chunk"]))
    state, frames = terminal_session(state, Received(json.dumps({"type": "resume", "cursor": cursor})))
    assert state.closed == (cursor is not None)
    assert [frame["close_code"] for frame in frames] == ([] if cursor is None else [4400])


def test_chunks_that_are_gone_are_told_as_a_gap() -> None:
    log = log_of(["chunk", "chunk", "chunk"])
    rest = [log[0], Event(2, "run_progress", b"{}"), Event(3, "run_progress", b"{}"), *log[3:]]
    _, frames = fed(begun(log)[0], rest)
    assert frames[0] == {"type": "gap", "from_seq": 1, "to_seq": 2, "reason": "retention"}
    assert seqs(frames) == [3]


def test_a_client_that_acknowledges_gets_64_chunks_ahead() -> None:
    log = log_of(["chunk"] * 200)
    state, frames = fed(begun(log, acknowledges=True)[0], log)
    assert len(seqs(frames)) == UNACKNOWLEDGED == 64
    state, answer = terminal_session(state, Received('{"type":"ack","seq":40}'))
    assert not answer
    state, frames = fed(state, log)
    assert seqs(frames) == list(range(65, 105))
    state, frames = terminal_session(state, Received('{"type":"ack","seq":105}'))
    assert frames[0]["code"] == "MESSAGE_INVALID"
    same, frames = terminal_session(state, Appended(log[state.position]))
    assert (same, frames) == (state, [])


def test_an_event_out_of_order_changes_nothing() -> None:
    log = log_of(["chunk", "chunk"])
    state, _ = begun(log)
    assert terminal_session(state, Appended(log[2])) == (state, [])


def test_who_is_not_authenticated_can_only_present_a_token() -> None:
    state, frames = terminal_session(Terminal(), Received('{"type":"auth","token":"secret"}'))
    assert (state.token, state.phase, frames) == ("secret", Phase.WAITING, [])
    for message in (
        None,
        "x",
        '{"type":"auth"}',
        '{"type":"resume","cursor":0}',
        '{"type":"auth","token":""}',
    ):
        state, frames = terminal_session(Terminal(), Received(message))
        assert (frames[0]["code"], frames[0]["close_code"], state.closed) == ("AUTH_REQUIRED", 4401, True)
    assert terminal_session(Terminal(), LATE)[1][0]["close_code"] == 4401
    assert terminal_session(Terminal(), Signal.SILENT)[1] == []


def test_the_fifth_attempt_to_write_closes() -> None:
    state, _ = begun(log_of([], ends=False))
    codes = []
    for message in ('{"type":"input"}', None, '{"type":"resize"}', None, '{"type":"input"}'):
        state, frames = terminal_session(state, Received(message))
        codes.append((frames[0]["code"], frames[0].get("close_code")))
    assert codes == [("INPUT_NOT_ALLOWED", None)] * 4 + [("INPUT_NOT_ALLOWED", 1008)]
    assert terminal_session(state, Received("{}")) == (state, [])


@given(
    st.text(max_size=60)
    | st.sampled_from(["[]", "1", '{"type":1}', '{"type":"x"}', "[" * 9999, '"' * 40_000])
)
def test_no_message_breaks_the_session(message: str) -> None:
    state, _ = begun(log_of(["chunk"], ends=False))
    after, frames = terminal_session(state, Received(message))
    assert not after.closed
    assert [frame["code"] for frame in frames] == ["MESSAGE_INVALID"]


def test_silence_is_broken_and_a_long_life_ends() -> None:
    state, _ = fed(begun(log_of(["chunk"], ends=False))[0], log_of(["chunk"], ends=False))
    assert terminal_session(state, Signal.SILENT)[1] == [{"type": "ping", "head_seq": 1}]
    state, frames = terminal_session(state, LIFE_OVER)
    assert (frames[0]["close_code"], state.closed) == (1001, True)


@given(st.text(max_size=9_000) | st.sampled_from(["\x01" * 8192, "\U0001f980" * 2048, '"' * 8192]))
def test_every_frame_is_within_its_limit(text: str) -> None:
    log = log_of(["chunk"])
    document = log[1].document()
    document["payload"]["data"] = text
    log[1] = Event(2, "terminal_output", json.dumps(document).encode())
    _, frames = fed(begun(log)[0], log)
    assert all(len(frame_text(frame).encode("utf-8", "surrogatepass")) <= MAX_FRAME_BYTES for frame in frames)
