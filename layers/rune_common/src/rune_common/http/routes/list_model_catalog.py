from __future__ import annotations

from fastapi import APIRouter, Response

from rune_common.http.authentication import CanReadModels
from rune_common.http.catalog_query import AskedCatalog, KnownTags
from rune_common.http.schemas.model_catalog import ModelCatalogView
from rune_common.http.tagged import tagged
from rune_common.http.wired import Wired
from rune_common.usecases import list_model_catalog as catalog

router = APIRouter(tags=["insight"])


@router.get(
    "/api/v1/models/catalog",
    response_model=ModelCatalogView,
    responses={304: {"description": "The caller has this answer: its `ETag` is in `If-None-Match`"}},
)
def list_model_catalog(
    caller: CanReadModels, query: AskedCatalog, known: KnownTags, services: Wired
) -> Response:
    """List the models that the tenant may choose from, the best for the role first."""
    return tagged(
        ModelCatalogView.of(
            catalog.list_model_catalog(query, caller, sources=services.model_sources, clock=services.clock)
        ).model_dump(mode="json"),
        catalog.entity_tag,
        known,
    )
