"""The status of a run on the wire, for the document of the API (runs-api.md 2.5)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel


class FindingsSummary(BaseModel):
    """Open findings by severity; `blocking` counts P0 and P1."""

    P0: int
    P1: int
    P2: int
    P3: int
    total: int
    blocking: int


class RunUsage(BaseModel):
    """Sums over the log. `cost_usd` is null when something is unpriced and nothing priced."""

    token_usage: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    llm_calls: int
    tool_calls: int
    subagent_count: int
    cost_usd: float | None
    unpriced: bool
    duration_ms: int
    approval_wait_ms: int


class RunBudget(BaseModel):
    limits: dict[str, float | None]
    remaining: dict[str, float | None]
    warnings: list[str]
    health: Literal["GREEN", "YELLOW", "RED"]


class RunFailureView(BaseModel):
    code: str | None
    message: str | None


class RunStatusView(BaseModel):
    """Every member is present; what is not known is null. Times are ISO-8601 with milliseconds."""

    run_id: str
    kind: str
    status: Literal[
        "queued", "running", "awaiting_approval", "cancelling", "completed", "failed", "cancelled"
    ]
    mode: str
    runtime_profile: str | None
    repo: str | None
    ref: str | None
    orchestrator_model: str | None
    subagent_model: str | None
    parent_run_id: str | None
    loop_id: str | None
    work_item_id: str | None
    labels: dict[str, str]
    spec_id: str | None
    spec_hash: str | None
    spec_binding_mode: str | None
    created_by: str | None
    created_at: str
    updated_at: str
    started_at: str | None
    ended_at: str | None
    duration_ms: int | None
    current_stage: str | None
    current_iteration: int | None
    max_iterations: int | None
    total_events: int
    last_event_id: str
    last_sequence: int
    head_hash: str
    exit_reason: str | None
    stop_class: str | None
    stop_code: str | None
    stop_reason: str | None
    error: RunFailureView | None
    gate_status: Literal["passed", "blocked", "error"] | None
    result: dict[str, Any] | None
    change_set: dict[str, Any] | None
    usage: RunUsage
    budget: RunBudget
    findings_summary: FindingsSummary
    artifacts_count: int
    context_files: list[dict[str, Any]]
    pending_approvals: list[dict[str, Any]]
    links: dict[str, str]


class ChangedRunView(RunStatusView):
    """`already_terminal` where nothing was done because the run had ended."""

    already_terminal: bool = False


class RunListView(BaseModel):
    """Newest first. A page may be short, or empty, before the end: `has_more` tells."""

    runs: list[RunStatusView]
    next_cursor: str | None
    has_more: bool


class AppendedEventView(BaseModel):
    producer_key: str
    event_id: str
    sequence: int
    duplicate: bool
    approval_id: str | None = None


class AppendedView(BaseModel):
    run_id: str
    appended: int
    duplicates: int
    first_sequence: int
    last_sequence: int
    head_hash: str
    events: list[AppendedEventView]


class StoredEventsView(BaseModel):
    """`events` are the stored lines, byte for byte (runs-api.md 3.1)."""

    run_id: str
    schema_version: Literal["1"]
    events: list[dict[str, Any]]
    next_after_event_id: str
    has_more: bool
    head_sequence: int
    head_event_id: str
    terminal: bool


class StreamTicketView(BaseModel):
    ticket: str
    purpose: Literal["events", "terminal"]
    run_id: str
    expires_at: str


class RunArtifactView(BaseModel):
    artifact_id: str
    name: str
    kind: str
    bytes: int
    sha256: str
    media_type: str


class AddedArtifactView(RunArtifactView):
    event_id: str


class RunArtifactsView(BaseModel):
    run_id: str
    artifacts: list[RunArtifactView]


class FindingsView(BaseModel):
    run_id: str
    findings_summary: FindingsSummary
    findings: list[dict[str, Any]]
    has_more: bool
