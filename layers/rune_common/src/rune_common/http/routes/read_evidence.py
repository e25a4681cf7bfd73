from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from rune_common.http.authentication import CanExportEvidence
from rune_common.http.evidence_answers import AskedEvidence, answer_evidence
from rune_common.http.schemas.evidence import EvidenceView
from rune_common.http.wired import Wired

router = APIRouter(tags=["evidence"])

ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "model": EvidenceView,
        "description": "The bundle, its JSON form, its signed manifest, or where to fetch it",
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    },
    304: {"description": "The caller has it already"},
}


@router.get("/api/v1/runs/{run_id}/evidence", response_class=Response, responses=ANSWERS)
@router.get(
    "/api/v1/runtime/runs/{run_id}/evidence",
    response_class=Response,
    responses=ANSWERS,
    operation_id="read_evidence_of_runtime",
)
def read_evidence(
    run_id: str, caller: CanExportEvidence, query: AskedEvidence, request: Request, services: Wired
) -> Response:
    """Export what a run's log proves; an ended run's evidence is sealed first."""
    return answer_evidence(run_id, caller, query, request, services)
