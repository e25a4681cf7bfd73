from __future__ import annotations

from fastapi import APIRouter

from rune_common.http.authentication import CanRead
from rune_common.http.schemas.chain_state import ChainStateView
from rune_common.http.wired import Wired
from rune_common.usecases import read_chain_state as chains

router = APIRouter(tags=["chains"])


@router.get("/v1/chains/{run_id}/state")
def read_chain_state(run_id: str, caller: CanRead, services: Wired) -> ChainStateView:
    """Read the steps of a chain and what they depend on."""
    return ChainStateView.of(run_id, chains.read_chain_state(run_id, caller, runs=services.runs))
