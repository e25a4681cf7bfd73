"""A run's status: its log folded, from the newest snapshot on (runs-api.md 2.5, 16, ADR 0008)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rune_common.domain.errors import RuneError
from rune_common.domain.events import Event
from rune_common.domain.fold import RunStatus
from rune_common.domain.fold_snapshots import dump_status, load_status, snapshot_form
from rune_common.domain.ports import FoldSnapshot, RunChange, RunStore
from rune_common.domain.runs import Run

SNAPSHOT_EVERY = 500
"""Events after which whoever appends keeps a new snapshot; so a reader folds little more than that."""

logger = logging.getLogger("rune.runs")


def run_status(run: Run, *, runs: RunStore) -> RunStatus:
    """What the run's log says now; for whoever asks to own. At least as new as `run`."""
    return _folded(run, runs.snapshots(run.tenant, [run.run_id]), runs)


def run_statuses(found: Sequence[Run], *, runs: RunStore) -> list[RunStatus]:
    """The same for several runs of one tenant."""
    if not found:
        return []
    snapshots = runs.snapshots(found[0].tenant, [run.run_id for run in found])
    return [_folded(run, snapshots, runs) for run in found]


def status_with(status: RunStatus, events: Iterable[Event]) -> RunStatus:
    """The status with further events in it; the object that was given is changed."""
    for event in events:
        status.take(event.document())
    return status


def keep_snapshot_of(change: RunChange, runs: RunStore) -> None:
    """Keep what the log says, each time that it has grown by so much, and at its end.

    A snapshot only saves reading: without one nothing is wrong, so a failure here is no failure of the change.
    """
    before, after = change.before.head, change.after.head
    if before.sequence // SNAPSHOT_EVERY == after.sequence // SNAPSHOT_EVERY and not after.terminal:
        return
    if before.sequence == after.sequence:
        return
    try:
        status = run_status(change.after, runs=runs)
        runs.keep_snapshot(
            change.after, FoldSnapshot(status.last_sequence, snapshot_form(), dump_status(status))
        )
    except RuneError:
        logger.warning("a snapshot could not be kept", exc_info=True)


def _folded(run: Run, snapshots: Mapping[str, FoldSnapshot], runs: RunStore) -> RunStatus:
    status = _start(snapshots.get(run.run_id))
    if status.last_sequence and status.last_sequence >= run.head.sequence:
        return status
    return status_with(status, _following(run, status.last_sequence, runs))


def _start(snapshot: FoldSnapshot | None) -> RunStatus:
    if snapshot is None or snapshot.form != snapshot_form():
        return RunStatus()
    return load_status(snapshot.data)


def _following(run: Run, after: int, runs: RunStore) -> Iterator[Event]:
    more = True
    while more:
        page = runs.events(run.tenant, run.run_id, after=after)
        for event in page.events:
            if event.sequence != after + 1:
                return  # a reading that meets a transaction may show only a part of it
            yield event
            after = event.sequence
        more = page.more
