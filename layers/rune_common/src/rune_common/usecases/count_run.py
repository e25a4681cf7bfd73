"""Keep what an ended run contributes to the KPI (runs-api.md 8). Its log is read once, here and never again."""

from __future__ import annotations

from rune_common.domain.daily_rows import DailyRows, day_of
from rune_common.domain.kpi_row_of import UNCOUNTED, row_of
from rune_common.domain.kpi_rows import EVIDENCE_SUFFIX, SERIES, pack, pack_evidence_check
from rune_common.domain.ports import RunStore
from rune_common.domain.runs import Run
from rune_common.usecases.whole_log import whole_log


def count_run(tenant: str, run_id: str, *, runs: RunStore, rows: DailyRows) -> bool:
    """False when there is nothing to count. Repeating is harmless: the row of a run is kept once."""
    run = runs.get(tenant, run_id)
    if run is None or run.finished_at is None or run.kind in UNCOUNTED:
        return False
    row = row_of(run, (event.document() for event in whole_log(run, runs)))
    if row is None:
        return False
    rows.add(tenant, SERIES, day_of(row.ended_at), run_id, pack(row))
    return True


def count_evidence_check(run: Run, *, verified: bool, reproduced: bool, rows: DailyRows) -> None:
    """Keep what the check of an ended run's evidence found; the first finding stays.

    `verified`: no mismatch; `reproduced`: a second build gave the same bytes.
    """
    if run.finished_at is None or run.kind in UNCOUNTED:
        return
    text = pack_evidence_check(verified=verified, reproduced=reproduced)
    rows.add(run.tenant, SERIES, day_of(run.finished_at), run.run_id + EVIDENCE_SUFFIX, text)
