from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from rune_common.http.authentication import CanExportEvidence
from rune_common.http.evidence_answers import answer_proof
from rune_common.http.schemas.evidence import ConsistencyProofView, InclusionProofView
from rune_common.http.wired import Wired

router = APIRouter(tags=["evidence"])

Size = Annotated[str, Query(description="a number of events")]


@router.get("/api/v1/runs/{run_id}/evidence/proof")
@router.get("/api/v1/runtime/runs/{run_id}/evidence/proof", operation_id="read_evidence_proof_of_runtime")
def read_evidence_proof(
    run_id: str,
    caller: CanExportEvidence,
    services: Wired,
    sequence: Size = "",
    at_sequence: Size = "",
    from_size: Size = "",
    to_size: Size = "",
) -> InclusionProofView | ConsistencyProofView:
    """Prove that an event is in the log, or that an earlier log is a prefix of a later one."""
    given = {"sequence": sequence, "at_sequence": at_sequence, "from_size": from_size, "to_size": to_size}
    return answer_proof(run_id, caller, given, services)
