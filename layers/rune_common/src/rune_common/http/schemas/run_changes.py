"""Requests that change a run on the wire (runs-api.md 2.7, 1.3)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from rune_common.http.schemas.create_run import Strict
from rune_common.usecases.cancel_run import Cancellation
from rune_common.usecases.complete_run import Completion


class CancelRun(Strict):
    reason: str | None = Field(None, max_length=2000)
    mode: Literal["graceful", "force"] = "graceful"
    grace_seconds: int = Field(30, ge=0, le=300)

    def cancellation(self) -> Cancellation:
        return Cancellation(self.reason, self.mode == "force", self.grace_seconds)


class ReportedFindings(Strict):
    """Counts of open findings; `blocking` is how many block, or whether any does."""

    P0: int | None = Field(None, ge=0)
    P1: int | None = Field(None, ge=0)
    P2: int | None = Field(None, ge=0)
    P3: int | None = Field(None, ge=0)
    total: int | None = Field(None, ge=0)
    blocking: int | bool | None = None

    @field_validator("blocking")
    @classmethod
    def counts(cls, value: int | bool | None) -> int | bool | None:
        if value is not None and value < 0:
            raise ValueError
        return value


class ReportedUsage(Strict):
    token_usage: int | None = Field(None, ge=0)
    cost_usd: float | None = Field(None, ge=0)
    duration_ms: float | None = Field(None, ge=0)
    tool_calls: int | None = Field(None, ge=0)


class CompletionSummary(Strict):
    findings: ReportedFindings = ReportedFindings.model_construct()
    usage: ReportedUsage = ReportedUsage.model_construct()
    text: str | None = Field(None, max_length=300)


class ReportedChangeSet(Strict):
    artifact_id: str = Field(min_length=1, max_length=128)
    base_sha: str = Field(pattern=r"^[0-9a-f]{7,64}$")


class CompleteRun(Strict):
    """How a client's work ended. Without an `exit_reason` it is the usual one of its status."""

    status: Literal["completed", "failed"] = "completed"
    exit_reason: str | None = Field(None, pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    stop_class: str = Field(pattern=r"^[A-Za-z0-9_]{1,64}$")
    stop_code: str | None = Field(None, pattern=r"^[A-Za-z0-9_]{1,64}$")
    summary: CompletionSummary = CompletionSummary.model_construct()
    change_set: ReportedChangeSet | None = None

    def completion(self) -> Completion:
        succeeded = self.status == "completed"
        return Completion(
            succeeded=succeeded,
            exit_reason=self.exit_reason or self.status,
            stop_class=self.stop_class.lower(),
            stop_code=self.stop_code or ("NONE" if succeeded else "ERROR"),
            summary=self.summary.text,
            findings=self.summary.findings.model_dump(exclude_none=True),
            usage=_whole(self.summary.usage.model_dump(exclude_none=True)),
            change_set=self.change_set.model_dump() if self.change_set else None,
        )


class CreateStreamTicket(Strict):
    purpose: Literal["events", "terminal"]


def _whole(usage: dict[str, Any]) -> dict[str, Any]:
    """Durations are whole milliseconds."""
    return {name: round(value) if name == "duration_ms" else value for name, value in usage.items()}
