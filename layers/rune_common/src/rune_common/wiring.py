"""The one place that chooses adapters. Services are built whole, used read-only and never patched."""

from __future__ import annotations

import functools
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rune_common.adapters.gpu_account import gpu_market
from rune_common.adapters.ids import new_run_id
from rune_common.adapters.kubeconfig_yaml import YamlKubeconfigs
from rune_common.adapters.lazy_redactor import LazyRedactor
from rune_common.adapters.memory_daily_rows import MemoryDailyRows
from rune_common.adapters.memory_evidence_keys import MemoryKeyRing
from rune_common.adapters.memory_metrics import MemoryMetricsStore
from rune_common.adapters.memory_open_runs import NoOpenRuns
from rune_common.adapters.memory_quotes import MemoryGpuQuotes
from rune_common.adapters.memory_rentals import MemoryRentedRuns
from rune_common.adapters.memory_settings import MemorySettingsStore
from rune_common.adapters.memory_spend import MemorySpendLedger
from rune_common.adapters.no_backend_models import NoBackendModels
from rune_common.adapters.no_market import NoMarket
from rune_common.adapters.operator_models import ModelFiles
from rune_common.domain.access import FailureWindow, RateLimiter, TokenStore
from rune_common.domain.addresses import AddressPolicy
from rune_common.domain.daily_rows import DailyRows, OpenRuns
from rune_common.domain.events import Redacting
from rune_common.domain.evidence.keys import KeyRing
from rune_common.domain.finops import GpuQuotes
from rune_common.domain.gpu_market import GpuMarket
from rune_common.domain.interaction import Approvals
from rune_common.domain.metrics import MetricsStore
from rune_common.domain.models_offered import BackendModelSource, OperatorModels
from rune_common.domain.ports import (
    AgentStarter,
    AgentTask,
    BlobStore,
    Clock,
    ExecutionStarter,
    ModelServers,
    NewId,
    RunStore,
    Sealer,
    TaskCallbacks,
)
from rune_common.domain.price_tables import PriceTable
from rune_common.domain.prices import PriceBook
from rune_common.domain.rentals import RentedRuns
from rune_common.domain.run_locks import RunLocks
from rune_common.domain.runs import RunKind
from rune_common.domain.spend import SpendLedger
from rune_common.domain.tenant_settings import SettingsStore
from rune_common.settings import Settings

if TYPE_CHECKING:
    from rune_common.domain.evidence.spool import Scratch
    from rune_common.usecases.change_run import Seal
    from rune_common.usecases.decide_approvals import DecisionPorts
    from rune_common.usecases.list_model_catalog import ModelSources
    from rune_common.usecases.refresh_catalog import WatchedBackends
    from rune_common.usecases.resolve_kubeconfig import Kubeconfigs
    from rune_common.usecases.seal_evidence import EvidencePorts


def system_clock() -> int:
    return time.time_ns() // 1_000_000


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
    metrics: MetricsStore = field(default_factory=MemoryMetricsStore)
    kubeconfigs: Kubeconfigs = field(default_factory=YamlKubeconfigs)
    redactor: Redacting = field(default_factory=LazyRedactor)
    tenant_settings: SettingsStore = field(default_factory=MemorySettingsStore)
    spend: SpendLedger = field(default_factory=MemorySpendLedger)
    market: GpuMarket = field(default_factory=NoMarket)
    rented: RentedRuns = field(default_factory=MemoryRentedRuns)
    gpu_quotes: GpuQuotes = field(default_factory=MemoryGpuQuotes)
    price_table: PriceTable = field(default_factory=PriceTable)
    daily_rows: DailyRows = field(default_factory=MemoryDailyRows)
    open_runs: OpenRuns = field(default_factory=NoOpenRuns)
    operator_models: OperatorModels = field(default_factory=ModelFiles)
    backend_models: BackendModelSource = field(default_factory=NoBackendModels)
    watched_backends: WatchedBackends = field(default_factory=NoBackendModels)
    price_book: PriceBook = field(default_factory=dict)
    evidence_keys: KeyRing = field(default_factory=MemoryKeyRing)
    locks: RunLocks = field(default_factory=RunLocks)
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


def wire(settings: Settings, step_functions: Callable[[], Any] | None = None) -> Services:
    """The deployed services, or the local stack's when `settings.env` is `local`. Nothing is contacted yet.

    `step_functions` builds that client; by default it is boto3's for the region.
    """
    from rune_common.adapters.cached_failure_window import CachedFailureWindow
    from rune_common.adapters.dynamodb import DynamoFailureWindow, DynamoRunStore, DynamoTokenStore, connect
    from rune_common.adapters.dynamodb_backend_models import DynamoBackendModels
    from rune_common.adapters.dynamodb_daily_rows import DynamoDailyRows
    from rune_common.adapters.dynamodb_metrics import DynamoMetricsStore
    from rune_common.adapters.dynamodb_open_runs import DynamoOpenRuns
    from rune_common.adapters.dynamodb_quotes import DynamoGpuQuotes
    from rune_common.adapters.dynamodb_rentals import DynamoRentedRuns
    from rune_common.adapters.dynamodb_settings import DynamoSettingsStore
    from rune_common.adapters.dynamodb_spend import DynamoSpendLedger
    from rune_common.adapters.fresh_backend_models import FreshBackendModels
    from rune_common.adapters.memory_access import MemoryRateLimiter
    from rune_common.adapters.model_servers import HttpModelServers
    from rune_common.adapters.operator_files import OperatorFiles
    from rune_common.adapters.price_file import read_price_book
    from rune_common.adapters.price_table_file import read_price_table
    from rune_common.adapters.seeded_tokens import SeededTokenStore
    from rune_common.adapters.stepfunctions import StepFunctionsCallbacks, StepFunctionsExecutions

    tables = connect(region=settings.region, endpoint=settings.dynamodb_endpoint)
    blobs, sealer, cursor_key = _storage(settings)
    runs = DynamoRunStore(
        settings.runs_table, tables, sealer=sealer, blobs=blobs, retention_days=settings.retention_days
    )
    client = step_functions or _boto_client("stepfunctions", settings)
    callbacks = StepFunctionsCallbacks(client)
    backend_policy = AddressPolicy(settings.backend_allowlist, settings.backend_allow_public)
    servers = HttpModelServers(backend_policy)
    snapshots = DynamoBackendModels(settings.runs_table, tables, servers, system_clock)
    return Services(
        settings=settings,
        runs=runs,
        blobs=blobs,
        tokens=SeededTokenStore.of(settings, DynamoTokenStore(settings.identity_table, tables)),
        failures=CachedFailureWindow(DynamoFailureWindow(settings.identity_table, tables)),
        limiter=MemoryRateLimiter(),
        executions=StepFunctionsExecutions(settings.run_agent_machine_arn, client, machines(settings)),
        agents=_agents(settings, lambda task: attempt(task, settings, runs, blobs, callbacks)),
        callbacks=callbacks,
        servers=servers,
        backend_policy=backend_policy,
        cluster_policy=AddressPolicy(settings.cluster_allowlist),
        cursor_key=cursor_key,
        kubeconfigs=YamlKubeconfigs(settings.kubeconfig_dirs),
        tenant_settings=DynamoSettingsStore(settings.runs_table, tables),
        market=gpu_market(settings),
        rented=DynamoRentedRuns(settings.runs_table, tables),
        metrics=DynamoMetricsStore(settings.runs_table, tables, retention_days=settings.retention_days),
        spend=DynamoSpendLedger(settings.runs_table, tables, retention_days=settings.retention_days),
        gpu_quotes=DynamoGpuQuotes(settings.runs_table, tables),
        price_table=read_price_table(settings.price_table),
        evidence_keys=_evidence_keys(settings, blobs),
        daily_rows=DynamoDailyRows(settings.runs_table, tables),
        open_runs=DynamoOpenRuns(settings.runs_table, tables),
        operator_models=ModelFiles(
            model_list=settings.model_list_file,
            credentials=settings.model_credentials,
            entitlements=settings.model_entitlements_file,
            fetch=OperatorFiles(settings.blobs_bucket, blobs).text,
        ),
        backend_models=snapshots if settings.on_aws else FreshBackendModels(servers, system_clock),
        watched_backends=snapshots,
        price_book=read_price_book(settings.price_book),
    )


def machines(settings: Settings) -> dict[RunKind, str]:
    """The state machines of the kinds that have one of their own."""
    own = (RunKind.BENCHMARK, RunKind.LLM_INSTANCE, RunKind.COST_ESTIMATE)
    benchmarks = dict.fromkeys(own, settings.run_benchmark_machine_arn)
    return benchmarks | {RunKind.CHAIN: settings.run_chain_machine_arn}


def attempt(
    task: AgentTask, settings: Settings, runs: RunStore, blobs: BlobStore, callbacks: TaskCallbacks
) -> None:
    """One attempt of an agent with this process's services: locally, and in the agent's container."""
    from rune_common.adapters.driver_stdio import StdioDriver
    from rune_common.adapters.price_file import read_price_book
    from rune_common.adapters.workspace import TemporaryWorkspaces
    from rune_common.domain.redaction import Redactor
    from rune_common.usecases.run_attempt import AttemptPorts, run_attempt
    from rune_common.usecases.run_step import run_step

    run = runs.get(task.tenant, task.run_id)
    if run is not None and run.kind is RunKind.COMMAND:
        command_attempt(task, settings, runs, blobs, callbacks)
        return
    ports = AttemptPorts(
        runs=runs,
        blobs=blobs,
        driver=StdioDriver(_driver_command(settings), _driver_environment(settings)),
        callbacks=callbacks,
        workspaces=TemporaryWorkspaces(settings.work_dir),
        clock=system_clock,
        redactor_for=Redactor,
        prices=read_price_book(settings.price_book),
        approval_key=functools.partial(approval_key, settings),
        driver_timeout=settings.driver_timeout,
    )
    if task.step_id:
        run_step(task, ports=ports)
    else:
        run_attempt(task, ports=ports)


def command_attempt(
    task: AgentTask, settings: Settings, runs: RunStore, blobs: BlobStore, callbacks: TaskCallbacks
) -> None:
    """The attempt of a shell command, in a process of its own on this machine. Raises Misconfigured on AWS."""
    from rune_common.adapters.command_process import ProcessRunner
    from rune_common.adapters.workspace import TemporaryWorkspaces
    from rune_common.domain.errors import Misconfigured
    from rune_common.domain.redaction import Redactor
    from rune_common.usecases.run_command import CommandPorts, run_command

    if settings.on_aws:
        raise Misconfigured("a command must not run with the rights of the agent's worker")
    ports = CommandPorts(
        runs=runs,
        blobs=blobs,
        runner=ProcessRunner(),
        callbacks=callbacks,
        workspaces=TemporaryWorkspaces(settings.work_dir),
        clock=system_clock,
        seconds=time.monotonic,
        redactor_for=Redactor,
        path=settings.path,
    )
    run_command(task, ports=ports)


def approval_key(settings: Settings) -> str:
    """The deployment's secret under which agents sign calls that wait; "" on AWS where none is configured."""
    from rune_common.adapters.evidence_keys import secret_seed
    from rune_common.adapters.files import read_or_make_key

    if not settings.on_aws:
        return read_or_make_key(Path(settings.data_dir) / "keys" / "approvals.key").hex()
    if not settings.approval_key_secret:
        return ""
    return secret_seed(settings.approval_key_secret, _boto_client("secretsmanager", settings))().hex()


def attempt_on(settings: Settings, task: AgentTask) -> None:
    """One attempt in a process of its own: the agent's container."""
    services = wire(settings)
    attempt(task, settings, services.runs, services.blobs, services.callbacks)


def _driver_command(settings: Settings) -> list[str]:
    return shlex.split(settings.holmes_driver_command) or [sys.executable, "-m", "rune.drivers.holmes"]


def _driver_environment(settings: Settings) -> dict[str, str]:
    """The driver's whole environment: no credentials, no tokens (jobs-api.md 14)."""
    given = {
        "PATH": settings.path,
        "LANG": "C.UTF-8",
        "RUNE_AGENT_PYTHON": settings.agent_python,
        "RUNE_KUBECTL": settings.kubectl,
        "RUNE_OLLAMA_NUM_CTX": str(settings.ollama_num_ctx),
        "RUNE_DRIVER_INVOCATION_TIMEOUT": str(settings.driver_timeout),
        "RUNE_BACKEND_ALLOW_PUBLIC": str(settings.backend_allow_public).lower(),
        "RUNE_ALLOW_INSECURE_CLUSTER_TLS": str(settings.allow_insecure_cluster_tls).lower(),
        "RUNE_AGENT_TOOLSETS_FILE": settings.agent_toolsets_file,
    }
    lists = {
        "RUNE_BACKEND_ALLOWLIST": ",".join(settings.backend_allowlist),
        "RUNE_CLUSTER_ALLOWLIST": ",".join(settings.cluster_allowlist),
    }
    return {name: value for name, value in given.items() if value} | lists


def _storage(settings: Settings) -> tuple[BlobStore, Sealer, bytes]:
    """Blobs, sealing, and the key that signs list cursors."""
    if settings.on_aws:
        from rune_common.adapters.aws_storage import KmsSealer, S3BlobStore

        s3, kms = _boto_client("s3", settings), _boto_client("kms", settings)
        key = settings.cursor_key.encode()
        return S3BlobStore(settings.blobs_bucket, s3), KmsSealer(settings.kms_key_id, kms), key
    from rune_common.adapters.files import FileBlobStore, KeyFileSealer, read_or_make_key

    folder = Path(settings.data_dir)
    keys = folder / "keys"
    return (
        FileBlobStore(folder / "blobs"),
        KeyFileSealer(keys / "requests.key"),
        read_or_make_key(keys / "cursors.key"),
    )


def _evidence_keys(settings: Settings, blobs: BlobStore) -> KeyRing:
    """The key file of a local stack; on AWS the secret, for the functions that may read it."""
    from rune_common.adapters.evidence_keys import RecordedKeyRing, secret_seed
    from rune_common.adapters.files import read_or_make_key

    seed: Callable[[], bytes] | None = None
    if not settings.on_aws:
        path = Path(settings.data_dir) / "keys" / "evidence.key"
        seed = functools.partial(read_or_make_key, path)
    elif settings.evidence_key_secret:
        seed = secret_seed(settings.evidence_key_secret, _boto_client("secretsmanager", settings))
    return RecordedKeyRing(settings.evidence_key_name, seed, blobs, system_clock)


def _agents(settings: Settings, run: Callable[[AgentTask], None]) -> AgentStarter:
    from rune_common.adapters.agent_starters import AwsAgents, FargatePlace, LocalAgents

    if settings.agent_launcher != "aws":
        return LocalAgents(run)
    place = FargatePlace(
        settings.agent_cluster,
        settings.agent_task_definition,
        settings.agent_subnets,
        settings.agent_security_groups,
    )
    return AwsAgents(
        function=settings.agent_function,
        fargate=place if settings.agent_task_definition else None,
        lambda_client=_boto_client("lambda", settings),
        ecs_client=_boto_client("ecs", settings),
    )


def _boto_client(service: str, settings: Settings) -> Callable[[], Any]:
    """A client that is built at its first use: loading boto3 costs more than most requests."""

    @functools.cache
    def build() -> Any:
        import boto3

        return boto3.client(service, region_name=settings.region)

    return build
