from __future__ import annotations

from fastapi import APIRouter

from rune_common.domain.model_catalog import CATALOG
from rune_common.http.authentication import CanReadModels
from rune_common.http.schemas.models import CatalogView

router = APIRouter(tags=["models"])


@router.get("/v1/catalog/vastai-models")
def list_vastai_models(caller: CanReadModels) -> CatalogView:
    """List the models whose size is known, with what a rented GPU needs for them."""
    return CatalogView.of(CATALOG)
