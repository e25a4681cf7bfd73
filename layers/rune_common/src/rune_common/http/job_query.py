"""From a query string to a job query (jobs-api.md 4.6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

from fastapi import Depends, Query

from rune_common.domain.errors import FieldProblem, InvalidRequest
from rune_common.domain.jobs import KIND_WORDS, STATUS_STATES
from rune_common.domain.ports import RunFilter
from rune_common.usecases.list_jobs import DEFAULT_LIMIT, JobQuery

_KINDS = {word: (kind,) for kind, word in KIND_WORDS.items()}
_LATEST = 253_402_300_799  # the last second of the year 9999

EpochSeconds = Annotated[float | None, Query(ge=0, le=_LATEST, allow_inf_nan=False)]
Named = TypeVar("Named")


async def job_query(
    limit: Annotated[int, Query(ge=1, le=200)] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query()] = None,
    status: Annotated[str, Query(description="comma list")] = "",
    kind: Annotated[str, Query(description="comma list")] = "",
    created_after: EpochSeconds = None,
    created_before: EpochSeconds = None,
    order: Literal["asc", "desc"] = "desc",
    include: Annotated[str, Query(description="`result`")] = "",
) -> JobQuery:
    """Raises InvalidRequest for a status or kind that does not exist."""
    where = RunFilter(
        states=_named("status", status, STATUS_STATES),
        kinds=_named("kind", kind, _KINDS),
        created_after=_milliseconds(created_after),
        created_before=_milliseconds(created_before),
        order=order,
    )
    return JobQuery(where, limit=limit, cursor=cursor or None, with_results="result" in include.split(","))


AskedJobs = Annotated[JobQuery, Depends(job_query)]


def _named(field: str, text: str, known: Mapping[str, tuple[Named, ...]]) -> tuple[Named, ...]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if any(word not in known for word in words):
        raise InvalidRequest(FieldProblem(field, "unknown", f"must be a list of {', '.join(known)}"))
    return tuple(dict.fromkeys(each for word in words for each in known[word]))


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
