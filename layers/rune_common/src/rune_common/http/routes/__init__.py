"""Every HTTP endpoint: one module and one router per function, named as its folder under functions/."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi import APIRouter

    ROUTERS: dict[str, APIRouter]

ENDPOINTS = (
    "read_health",
    "submit_job",
    "list_jobs",
    "read_job",
    "create_run",
    "list_runs",
    "read_run",
    "cancel_run",
    "complete_run",
    "append_run_events",
    "stream_run_events",
    "list_run_events",
    "create_stream_ticket",
    "open_terminal",
    "list_approvals",
    "decide_approvals",
    "list_run_findings",
    "list_run_artifacts",
    "upload_run_artifact",
    "download_run_artifact",
    "cancel_job",
    "release_job",
    "read_job_events",
    "read_trace",
    "read_metrics",
    "read_browser_stream",
    "read_interaction",
    "answer_interaction",
    "read_chain_state",
    "list_artifacts",
    "download_artifact",
    "read_settings",
    "change_settings",
    "export_settings",
    "list_profiles",
    "create_profile",
    "read_profile",
    "delete_profile",
    "list_vastai_models",
    "list_llm_models",
    "estimate_cost",
    "simulate_finops",
    "read_evidence",
    "read_evidence_proof",
    "list_evidence_keys",
    "read_kpi",
    "list_model_catalog",
)


def __getattr__(name: str) -> Any:
    """`ROUTERS`: all routers by endpoint. Made when asked for, so that a function imports only its own."""
    if name == "ROUTERS":
        return {endpoint: import_module(f"{__name__}.{endpoint}").router for endpoint in ENDPOINTS}
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
