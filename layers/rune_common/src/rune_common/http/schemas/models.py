"""Models on the wire: the catalog's, and those of a server (jobs-api.md 13)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from pydantic import BaseModel

from rune_common.domain.model_catalog import CatalogModel
from rune_common.usecases.list_llm_models import ModelListing


class CatalogModelView(BaseModel):
    """A model with the GPU memory (MB) and the disk (GB) that it needs."""

    name: str
    vram_mb: int
    required_disk_gb: int


class CatalogView(BaseModel):
    models: list[CatalogModelView]

    @classmethod
    def of(cls, catalog: Iterable[CatalogModel]) -> Self:
        return cls(
            models=[
                CatalogModelView(name=each.name, vram_mb=each.vram_mb, required_disk_gb=each.required_disk_gb)
                for each in catalog
            ]
        )


class ModelListView(BaseModel):
    """What a server has, and what of it is loaded; `backend_url` in its normal form."""

    backend_url: str
    backend_type: str
    models: list[str]
    running_models: list[str]

    @classmethod
    def of(cls, listing: ModelListing) -> Self:
        return cls(
            backend_url=listing.backend_url,
            backend_type=listing.backend_type,
            models=[*listing.models.installed],
            running_models=[*listing.models.running],
        )
