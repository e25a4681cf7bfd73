from __future__ import annotations

import base64

from fastapi import APIRouter, Response

from rune_common.http.authentication import CanRead
from rune_common.http.routes.download_artifact import BYTES
from rune_common.http.run_replies import RUNS, RUNTIME_RUNS
from rune_common.http.schemas.artifact import attachment
from rune_common.http.wired import Wired
from rune_common.usecases import read_artifacts as artifacts

router = APIRouter(tags=["runs"])


@router.get(f"{RUNS}/{{run_id}}/artifacts/{{artifact_id}}", response_class=Response, responses=BYTES)
@router.get(
    f"{RUNTIME_RUNS}/{{run_id}}/artifacts/{{artifact_id}}", response_class=Response, include_in_schema=False
)
def download_run_artifact(run_id: str, artifact_id: str, caller: CanRead, services: Wired) -> Response:
    """Download one file of a run."""
    found = artifacts.download_artifact(run_id, artifact_id, caller, runs=services.runs, blobs=services.blobs)
    answer = attachment(found)
    digest = base64.b64encode(bytes.fromhex(found.artifact.sha256)).decode()
    answer.headers["Repr-Digest"] = f"sha-256=:{digest}:"
    return answer
