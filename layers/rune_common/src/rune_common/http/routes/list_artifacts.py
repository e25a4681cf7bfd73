from __future__ import annotations

from fastapi import APIRouter, Request

from rune_common.http.authentication import CanRead
from rune_common.http.schemas.artifact import ArtifactListView
from rune_common.http.wired import Wired
from rune_common.usecases import read_artifacts as artifacts

router = APIRouter(tags=["artifacts"])


@router.get("/v1/audits/{run_id}/artifacts")
@router.get("/v1/runs/{run_id}/artifacts", operation_id="list_artifacts_of_run")
def list_artifacts(run_id: str, caller: CanRead, services: Wired, request: Request) -> ArtifactListView:
    """List the files that belong to a run, oldest first."""
    found = artifacts.list_artifacts(run_id, caller, runs=services.runs)
    return ArtifactListView.of(found, run_id, request.scope["path"])
