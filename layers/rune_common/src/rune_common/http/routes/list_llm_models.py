from __future__ import annotations

from fastapi import APIRouter

from rune_common.domain.model_catalog import CATALOG
from rune_common.http.authentication import CanReadModels
from rune_common.http.model_query import AskedBackendType, AskedBackendUrl
from rune_common.http.schemas.models import CatalogView, ModelListView
from rune_common.http.wired import Wired
from rune_common.usecases import list_llm_models as models

router = APIRouter(tags=["models"])


@router.get("/v1/llm/models")
def list_llm_models(
    caller: CanReadModels, backend_url: AskedBackendUrl, services: Wired, backend_type: AskedBackendType = ""
) -> ModelListView:
    """List the models of a server and those that are loaded."""
    return ModelListView.of(
        models.list_llm_models(
            backend_url, backend_type, servers=services.servers, backends=services.backend_policy
        )
    )


@router.get("/v1/ollama/models", operation_id="list_llm_models_of_ollama")
def list_ollama_models(caller: CanReadModels, backend_url: AskedBackendUrl, services: Wired) -> ModelListView:
    """List the models of an Ollama server."""
    return list_llm_models(caller, backend_url, services)


@router.get("/v1/catalog/models", operation_id="list_llm_models_or_catalog")
def list_models_or_catalog(
    caller: CanReadModels, backend_url: AskedBackendUrl, services: Wired, backend_type: AskedBackendType = ""
) -> ModelListView | CatalogView:
    """List the models of a server; without `backend_url` those whose size is known."""
    return (
        list_llm_models(caller, backend_url, services, backend_type)
        if backend_url
        else CatalogView.of(CATALOG)
    )
