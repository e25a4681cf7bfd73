"""Every port with its adapter, as one value."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rune_common.adapters.ids import new_run_id

if TYPE_CHECKING:
    from rune_common.domain.access import FailureWindow, RateLimiter, TokenStore
    from rune_common.domain.addresses import AddressPolicy
    from rune_common.domain.daily_rows import DailyRows, OpenRuns
    from rune_common.domain.events import Redacting
    from rune_common.domain.evidence.keys import KeyRing
    from rune_common.domain.evidence.spool import Scratch
    from rune_common.domain.executions import AgentStarter, ExecutionStarter, TaskCallbacks
    from rune_common.domain.finops import GpuQuotes
    from rune_common.domain.gpu_market import GpuMarket
    from rune_common.domain.interaction import Approvals
    from rune_common.domain.metrics import MetricsStore
    from rune_common.domain.model_servers import ModelServers
    from rune_common.domain.models_offered import BackendModelSource, OperatorModels
    from rune_common.domain.ports import BlobStore, Clock, NewId, RunStore
    from rune_common.domain.price_tables import PriceTable
    from rune_common.domain.prices import PriceBook
    from rune_common.domain.rentals import RentedRuns
    from rune_common.domain.run_locks import RunLocks
    from rune_common.domain.spend import SpendLedger
    from rune_common.domain.tenant_settings import SettingsStore
    from rune_common.settings import Settings
    from rune_common.usecases.change_run import Seal
    from rune_common.usecases.decide_approvals import DecisionPorts
    from rune_common.usecases.list_model_catalog import ModelSources
    from rune_common.usecases.refresh_catalog import WatchedBackends
    from rune_common.usecases.resolve_kubeconfig import Kubeconfigs
    from rune_common.usecases.seal_evidence import EvidencePorts


def system_clock() -> int:
    return time.time_ns() // 1_000_000


def _later(module: str, name: str) -> Callable[[], Any]:
    """A default that is loaded when it is used: a function starts with what it needs."""
    return lambda: getattr(import_module(module), name)()


@dataclass(frozen=True, slots=True)
class Services:
    """Every port with its adapter. Tests build this from memory adapters."""

    settings: Settings
    runs: RunStore
    blobs: BlobStore
    tokens: TokenStore
    failures: FailureWindow
    limiter: RateLimiter
    executions: ExecutionStarter
    agents: AgentStarter
    callbacks: TaskCallbacks
    servers: ModelServers
    backend_policy: AddressPolicy
    cluster_policy: AddressPolicy
    cursor_key: bytes = b""
    approvals: Approvals | None = None
    metrics: MetricsStore = field(
        default_factory=_later("rune_common.adapters.memory_metrics", "MemoryMetricsStore")
    )
    kubeconfigs: Kubeconfigs = field(
        default_factory=_later("rune_common.adapters.kubeconfig_yaml", "YamlKubeconfigs")
    )
    redactor: Redacting = field(default_factory=_later("rune_common.adapters.lazy_redactor", "LazyRedactor"))
    tenant_settings: SettingsStore = field(
        default_factory=_later("rune_common.adapters.memory_settings", "MemorySettingsStore")
    )
    spend: SpendLedger = field(
        default_factory=_later("rune_common.adapters.memory_spend", "MemorySpendLedger")
    )
    market: GpuMarket = field(default_factory=_later("rune_common.adapters.no_market", "NoMarket"))
    rented: RentedRuns = field(
        default_factory=_later("rune_common.adapters.memory_rentals", "MemoryRentedRuns")
    )
    gpu_quotes: GpuQuotes = field(
        default_factory=_later("rune_common.adapters.memory_quotes", "MemoryGpuQuotes")
    )
    price_table: PriceTable = field(default_factory=_later("rune_common.domain.price_tables", "PriceTable"))
    daily_rows: DailyRows = field(
        default_factory=_later("rune_common.adapters.memory_daily_rows", "MemoryDailyRows")
    )
    open_runs: OpenRuns = field(default_factory=_later("rune_common.adapters.memory_open_runs", "NoOpenRuns"))
    operator_models: OperatorModels = field(
        default_factory=_later("rune_common.adapters.operator_models", "ModelFiles")
    )
    backend_models: BackendModelSource = field(
        default_factory=_later("rune_common.adapters.no_backend_models", "NoBackendModels")
    )
    watched_backends: WatchedBackends = field(
        default_factory=_later("rune_common.adapters.no_backend_models", "NoBackendModels")
    )
    price_book: PriceBook = field(default_factory=dict)
    evidence_keys: KeyRing = field(
        default_factory=_later("rune_common.adapters.memory_evidence_keys", "MemoryKeyRing")
    )
    locks: RunLocks = field(default_factory=_later("rune_common.domain.run_locks", "RunLocks"))
    clock: Clock = system_clock
    new_id: NewId = new_run_id
    sleep: Callable[[float], None] = time.sleep

    @property
    def owner(self) -> str:
        """The engine that executes the runs which this process starts."""
        return self.settings.deployment_id or "rune"

    @property
    def decision_ports(self) -> DecisionPorts:
        """What deciding about approvals needs."""
        from rune_common.usecases.decide_approvals import DecisionPorts

        open_to_all = self.settings.auth_disabled and not self.settings.on_aws
        allow_self = self.settings.allow_self_approval or open_to_all
        return DecisionPorts(self.runs, self.clock, self.redactor, allow_self)

    @property
    def interactions(self) -> Approvals:
        """What runs wait for: `approvals` if they are kept elsewhere, else those of the run store."""
        from rune_common.usecases.interact import StoredApprovals

        return self.approvals or StoredApprovals(self.decision_ports)

    def evidence_ports(self, scratch: Scratch) -> EvidencePorts:
        """What builds bundles; `scratch` opens files that the caller closes afterwards."""
        from rune_common.usecases.seal_evidence import EvidencePorts

        return EvidencePorts(self.runs, self.blobs, self.evidence_keys, self.clock, scratch)

    @property
    def model_sources(self) -> ModelSources:
        """Where the parts of the model catalog come from."""
        from rune_common.usecases.list_model_catalog import ModelSources

        return ModelSources(
            operator=self.operator_models,
            backends=self.backend_models,
            prices=self.price_book,
            rows=self.daily_rows,
            spend=self.spend,
            settings=self.tenant_settings,
            server=self.settings,
        )

    @property
    def evidence(self) -> Seal:
        """What completes the end of a run."""
        from rune_common.domain.evidence_documents import Product
        from rune_common.usecases.write_evidence import EvidenceWriter

        settings = self.settings
        product = Product(settings.product_version, settings.deployment_id, settings.agent_image)
        return EvidenceWriter(self.runs, self.blobs, self.clock, product)
