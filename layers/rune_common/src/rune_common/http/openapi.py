"""Completes FastAPI's OpenAPI document with what the edge does by itself: bodies, errors, credentials."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from rune_common.http.dialects import speaks_of_runs
from rune_common.http.schemas.append_events import AppendEvents
from rune_common.http.schemas.approvals import DecideApproval
from rune_common.http.schemas.create_run import CreateRun
from rune_common.http.schemas.error import ErrorView
from rune_common.http.schemas.estimate import EstimateCost
from rune_common.http.schemas.interaction import AnswerInteraction
from rune_common.http.schemas.run_changes import CancelRun, CompleteRun, CreateStreamTicket
from rune_common.http.schemas.run_error import RunErrorView
from rune_common.http.schemas.simulation import SimulateFinops
from rune_common.http.schemas.submit_agent_job import SubmitAgentJob
from rune_common.http.schemas.submit_benchmark import SubmitBenchmark
from rune_common.http.schemas.submit_chain import SubmitChain
from rune_common.http.schemas.submit_llm_instance import SubmitLlmInstance
from rune_common.http.schemas.tenant_settings import ChangeSettings, CreateProfile

REF_TEMPLATE = "#/components/schemas/{model}"
_SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def complete(app: FastAPI) -> dict[str, Any]:
    """The application's document."""
    found = FastAPI.openapi(app)
    schemas = found.setdefault("components", {}).setdefault("schemas", {})
    _, defined = models_json_schema(
        [
            (SubmitAgentJob, "validation"),
            (SubmitBenchmark, "validation"),
            (SubmitLlmInstance, "validation"),
            (SubmitChain, "validation"),
            (ChangeSettings, "validation"),
            (CreateProfile, "validation"),
            (EstimateCost, "validation"),
            (SimulateFinops, "validation"),
            (AnswerInteraction, "validation"),
            (CreateRun, "validation"),
            (CancelRun, "validation"),
            (CompleteRun, "validation"),
            (AppendEvents, "validation"),
            (CreateStreamTicket, "validation"),
            (DecideApproval, "validation"),
            (RunErrorView, "serialization"),
            (ErrorView, "serialization"),
        ],
        ref_template=REF_TEMPLATE,
    )
    schemas.update(defined["$defs"])
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    found["components"]["securitySchemes"] = _SECURITY_SCHEMES
    found["security"] = [{name: []} for name in _SECURITY_SCHEMES]
    for path, operations in found["paths"].items():
        for operation in operations.values():
            _describe_errors(operation, "RunErrorView" if speaks_of_runs(path) else "ErrorView")
    return found


def _describe_errors(operation: dict[str, Any], view: str) -> None:
    # Invalid requests are answered with 400 in our own dialect, not with FastAPI's 422.
    operation["responses"].pop("422", None)
    operation["responses"]["default"] = {
        "description": "What went wrong",
        "content": {"application/json": {"schema": {"$ref": REF_TEMPLATE.format(model=view)}}},
    }
