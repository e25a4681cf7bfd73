from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from rune_common.http.authentication import CanRead
from rune_common.http.schemas.artifact import attachment
from rune_common.http.wired import Wired
from rune_common.usecases import read_artifacts as artifacts

router = APIRouter(tags=["artifacts"])

BYTES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.get("/v1/audits/{run_id}/artifacts/{artifact_id}", response_class=Response, responses=BYTES)
@router.get(
    "/v1/runs/{run_id}/artifacts/{artifact_id}",
    response_class=Response,
    responses=BYTES,
    operation_id="download_artifact_of_run",
)
def download_artifact(run_id: str, artifact_id: str, caller: CanRead, services: Wired) -> Response:
    """Download one file of a run."""
    return attachment(
        artifacts.download_artifact(run_id, artifact_id, caller, runs=services.runs, blobs=services.blobs)
    )
