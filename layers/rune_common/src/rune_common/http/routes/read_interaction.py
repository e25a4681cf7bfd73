from __future__ import annotations

from fastapi import APIRouter

from rune_common.http.authentication import CanRead
from rune_common.http.schemas.interaction import InteractionView
from rune_common.http.wired import Wired
from rune_common.usecases import interact as runs

router = APIRouter(tags=["runs"])


@router.get("/v1/runs/{run_id}/interaction", response_model_exclude_unset=True)
def read_interaction(run_id: str, caller: CanRead, services: Wired) -> InteractionView:
    """Tell what a run waits for; an empty object when it waits for nothing."""
    return InteractionView.of(
        runs.read_interaction(run_id, caller, runs=services.runs, approvals=services.interactions)
    )
