"""Attempts of agents and commands: what runs them, here or in a container."""

from __future__ import annotations

import functools
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rune_common.domain.executions import AgentStarter, AgentTask, TaskCallbacks
from rune_common.domain.ports import BlobStore, RunStore
from rune_common.domain.runs import RunKind
from rune_common.settings import Settings
from rune_common.wiring.services import system_clock
from rune_common.wiring.storage import boto_client


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
    return secret_seed(settings.approval_key_secret, boto_client("secretsmanager", settings))().hex()


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


def agent_starter(settings: Settings, run: Callable[[AgentTask], None]) -> AgentStarter:
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
        lambda_client=boto_client("lambda", settings),
        ecs_client=boto_client("ecs", settings),
    )
