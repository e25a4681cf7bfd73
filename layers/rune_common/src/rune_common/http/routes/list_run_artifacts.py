from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from rune_common.http.authentication import CanRead
from rune_common.http.run_replies import RUNS, RUNTIME_RUNS, json_reply
from rune_common.http.schemas.run_status import RunArtifactsView
from rune_common.http.wired import Wired
from rune_common.usecases import read_artifacts as artifacts
from rune_common.usecases.upload_run_artifact import artifact_document

router = APIRouter(tags=["runs"])

FOUND: dict[int | str, dict[str, Any]] = {200: {"model": RunArtifactsView, "description": "The run's files"}}


@router.get(f"{RUNS}/{{run_id}}/artifacts", response_class=Response, responses=FOUND)
@router.get(f"{RUNTIME_RUNS}/{{run_id}}/artifacts", response_class=Response, include_in_schema=False)
def list_run_artifacts(run_id: str, caller: CanRead, services: Wired) -> Response:
    """List the files that belong to a run, oldest first."""
    found = artifacts.list_artifacts(run_id, caller, runs=services.runs)
    return json_reply({"run_id": run_id, "artifacts": list(map(artifact_document, found))})
