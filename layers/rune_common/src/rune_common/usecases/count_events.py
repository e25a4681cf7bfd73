"""Count what was appended to logs (jobs-api.md 11): each event once, however often the stream delivers it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rune_common.domain.events import Event
from rune_common.domain.job_events import JobEvent, job_event
from rune_common.domain.metrics import MetricsStore


@dataclass(frozen=True, slots=True)
class Appended:
    """An event that was stored."""

    tenant: str
    run_id: str
    event: Event


def count_events(appended: Iterable[Appended], *, metrics: MetricsStore) -> None:
    """One write for each run; the events of a run are in their order. Raises Unavailable."""
    by_run: dict[tuple[str, str], list[JobEvent]] = {}
    for each in appended:
        shown = job_event(each.event)
        if shown is not None:
            by_run.setdefault((each.tenant, each.run_id), []).append(shown)
    for (tenant, run_id), events in by_run.items():
        metrics.add(tenant, run_id, events)
