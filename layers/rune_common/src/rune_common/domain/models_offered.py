"""Models that a tenant may choose from, and what decides whether it can use one (runs-api.md 10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Literal, Protocol

CredentialMode = Literal["managed", "byok", "local"]
QuotaState = Literal["normal", "warning", "throttled", "exhausted"]
Role = Literal["orchestrator", "subagent", "judge", "any"]

ROLES: tuple[Role, ...] = ("orchestrator", "subagent", "judge")
LOCAL_PROVIDER = "ollama"
DEFAULT_TIER = "default"
REFERENCE_INPUT_TOKENS, REFERENCE_OUTPUT_TOKENS = 10_000, 1_000
"""The request by whose price models are compared."""


class Reason(StrEnum):
    """Why a model is not available, the first that holds in this order."""

    DEPRECATED = "DEPRECATED"
    TIER_NOT_ENTITLED = "TIER_NOT_ENTITLED"
    POLICY_DENIED = "POLICY_DENIED"
    NO_CREDENTIAL = "NO_CREDENTIAL"
    PROVIDER_DOWN = "PROVIDER_DOWN"
    NOT_PULLED = "NOT_PULLED"
    QUOTA_EXHAUSTED = "QUOTA_EXHAUSTED"
    BUDGET_EXCEEDED = "BUDGET_EXCEEDED"


@dataclass(frozen=True, slots=True)
class ModelPricing:
    """USD per million tokens."""

    input_per_mtok: float
    output_per_mtok: float
    cache_read_per_mtok: float | None = None

    @property
    def reference_usd(self) -> float:
        """What the reference request costs."""
        tokens = (
            (REFERENCE_INPUT_TOKENS, self.input_per_mtok),
            (REFERENCE_OUTPUT_TOKENS, self.output_per_mtok),
        )
        return sum(count * price for count, price in tokens) / 1_000_000


@dataclass(frozen=True, slots=True)
class KnownModel:
    """What is known about a model, wherever it runs. None is unknown; `prior`: its quality before any run."""

    model_id: str
    canonical_id: str
    provider: str
    display_name: str
    roles: tuple[Role, ...] = ROLES
    context_window: int | None = None
    max_output_tokens: int | None = None
    capabilities: tuple[str, ...] = ()
    pricing: ModelPricing | None = None
    prior: float | None = None
    deprecated: bool = False
    replaced_by: str | None = None


@dataclass(frozen=True, slots=True)
class OfferedModel:
    """A model with where this tenant would find it. `missing`: what stands in the way there, if anything."""

    known: KnownModel
    credential_mode: CredentialMode
    missing: Reason | None = None


@dataclass(frozen=True, slots=True)
class Entitlement:
    """What an account's tier may use: patterns of model ids as of a shell. `denied` wins."""

    tier: str = DEFAULT_TIER
    allowed: tuple[str, ...] = ("*",)
    denied: tuple[str, ...] = ()

    def refusal(self, model_id: str) -> Reason | None:
        if not any(fnmatchcase(model_id, pattern) for pattern in self.allowed):
            return Reason.TIER_NOT_ENTITLED
        if any(fnmatchcase(model_id, pattern) for pattern in self.denied):
            return Reason.POLICY_DENIED
        return None


@dataclass(frozen=True, slots=True)
class ModelAccount:
    """The tenant as far as models are concerned."""

    entitlement: Entitlement = field(default_factory=Entitlement)
    quota_state: QuotaState = "normal"


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A visible entry of the operator's model list (holmes-driver.md 3.4); `tenants` empty: for all."""

    name: str
    model: str
    tenants: tuple[str, ...] = ()
    context_window: int | None = None
    max_output_tokens: int | None = None
    vision: bool = False
    pricing: ModelPricing | None = None

    def visible_to(self, tenant: str) -> bool:
        return not self.tenants or tenant in self.tenants


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that a server has. None: the server did not say."""

    name: str
    capabilities: tuple[str, ...] | None = None
    context_window: int | None = None


@dataclass(frozen=True, slots=True)
class BackendModels:
    """What a tenant's model server had when it was last asked. `answered` False: nobody knows."""

    answered: bool
    models: tuple[ServedModel, ...] = ()


@dataclass(frozen=True, slots=True)
class CatalogFile:
    """The catalog that is shipped with the product."""

    version: str
    models: tuple[KnownModel, ...]


class OperatorModels(Protocol):
    """What the product and its operator say about models. Raises Misconfigured."""

    def catalog(self) -> CatalogFile: ...
    def listed(self) -> Sequence[ListedModel]: ...
    def entitlement(self, tenant: str) -> Entitlement: ...


class BackendModelSource(Protocol):
    """What Ollama servers have: at most a minute old, or a scheduled snapshot."""

    def of(self, backend_url: str) -> BackendModels: ...


@dataclass(frozen=True, slots=True)
class ModelHistory:
    """A model in the tenant's own runs. `runs` ended in success or failure; `share` is of the last 100 runs."""

    runs: int = 0
    successes: int = 0
    model_errors: int = 0
    p50_latency_ms: int | None = None
    cost_per_closed_finding: float | None = None
    share: float = 0.0


History = Mapping[str, ModelHistory]
"""By model id."""
