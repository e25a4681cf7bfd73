from __future__ import annotations

from rune_common.adapters.dynamodb_stream import RunMoved
from rune_common.usecases.await_approval import wake_run
from rune_common.wiring import Services


def consume(moved: RunMoved, services: Services) -> None:
    """Answer the state machine of a run that has nothing left to wait for."""
    if moved.woken:
        wake_run(moved.tenant, moved.run_id, runs=services.runs, callbacks=services.callbacks)
