from __future__ import annotations

from rune_common.adapters.dynamodb_stream import RunMoved
from rune_common.usecases.count_run import count_run
from rune_common.usecases.start_runs import start_waiting_runs
from rune_common.wiring import Services


def consume(moved: RunMoved, services: Services) -> None:
    """Give the slot of a run that ended to those that wait; then count the run."""
    if moved.ended:
        start_waiting_runs(
            moved.tenant,
            runs=services.runs,
            executions=services.executions,
            clock=services.clock,
            owner=services.owner,
            max_running=services.settings.tenant_max_running_runs,
        )
        count_run(moved.tenant, moved.run_id, runs=services.runs, rows=services.daily_rows)
