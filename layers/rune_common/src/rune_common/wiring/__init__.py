"""The one place that chooses adapters. Services are built whole, used read-only and never patched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rune_common.adapters.gpu_account import gpu_market
from rune_common.adapters.kubeconfig_yaml import YamlKubeconfigs
from rune_common.adapters.operator_models import ModelFiles
from rune_common.domain.addresses import AddressPolicy
from rune_common.domain.executions import AgentTask
from rune_common.domain.runs import RunKind
from rune_common.settings import Settings
from rune_common.wiring.agents import agent_starter, attempt
from rune_common.wiring.services import Services, system_clock
from rune_common.wiring.storage import boto_client, open_evidence_keys, open_storage

__all__ = ["Services", "attempt", "attempt_on", "machines", "system_clock", "wire"]


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
    blobs, sealer, cursor_key = open_storage(settings)
    runs = DynamoRunStore(
        settings.runs_table, tables, sealer=sealer, blobs=blobs, retention_days=settings.retention_days
    )
    client = step_functions or boto_client("stepfunctions", settings)
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
        agents=agent_starter(settings, lambda task: attempt(task, settings, runs, blobs, callbacks)),
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
        evidence_keys=open_evidence_keys(settings, blobs),
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


def attempt_on(settings: Settings, task: AgentTask) -> None:
    """One attempt in a process of its own: the agent's container."""
    services = wire(settings)
    attempt(task, settings, services.runs, services.blobs, services.callbacks)
