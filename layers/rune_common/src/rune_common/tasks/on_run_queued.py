from __future__ import annotations

from rune_common.adapters.dynamodb_stream import RunMoved
from rune_common.usecases.start_runs import start_run
from rune_common.wiring import Services


def consume(moved: RunMoved, services: Services) -> None:
    """Start a run that was queued, if its tenant has a free slot."""
    if moved.queued:
        start_run(
            moved.tenant,
            moved.run_id,
            runs=services.runs,
            executions=services.executions,
            clock=services.clock,
            owner=services.owner,
            max_running=services.settings.tenant_max_running_runs,
        )
