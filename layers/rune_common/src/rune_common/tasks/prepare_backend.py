from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rune_common.tasks.renting import failure_noted
from rune_common.usecases.prepare_backend import PreparePorts, prepare_backend
from rune_common.wiring import Services


def task(event: Mapping[str, Any], services: Services) -> dict[str, Any]:
    """`{tenant, run_id}` to `{ready}`. Raises RunFailure, whose reason is kept in the run, and RunCancelled."""
    ports = PreparePorts(
        runs=services.runs,
        servers=services.servers,
        clock=services.clock,
        redactor=services.redactor,
        sleep=services.sleep,
        context_window=services.settings.ollama_num_ctx,
        ready_timeout=services.settings.vastai_ready_timeout,
    )
    with failure_noted(event, services):
        return {"ready": prepare_backend(event["tenant"], event["run_id"], ports=ports)}
