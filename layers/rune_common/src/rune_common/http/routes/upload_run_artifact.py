from __future__ import annotations

import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from rune_common.domain.artifacts import MEDIA_TYPES
from rune_common.domain.errors import FieldProblem, InvalidRequest
from rune_common.http.authentication import CanReport
from rune_common.http.body import RawBody
from rune_common.http.run_replies import RUNS, RUNTIME_RUNS, Kept, reply
from rune_common.http.schemas.run_status import AddedArtifactView
from rune_common.http.wired import Wired
from rune_common.usecases import upload_run_artifact as artifacts

router = APIRouter(tags=["runs"])

ADDED: dict[int | str, dict[str, Any]] = {201: {"model": AddedArtifactView, "description": "The file"}}
BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
SENT = {"requestBody": {"required": True, "content": BYTES}}


@router.post(
    f"{RUNS}/{{run_id}}/artifacts",
    status_code=201,
    response_class=Response,
    responses=ADDED,
    openapi_extra=SENT,
)
@router.post(f"{RUNTIME_RUNS}/{{run_id}}/artifacts", response_class=Response, include_in_schema=False)
def upload_run_artifact(
    run_id: str,
    caller: CanReport,
    raw: RawBody,
    kept: Kept,
    services: Wired,
    request: Request,
    name: Annotated[str, Query(pattern=r"^[A-Za-z0-9._-]{1,128}$")],
    kind: Annotated[str, Query()],
    sha256: Annotated[str | None, Query(pattern=r"^[0-9a-f]{64}$")] = None,
) -> Response:
    """Add a file to a run whose work the client does; text is stored without its secrets."""
    if kind not in MEDIA_TYPES:
        raise InvalidRequest(FieldProblem("kind", "unknown", f"must be one of {', '.join(MEDIA_TYPES)}"))
    body = f"{kind}/{name}/{hashlib.sha256(raw).hexdigest()}"
    answer = artifacts.upload_run_artifact(
        run_id,
        artifacts.Upload(name, kind, raw, sha256),
        caller,
        kept.of(f"upload_run_artifact:{run_id}", hashlib.sha256(body.encode()).hexdigest(), caller),
        runs=services.runs,
        blobs=services.blobs,
        clock=services.clock,
        redactor=services.redactor,
    )
    return reply(answer, request)
