from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from rune_common.domain.access import Principal
from rune_common.http.authentication import authenticated
from rune_common.http.schemas.evidence import EvidenceKeysView
from rune_common.http.wired import Wired
from rune_common.usecases.prove_evidence import list_evidence_keys as keys

router = APIRouter(tags=["evidence"])


@router.get("/api/v1/runtime/evidence-keys")
def list_evidence_keys(
    caller: Annotated[Principal, Depends(authenticated)], services: Wired
) -> EvidenceKeysView:
    """List the public keys that sign evidence, retired ones included."""
    return EvidenceKeysView.of(keys(keys=services.evidence_keys))
