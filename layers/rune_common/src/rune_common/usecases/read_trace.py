"""Where a reader of a run's trace begins (jobs-api.md 9.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rune_common.domain.access import Principal
from rune_common.domain.errors import InvalidCursor
from rune_common.domain.ports import RunStore
from rune_common.domain.runs import Run
from rune_common.usecases.follow_run import start_after
from rune_common.usecases.read_job import find_job

_SEQUENCE = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class TraceStart:
    """`after`: the last sequence that the reader knows; None when it knows the end of a finished run."""

    run: Run
    after: int | None


def read_trace(run_id: str, caller: Principal, *, cursor: str | None, runs: RunStore) -> TraceStart:
    """`cursor` is what the reader saw last, as it was told. Raises RunNotFound, InvalidCursor."""
    run = find_job(run_id, caller, runs=runs)
    return TraceStart(run, start_after(run, None if cursor is None else sequence_of(cursor)))


def sequence_of(cursor: str) -> int:
    if not _SEQUENCE.fullmatch(cursor):
        raise InvalidCursor
    return int(cursor)
