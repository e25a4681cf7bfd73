"""The model catalog on the wire (runs-api.md 10)."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel

from rune_common.domain.events import timestamp
from rune_common.domain.model_ranking import RankedModel
from rune_common.domain.models_offered import CredentialMode, ModelPricing, QuotaState, Reason, Role
from rune_common.usecases.list_model_catalog import ModelCatalog


class AccountView(BaseModel):
    tier: str
    credential_modes: list[CredentialMode]
    quota_state: QuotaState
    quota_resets_at: str


class PricingView(BaseModel):
    """Per million tokens. `unpriced`: nobody knows what the model costs."""

    input_per_mtok: float | None
    output_per_mtok: float | None
    cache_read_per_mtok: float | None
    currency: Literal["USD"] = "USD"
    unpriced: bool

    @classmethod
    def of(cls, pricing: ModelPricing | None) -> Self:
        return cls(
            input_per_mtok=pricing.input_per_mtok if pricing else None,
            output_per_mtok=pricing.output_per_mtok if pricing else None,
            cache_read_per_mtok=pricing.cache_read_per_mtok if pricing else None,
            unpriced=pricing is None,
        )


class AvailabilityView(BaseModel):
    available: bool
    credential_mode: CredentialMode
    reason_code: Reason | None


class ScoreBreakdownView(BaseModel):
    """Each in [0, 1]; the score is their sum, weighted."""

    quality: float
    cost: float
    latency: float
    reliability: float
    affinity: float


class ModelEvidenceView(BaseModel):
    """The tenant's own runs of the last 28 days that used the model."""

    runs: int
    success_rate: float | None
    p50_latency_ms: int | None
    cost_per_closed_finding: float | None


class RankedModelView(BaseModel):
    model_id: str
    canonical_id: str
    provider: str
    display_name: str
    roles: list[Role]
    context_window: int | None
    max_output_tokens: int | None
    capabilities: list[str]
    pricing: PricingView
    availability: AvailabilityView
    rank: int | None
    score: float | None
    score_breakdown: ScoreBreakdownView
    evidence: ModelEvidenceView
    deprecated: bool
    replaced_by: str | None

    @classmethod
    def of(cls, ranked: RankedModel) -> Self:
        known, history = ranked.offered.known, ranked.history
        return cls(
            model_id=known.model_id,
            canonical_id=known.canonical_id,
            provider=known.provider,
            display_name=known.display_name,
            roles=[*known.roles],
            context_window=known.context_window,
            max_output_tokens=known.max_output_tokens,
            capabilities=[*known.capabilities],
            pricing=PricingView.of(known.pricing),
            availability=AvailabilityView(
                available=ranked.reason is None,
                credential_mode=ranked.offered.credential_mode,
                reason_code=ranked.reason,
            ),
            rank=ranked.rank,
            score=ranked.score,
            score_breakdown=ScoreBreakdownView(
                **{name: round(value, 6) for name, value in ranked.components.items()}
            ),
            evidence=ModelEvidenceView(
                runs=history.runs,
                success_rate=round(history.successes / history.runs, 6) if history.runs else None,
                p50_latency_ms=history.p50_latency_ms,
                cost_per_closed_finding=history.cost_per_closed_finding,
            ),
            deprecated=known.deprecated,
            replaced_by=known.replaced_by,
        )


class DefaultModelsView(BaseModel):
    """What to take when nothing is chosen; null when no model is available."""

    orchestrator: str | None
    subagent: str | None


class ModelCatalogView(BaseModel):
    account: AccountView
    role: Role
    weights: dict[str, float]
    catalog_version: str
    price_book_version: str | None
    ranked_at: str
    models: list[RankedModelView]
    defaults: DefaultModelsView

    @classmethod
    def of(cls, catalog: ModelCatalog) -> Self:
        return cls(
            account=AccountView(
                tier=catalog.tier,
                credential_modes=[*catalog.credential_modes],
                quota_state=catalog.quota_state,
                quota_resets_at=timestamp(catalog.quota_resets_at),
            ),
            role=catalog.role,
            weights=dict(catalog.weights),
            catalog_version=catalog.catalog_version,
            price_book_version=catalog.price_book_version,
            ranked_at=timestamp(catalog.ranked_at),
            models=[RankedModelView.of(each) for each in catalog.models],
            defaults=DefaultModelsView.model_validate(dict(catalog.defaults)),
        )
