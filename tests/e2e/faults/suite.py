"""Run combinations on several lanes at once, and look into every lane's store when its server has ended."""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.faults.lane import Verdict, opened_lane
from tests.e2e.faults.matrix import Combination
from tests.e2e.jobs_client import assert_sound_log, opened_store, whole_log

from rune_common.adapters import dynamodb_keys as keys
from rune_common.adapters.dynamodb_client import TableClient
from rune_common.domain.ports import RunStore
from rune_common.domain.rentals import total_cost
from rune_common.domain.runs import Run
from rune_common.settings import Settings

TENANT = "default"


@dataclass(frozen=True, slots=True)
class Tally:
    """`verdicts` in the order in which they came; `wrong` is what only shows over all jobs of a lane."""

    verdicts: Sequence[Verdict]
    wrong: Sequence[str]

    @property
    def ok(self) -> bool:
        return not self.wrong and not any(each.wrong for each in self.verdicts)

    def line(self) -> str:
        good = sum(not each.wrong for each in self.verdicts)
        lost, leaked, reaped = (
            sum(getattr(each, word) for each in self.verdicts) for word in ("lost", "leaked", "reaped")
        )
        return (
            f"{len(self.verdicts)} combinations, {good} ok, {lost} lost, {leaked} leaked"
            f" ({reaped} given back by the reaper)"
        )


def run(
    combinations: Sequence[Combination],
    folder: Path,
    *,
    lanes: int,
    show: Callable[[str], None] = lambda line: None,
) -> Tally:
    """Try all of them. A lane takes the next one when it is free."""
    waiting: queue.SimpleQueue[Combination] = queue.SimpleQueue()
    for each in combinations:
        waiting.put(each)

    def work(number: int) -> tuple[list[Verdict], list[str]]:
        return _work(waiting, folder / f"lane-{number}", show)

    with ThreadPoolExecutor(lanes) as pool:
        done = list(pool.map(work, range(lanes)))
    return Tally(
        [each for verdicts, _ in done for each in verdicts], [each for _, wrong in done for each in wrong]
    )


def _work(
    waiting: queue.SimpleQueue[Combination], folder: Path, show: Callable[[str], None]
) -> tuple[list[Verdict], list[str]]:
    """One lane's part. A job that was lost would disturb the next one, so that has a server of its own."""
    verdicts, wrong, number = list[Verdict](), list[str](), 0
    while not waiting.empty():
        number += 1
        own = folder / f"server-{number}"
        began = len(verdicts)
        with opened_lane(own) as lane:
            while not (verdicts[began:] and _disturbs(verdicts[-1])):
                try:
                    verdicts.append(lane.attempt(waiting.get_nowait()))
                except queue.Empty:
                    break
                show(verdicts[-1].line())
            lane.server.terminate()
        wrong += _judge_store(own / "data", verdicts[began:], show)
    return verdicts, wrong


def _disturbs(verdict: Verdict) -> bool:
    return verdict.lost or verdict.leaked or not verdict.ended


def _judge_store(data_dir: Path, verdicts: Sequence[Verdict], show: Callable[[str], None]) -> list[str]:
    """Every log verifies, every record says that its instances are gone, and no money is set aside any more."""
    with opened_store(data_dir) as (store, client):
        runs = [found for each in verdicts if (found := _judge_run(each, store, show)) is not None]
        return _judge_spending(runs, client)


def _judge_run(verdict: Verdict, store: RunStore, show: Callable[[str], None]) -> Run | None:
    run = store.get(TENANT, verdict.job_id) if verdict.job_id else None
    if run is None or not verdict.ended:
        return run
    before = len(verdict.wrong)
    try:
        assert_sound_log(whole_log(store, run.run_id), run.run_id)
    except AssertionError as exc:
        verdict.wrong.append(f"the log does not verify: {exc}"[:600])
    if left := [each.contract_id or "unknown" for each in run.rentals if each.open]:
        verdict.wrong.append(f"still rented by its record: {left}")
    if len(verdict.wrong) > before:
        show(verdict.line())
    return run


def _judge_spending(runs: Sequence[Run], client: TableClient) -> list[str]:
    days = sorted({each.spend_day for run in runs for each in run.rentals})
    table = Settings().runs_table
    items = [client.get(table, keys.spend_key(TENANT, day)) or {} for day in days]
    wrong = [f"money is still set aside: {item['held']}" for item in items if item.get("held")]
    total = sum(int(item.get("total", 0)) for item in items)
    cost = sum(total_cost(run.rentals, 0) for run in runs)
    if total != cost:
        wrong.append(f"the days' spending is {total} micro-USD, the rentals cost {cost}")
    return wrong
