"""The models that a tenant may choose from, ranked by its own history (runs-api.md 10)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rune_common.domain.access import Principal
from rune_common.domain.canonical import canonical_json
from rune_common.domain.daily_rows import DailyRows
from rune_common.domain.jobs import resolve_backend_type
from rune_common.domain.kpi import DAY_MS
from rune_common.domain.model_catalog import bare_name
from rune_common.domain.model_history import HISTORY_DAYS, model_history
from rune_common.domain.model_offers import offered_models
from rune_common.domain.model_ranking import WEIGHTS, RankedModel, rank_models
from rune_common.domain.models_offered import (
    BackendModelSource,
    CredentialMode,
    ModelAccount,
    OfferedModel,
    OperatorModels,
    QuotaState,
    Role,
)
from rune_common.domain.ports import Clock
from rune_common.domain.prices import PriceBook
from rune_common.domain.spend import SpendLedger, spend_day
from rune_common.domain.tenant_settings import ServerDefaults, SettingsStore
from rune_common.usecases.read_kpi import stored_rows
from rune_common.usecases.read_settings import effective_settings

QUOTA_WARNING = 0.8
"""Of the day's limit (jobs-api.md 7.3)."""


@dataclass(frozen=True, slots=True)
class CatalogQuery:
    """`capabilities` are all needed; `budget_usd` is what the reference request may cost."""

    role: Role = "any"
    capabilities: tuple[str, ...] = ()
    include_unavailable: bool = False
    budget_usd: float | None = None


@dataclass(frozen=True, slots=True)
class ModelCatalog:
    """The answer; `entity_tag` is over all of it but `ranked_at`."""

    tier: str
    credential_modes: tuple[CredentialMode, ...]
    quota_state: QuotaState
    quota_resets_at: int
    role: Role
    weights: Mapping[str, float]
    catalog_version: str
    price_book_version: str | None
    ranked_at: int
    models: tuple[RankedModel, ...]
    defaults: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class ModelSources:
    """Where the catalog's parts come from."""

    operator: OperatorModels
    backends: BackendModelSource
    prices: PriceBook
    rows: DailyRows
    spend: SpendLedger
    settings: SettingsStore
    server: ServerDefaults


def list_model_catalog(
    query: CatalogQuery, caller: Principal, *, sources: ModelSources, clock: Clock
) -> ModelCatalog:
    """Raises Unavailable. A model server that does not answer only makes its models unavailable."""
    now, tenant = clock(), caller.tenant
    setting = effective_settings(tenant, settings=sources.settings, server=sources.server)
    quota = _quota(sources.spend.spent(tenant, spend_day(now)), setting["spend_limit_per_day_usd"])
    account = ModelAccount(sources.operator.entitlement(tenant), quota)
    catalog = sources.operator.catalog()
    listed = [each for each in sources.operator.listed() if each.visible_to(tenant)]
    url = str(setting.get("backend_url") or "") if _is_ollama(setting) else ""
    backend = sources.backends.of(url) if url else None
    offered = offered_models(catalog.models, listed, backend, sources.prices)
    rows = stored_rows(tenant, now - HISTORY_DAYS * DAY_MS, now, rows=sources.rows)
    history = model_history((each.known.model_id for each in offered), rows)

    def ranked(role: Role) -> list[RankedModel]:
        return rank_models(_suited(offered, role), account, history, role, query.budget_usd)

    shown = [
        each
        for each in ranked(query.role)
        if set(query.capabilities) <= set(each.offered.known.capabilities)
        and (query.include_unavailable or each.reason is None)
    ]
    return ModelCatalog(
        tier=account.entitlement.tier,
        credential_modes=tuple(sorted({each.credential_mode for each in offered if not each.missing})),
        quota_state=quota,
        quota_resets_at=(now // DAY_MS + 1) * DAY_MS,
        role=query.role,
        weights=WEIGHTS[query.role],
        catalog_version=catalog.version,
        price_book_version=_version(sources.prices),
        ranked_at=now,
        models=tuple(shown),
        defaults={
            "orchestrator": _default(ranked("orchestrator"), str(setting.get("model") or "")),
            "subagent": _default(ranked("subagent")),
        },
    )


def entity_tag(document: Mapping[str, Any]) -> str:
    """The strong tag of an answer: equal for answers that differ in nothing but when they were made."""
    compared = {name: value for name, value in document.items() if name != "ranked_at"}
    return f'"{hashlib.sha256(canonical_json(compared)).hexdigest()}"'


def _suited(offered: Sequence[OfferedModel], role: Role) -> list[OfferedModel]:
    return [each for each in offered if role == "any" or role in each.known.roles]


def _default(ranked: Sequence[RankedModel], configured: str = "") -> str | None:
    """The configured model, which a request without one gets, if the tenant can use it; else the best."""
    usable = [each.model_id for each in ranked if each.reason is None]
    named = [model_id for model_id in usable if bare_name(model_id) == bare_name(configured)]
    return next(iter((*named, *usable)), None)


def _is_ollama(setting: Mapping[str, Any]) -> bool:
    return resolve_backend_type(str(setting.get("backend_type") or "ollama")) == "ollama"


def _quota(spent_micro_usd: int, limit_usd: float) -> QuotaState:
    used = spent_micro_usd / (limit_usd * 1_000_000) if limit_usd > 0 else 1.0
    return "exhausted" if used >= 1 else "warning" if used >= QUOTA_WARNING else "normal"


def _version(prices: PriceBook) -> str | None:
    """The first digits of the price book's digest; None without one."""
    if not prices:
        return None
    book = {model: [each.input_per_mtok, each.output_per_mtok] for model, each in prices.items()}
    return hashlib.sha256(canonical_json(book)).hexdigest()[:12]
