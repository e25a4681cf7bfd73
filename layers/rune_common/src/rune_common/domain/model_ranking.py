"""`rank_models`: which model to take for a role, from the tenant's own history (runs-api.md 10, 16)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rune_common.domain.models_offered import (
    History,
    KnownModel,
    ModelAccount,
    ModelHistory,
    OfferedModel,
    Reason,
    Role,
)

PRIOR_RUNS = 10
"""How many imagined runs a model starts with (k)."""

PRIOR_QUALITY, PRIOR_RELIABILITY = 0.5, 0.95
UNKNOWN = 0.5
HALF_COST_USD, HALF_LATENCY_MS = 0.01, 5_000
"""Where the cost and the latency component are one half."""

WEIGHTS: Mapping[Role, Mapping[str, float]] = {
    "orchestrator": {"quality": 0.45, "cost": 0.15, "latency": 0.10, "reliability": 0.25, "affinity": 0.05},
    "subagent": {"quality": 0.25, "cost": 0.30, "latency": 0.15, "reliability": 0.25, "affinity": 0.05},
    "judge": {"quality": 0.55, "cost": 0.10, "latency": 0.05, "reliability": 0.25, "affinity": 0.05},
    "any": {"quality": 0.40, "cost": 0.20, "latency": 0.10, "reliability": 0.25, "affinity": 0.05},
}
_NO_HISTORY = ModelHistory()


@dataclass(frozen=True, slots=True)
class RankedModel:
    """`rank` counts from 1; with `reason`, the model is not available and has neither rank nor score."""

    offered: OfferedModel
    components: Mapping[str, float]
    history: ModelHistory
    reason: Reason | None = None
    rank: int | None = None
    score: float | None = None

    @property
    def model_id(self) -> str:
        return self.offered.known.model_id


def rank_models(
    models: Iterable[OfferedModel],
    account: ModelAccount,
    history: History,
    role: Role,
    budget_usd: float | None = None,
) -> list[RankedModel]:
    """Best first, then the unavailable ones, by their ids. The order of `models` does not matter.

    `budget_usd` is what the reference request may cost. A component depends on nothing but its model and the
    history, so that no model changes the order of the others.
    """
    available, unavailable = [], []
    for offered in models:
        found = history.get(offered.known.model_id, _NO_HISTORY)
        reason = refusal(offered, account, budget_usd)
        parts = components(offered.known, found)
        if reason is None:
            score = round(sum(weight * parts[name] for name, weight in WEIGHTS[role].items()), 6)
            available.append(RankedModel(offered, parts, found, score=score))
        else:
            unavailable.append(RankedModel(offered, parts, found, reason))
    available.sort(key=lambda each: (-(each.score or 0), each.model_id))
    unavailable.sort(key=lambda each: each.model_id)
    return [
        RankedModel(each.offered, each.components, each.history, rank=rank, score=each.score)
        for rank, each in enumerate(available, 1)
    ] + unavailable


def refusal(offered: OfferedModel, account: ModelAccount, budget_usd: float | None) -> Reason | None:
    """Why the tenant cannot use the model; None when it can."""
    known = offered.known
    if known.deprecated:
        return Reason.DEPRECATED
    if refused := account.entitlement.refusal(known.model_id):
        return refused
    if offered.missing:
        return offered.missing
    if offered.credential_mode == "managed" and account.quota_state == "exhausted":
        return Reason.QUOTA_EXHAUSTED
    if budget_usd is not None and known.pricing and known.pricing.reference_usd > budget_usd:
        return Reason.BUDGET_EXCEEDED
    return None


def components(known: KnownModel, history: ModelHistory) -> Mapping[str, float]:
    """Each in [0, 1]."""
    prior = PRIOR_QUALITY if known.prior is None else known.prior
    tried = PRIOR_RUNS + history.runs
    latency = history.p50_latency_ms
    return {
        "quality": (PRIOR_RUNS * prior + history.successes) / tried,
        "cost": 1 / (1 + known.pricing.reference_usd / HALF_COST_USD) if known.pricing else UNKNOWN,
        "latency": UNKNOWN if latency is None else 1 / (1 + latency / HALF_LATENCY_MS),
        "reliability": (PRIOR_RUNS * PRIOR_RELIABILITY + history.runs - history.model_errors) / tried,
        "affinity": history.share,
    }
