"""Count what was appended to logs (jobs-api.md 11): each event once, however often the stream delivers it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rune_common.domain.events import Event
from rune_common.domain.job_events import JobEvent, job_event
from rune_common.domain.metrics import MetricsStore
from rune_common.domain.ports import RunStore


@dataclass(frozen=True, slots=True)
class Appended:
    """An event that was stored."""

    tenant: str
    run_id: str
    event: Event


def count_events(appended: Iterable[Appended], *, metrics: MetricsStore, runs: RunStore) -> None:
    """One write for each run; the events of a run are in their order. Raises Unavailable."""
    by_run: dict[tuple[str, str], list[Event]] = {}
    for each in appended:
        by_run.setdefault((each.tenant, each.run_id), []).append(each.event)
    for (tenant, run_id), events in by_run.items():
        shown = [found for event in events if (found := job_event(event)) is not None]
        if shown:
            metrics.add(tenant, run_id, [*_missed(tenant, run_id, events[0], metrics, runs), *shown])


def _missed(
    tenant: str, run_id: str, first: Event, metrics: MetricsStore, runs: RunStore
) -> Sequence[JobEvent]:
    """How the log began, when nothing of it was counted: it may be older than the reading of the stream."""
    if first.sequence == 1 or metrics.of_run(tenant, run_id):
        return ()
    before = runs.events(tenant, run_id).events
    found = (job_event(event) for event in before if event.sequence < first.sequence)
    return [shown for shown in found if shown is not None]
