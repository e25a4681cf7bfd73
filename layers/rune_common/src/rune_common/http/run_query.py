"""Query strings of the Runtime Runs API (runs-api.md 2.7, 4)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from fastapi import Depends, Header, Query

from rune_common.domain.errors import FieldProblem, InvalidRequest
from rune_common.domain.events import FAMILIES
from rune_common.domain.external_events import parse_time
from rune_common.domain.ports import RunFilter
from rune_common.domain.run_errors import NotAcceptable
from rune_common.domain.run_requests import Mode
from rune_common.domain.runs import RunKind, RunState
from rune_common.http.methods import STREAM
from rune_common.usecases.list_runs import RunQuery
from rune_common.usecases.read_run_events import EventFilter, EventQuery

MAX_RUNS, MAX_EVENTS = 100, 500
MAX_WAIT_SECONDS = 15
_STATES = {("completed" if state is RunState.SUCCEEDED else str(state)): state for state in RunState}
_KINDS = {str(kind): kind for kind in RunKind}
_LONGEST_WORD = 64


def words(text: str) -> tuple[str, ...]:
    """A comma list."""
    return tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def known_words(field: str, text: str, known: Iterable[str]) -> tuple[str, ...]:
    """Raises InvalidRequest for a word that is not known."""
    found, allowed = words(text), list(known)
    if any(word not in allowed for word in found):
        raise InvalidRequest(FieldProblem(field, "unknown", f"must be a list of {', '.join(allowed)}"))
    return found


async def run_query(
    status: Annotated[str, Query(description="comma list")] = "",
    kind: Annotated[str, Query(description="comma list")] = "",
    mode: Annotated[str | None, Query()] = None,
    repo: Annotated[str | None, Query(max_length=200)] = None,
    parent_run_id: Annotated[str | None, Query(max_length=64)] = None,
    created_after: Annotated[str | None, Query(description="ISO-8601, inclusive")] = None,
    created_before: Annotated[str | None, Query(description="ISO-8601, exclusive")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_RUNS)] = 50,
    cursor: Annotated[str | None, Query()] = None,
) -> RunQuery:
    """Raises InvalidRequest."""
    if mode is not None and mode not in list(Mode):
        raise InvalidRequest(FieldProblem("mode", "unknown", f"must be one of {', '.join(Mode)}"))
    where = RunFilter(
        states=tuple(_STATES[word] for word in known_words("status", status, _STATES)),
        kinds=tuple(_KINDS[word] for word in known_words("kind", kind, _KINDS)),
        created_after=_time("created_after", created_after),
        created_before=_time("created_before", created_before),
        mode=mode,
        repo=repo,
        parent_run_id=parent_run_id,
    )
    return RunQuery(where, limit, cursor or None)


AskedRuns = Annotated[RunQuery, Depends(run_query)]


async def event_filter(
    types: Annotated[str, Query(description="comma list")] = "",
    families: Annotated[str, Query(description="comma list")] = "",
) -> EventFilter:
    """Types may be any words, since readers accept unknown ones. Raises InvalidRequest for another family."""
    named = words(types)
    if any(len(word) > _LONGEST_WORD for word in named):
        raise InvalidRequest(FieldProblem("types", "too_long", "must be a list of event types"))
    return EventFilter(frozenset(named), frozenset(known_words("families", families, FAMILIES)))


WantedEvents = Annotated[EventFilter, Depends(event_filter)]


async def event_query(
    where: WantedEvents,
    after_event_id: Annotated[str | None, Query()] = None,
    after_sequence: Annotated[str | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_EVENTS)] = 200,
    wait_seconds: Annotated[float, Query(ge=0, le=MAX_WAIT_SECONDS, allow_inf_nan=False)] = 0,
) -> EventQuery:
    return EventQuery(after_event_id, after_sequence, limit, wait_seconds, where)


AskedEvents = Annotated[EventQuery, Depends(event_query)]


async def accepts_stream(accept: Annotated[str | None, Header()] = None) -> None:
    """Raises NotAcceptable for a reader that would not take a stream."""
    if accept is None or not accept.strip():
        return
    for part in accept.lower().split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        refused = any(each.replace(" ", "") in ("q=0", "q=0.0", "q=0.00", "q=0.000") for each in parameters)
        if kind in (STREAM, "text/*", "*/*") and not refused:
            return
    raise NotAcceptable


def _time(field: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return parse_time(text.replace(" ", "+"))
    except (ValueError, OverflowError):
        raise InvalidRequest(FieldProblem(field, "format", "must be ISO-8601 with an offset")) from None
