"""The stream's consumer keeps an ended run's row once (runs-api.md 8, 13)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.kpi_samples import AS_OF

from rune_common.adapters.dynamodb_stream import RunMoved
from rune_common.adapters.memory import MemoryRunStore
from rune_common.adapters.memory_daily_rows import MemoryDailyRows
from rune_common.domain.chain import genesis
from rune_common.domain.daily_rows import day_of
from rune_common.domain.events import EventDraft, append_event
from rune_common.domain.kpi_rows import SERIES, read_rows
from rune_common.domain.ports import RunChange, RunRequest
from rune_common.domain.redaction import Redactor
from rune_common.domain.runs import LogHead, Run, RunKind, RunState
from rune_common.tasks import on_run_ended
from rune_common.usecases.count_run import count_evidence_check, count_run

MINUTE = 60_000


def an_ended_run(store: MemoryRunStore, kind: RunKind = RunKind.AGENT, run_id: str = "run-1") -> Run:
    """A run of the tenant `default` that lasted one minute and ended at AS_OF."""
    redactor, start = Redactor(), AS_OF - MINUTE
    head = LogHead("default", run_id, 0, genesis("default", run_id))
    queued, head = append_event(
        head, EventDraft("run_queued", {"request": {"repo": "a/b"}}), now_ms=start, redactor=redactor
    )
    run = Run(
        "default", run_id, kind, RunState.QUEUED, start, start, "tester", head, model="m", started_at=start
    )
    store.create(run, RunRequest({}), [queued])
    end = EventDraft("run_completed", {"exit_reason": "completed", "stop_class": "clean"})
    last, head = append_event(head, end, now_ms=AS_OF, redactor=redactor)
    ended = replace(run, head=head, state=RunState.SUCCEEDED, finished_at=AS_OF, revision=2)
    store.commit(RunChange(run, ended, (last,)))
    return ended


def kept(rows: MemoryDailyRows):
    return read_rows(rows.between("default", SERIES, day_of(AS_OF), day_of(AS_OF)))


def test_a_run_that_ended_is_counted_once_however_often_the_stream_tells_of_it(build_services):
    store, rows = MemoryRunStore(), MemoryDailyRows()
    run = an_ended_run(store)
    services = build_services({"runs": store, "daily_rows": rows})
    for _ in range(2):
        on_run_ended.consume(RunMoved("default", run.run_id, RunState.RUNNING, RunState.SUCCEEDED), services)
    [row] = kept(rows)
    assert (row.run_id, row.ended_at, row.repo, row.model) == (run.run_id, AS_OF, "a/b", "m")


def test_a_run_that_only_moved_is_not_counted(build_services):
    store, rows = MemoryRunStore(), MemoryDailyRows()
    run = an_ended_run(store)
    services = build_services({"runs": store, "daily_rows": rows})
    on_run_ended.consume(RunMoved("default", run.run_id, RunState.QUEUED, RunState.RUNNING), services)
    assert kept(rows) == []


@pytest.mark.parametrize("run_id", ["run-1", "unknown"])
def test_a_checkpoint_and_an_unknown_run_are_not_counted(run_id):
    store, rows = MemoryRunStore(), MemoryDailyRows()
    an_ended_run(store, RunKind.CHECKPOINT)
    assert not count_run("default", run_id, runs=store, rows=rows)
    assert kept(rows) == []


def test_what_the_check_of_the_evidence_found_joins_the_runs_row_in_any_order():
    store, rows = MemoryRunStore(), MemoryDailyRows()
    run = an_ended_run(store)
    count_evidence_check(run, verified=True, reproduced=False, rows=rows)
    assert kept(rows) == []
    assert count_run("default", run.run_id, runs=store, rows=rows)
    count_evidence_check(run, verified=False, reproduced=True, rows=rows)
    [row] = kept(rows)
    assert (row.evidence_verified, row.evidence_reproduced) == (True, False)


def test_open_runs_are_those_that_have_not_ended_of_kinds_that_count():
    store = MemoryRunStore()
    ended = an_ended_run(store)
    for kind, run_id in ((RunKind.AGENT, "run-2"), (RunKind.CHECKPOINT, "run-3")):
        head = LogHead("default", run_id, 0, genesis("default", run_id))
        store.create(
            replace(ended, run_id=run_id, kind=kind, state=RunState.QUEUED, head=head), RunRequest({}), []
        )
    assert (store.open_runs("default"), store.open_runs("teamb")) == (1, 0)
