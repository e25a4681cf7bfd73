"""Where a stream of a run's log starts (runs-api.md 4.1)."""

from __future__ import annotations

from dataclasses import dataclass

from rune_common.domain.access import Principal
from rune_common.domain.ports import RunStore
from rune_common.domain.run_cursors import place_of_event, place_of_sequence
from rune_common.domain.runs import Run
from rune_common.usecases.find_run import find_run
from rune_common.usecases.follow_run import start_after


@dataclass(frozen=True, slots=True)
class StreamStart:
    """What a reader says of where it is; the first that is there counts."""

    last_event_id: str | None = None
    after_event_id: str | None = None
    after_sequence: str | None = None
    tail: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """`after` None: the run has ended and its reader has seen its end."""

    run: Run
    after: int | None


def stream_run_events(run_id: str, caller: Principal, asked: StreamStart, *, runs: RunStore) -> Start:
    """Raises RunNotFound, InvalidCursor."""
    run = find_run(run_id, caller, runs=runs)
    return Start(run, start_after(run, _place(run, asked)))


def _place(run: Run, asked: StreamStart) -> int | None:
    if asked.last_event_id is not None:
        return place_of_event(run, asked.last_event_id, field="Last-Event-ID")
    if asked.after_event_id is not None:
        return place_of_event(run, asked.after_event_id)
    if asked.after_sequence is not None:
        return place_of_sequence(run, asked.after_sequence)
    return run.head.sequence if asked.tail else None
