"""Jobs: the Jobs API's view of runs (jobs-api.md 4). A job is a run, so `job_id == run_id`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rune_common.domain.errors import RunNotFound, UnknownAgent, UnknownBackendType
from rune_common.domain.runs import TERMINAL, Run, RunKind, RunState

AGENTS = ("holmes",)
BACKEND_TYPES = ("ollama", "openai", "bedrock")
_BACKEND_TYPE_SYNONYMS = {"openai-compatible": "openai", "vllm": "openai", "k8s-inference": "openai"}

AGENT_SUBSTITUTED = "agent_substituted"
KUBECONFIG_PATH_IGNORED = "kubeconfig_path_ignored"
NO_CLUSTER_ACCESS = "no_cluster_access"

KIND_WORDS: dict[RunKind, str] = {
    kind: {
        RunKind.AGENT: "agentic-agent",
        RunKind.LLM_INSTANCE: "llm-instance",
        RunKind.COST_ESTIMATE: "cost-estimate",
    }.get(kind, str(kind))
    for kind in RunKind
}
"""What the job view calls each kind of run (jobs-api.md 4.5)."""

STATUS_STATES: dict[str, tuple[RunState, ...]] = {
    "queued": (RunState.QUEUED,),
    "running": (RunState.RUNNING, RunState.AWAITING_APPROVAL, RunState.CANCELLING),
    "succeeded": (RunState.SUCCEEDED,),
    "failed": (RunState.FAILED,),
    "cancelled": (RunState.CANCELLED,),
}
_STATUS_OF = {state: status for status, states in STATUS_STATES.items() for state in states}

_ERROR_CODES = {
    "RUN_TIMEOUT": "timeout",
    "CHAIN_STEP_FAILED": "chain_failed",
    "MODEL_NOT_AVAILABLE": "model_not_found",
    "AGENT_ERROR": "driver_error",
    "LLM_UNREACHABLE": "driver_error",
    "CONTEXT_WINDOW": "driver_error",
    "MAX_STEPS": "driver_error",
}
_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a running job is; `percent` is 0 to 100."""

    phase: str
    percent: float | None = None


@dataclass(frozen=True, slots=True)
class Resource:
    """Something of a provider that a job has or had; `lease_expires_at` in epoch seconds."""

    provider: str
    contract_id: str
    state: str
    lease_expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job as its owner sees it (jobs-api.md 4.5). Times are epoch seconds; None means "absent"."""

    job_id: str
    tenant_id: str
    kind: str
    status: str
    message: str
    created_at: float
    updated_at: float
    started_at: float | None = None
    finished_at: float | None = None
    progress: Progress | None = None
    result: Mapping[str, Any] | None = None
    error: str | None = None
    error_code: str | None = None
    resources: tuple[Resource, ...] | None = None
    request: Mapping[str, Any] | None = None


def job_record(
    run: Run, *, result: Mapping[str, Any] | None = None, request: Mapping[str, Any] | None = None
) -> JobRecord:
    """The job view of a run. A result is shown only once the job has ended."""
    unsuccessful = run.state in (RunState.FAILED, RunState.CANCELLED)
    status = job_status(run.state)
    return JobRecord(
        job_id=run.run_id,
        tenant_id=run.tenant,
        kind=KIND_WORDS[run.kind],
        status=status,
        message=run.message,
        created_at=run.created_at / 1000,
        updated_at=run.updated_at / 1000,
        started_at=_seconds(run.started_at),
        finished_at=_seconds(run.finished_at),
        progress=Progress(run.phase or "admit", run.percent) if status == "running" else None,
        result=result if run.state in TERMINAL else None,
        error=(run.error or run.message) if unsuccessful else None,
        error_code=_error_code(run) if unsuccessful else None,
        resources=_resources(run) or None,
        request=request,
    )


def job_status(state: RunState) -> str:
    """The job's word for a run's state: pausing and cancelling show as `running` (jobs-api.md 4.1)."""
    return _STATUS_OF[state]


def job_error_code(run_code: str) -> str:
    """The job's `error_code` for a run's `error.code` (jobs-api.md 4.5)."""
    return _ERROR_CODES.get(run_code, run_code.lower())


def checked_job_id(text: str) -> str:
    """Raises RunNotFound for text that no id can be: a malformed id is an unknown id (jobs-api.md 1.1)."""
    if not _JOB_ID.fullmatch(text):
        raise RunNotFound
    return text


def resolve_agent(requested: str) -> tuple[str, tuple[str, ...]]:
    """The agent that a request names and the warnings about it (jobs-api.md 1.3 T10). Raises UnknownAgent."""
    name = requested.rpartition(":")[2]
    if name in AGENTS:
        return name, ()
    if requested == "sre:k8sgpt":
        return "holmes", (AGENT_SUBSTITUTED,)
    raise UnknownAgent("agent", AGENTS)


def resolve_backend_type(requested: str) -> str:
    """The kind of model server that a request names. Raises UnknownBackendType."""
    name = _BACKEND_TYPE_SYNONYMS.get(requested, requested)
    if name not in BACKEND_TYPES:
        raise UnknownBackendType("backend_type", BACKEND_TYPES)
    return name


def _error_code(run: Run) -> str:
    return "cancelled" if run.state is RunState.CANCELLED else job_error_code(run.error_code or "INTERNAL")


def _resources(run: Run) -> tuple[Resource, ...]:
    """What exists at a provider, or may: a wish that came to nothing is none."""
    return tuple(
        Resource(each.provider, each.contract_id, each.state, _seconds(each.lease_expires_at))
        for each in run.rentals
        if each.open or each.contract_id
    )


def _seconds(epoch_ms: int | None) -> float | None:
    return None if epoch_ms is None else epoch_ms / 1000
