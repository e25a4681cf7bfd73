"""Places in a run's log as clients name them (runs-api.md 4.1, 4.2)."""

from __future__ import annotations

import re

from rune_common.domain.errors import FieldProblem, InvalidCursor
from rune_common.domain.runs import Run

_EVENT_ID = re.compile(r"([A-Za-z0-9_-]{1,64})-(0|[1-9][0-9]{0,8})", re.ASCII)
_SEQUENCE = re.compile(r"[0-9]{1,9}", re.ASCII)


def event_id(run_id: str, sequence: int) -> str:
    return f"{run_id}-{sequence}"


def place_of_event(run: Run, text: str, *, field: str = "after_event_id") -> int:
    """The sequence in an event's id. Raises InvalidCursor for another run's, or one beyond the log's end."""
    found = _EVENT_ID.fullmatch(text)
    if found is None or found[1] != run.run_id:
        raise _invalid(field)
    return _within(run, int(found[2]), field)


def place_of_sequence(run: Run, text: str, *, field: str = "after_sequence") -> int:
    """Raises InvalidCursor for what is no number, or beyond the log's end."""
    if not _SEQUENCE.fullmatch(text):
        raise _invalid(field)
    return _within(run, int(text), field)


def _within(run: Run, sequence: int, field: str) -> int:
    if sequence > run.head.sequence:
        raise _invalid(field)
    return sequence


def _invalid(field: str) -> InvalidCursor:
    return InvalidCursor(FieldProblem(field, "invalid", "is no place in this run's log"))
