"""A job on the wire (jobs-api.md 4.5). What a job does not have is left out, never null."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, Self

from pydantic import BaseModel

from rune_common.domain.jobs import JobRecord, Resource

JobStatus = Literal["queued", "running", "succeeded", "failed", "cancelled"]


class ProgressView(BaseModel):
    phase: str
    percent: float | None = None


class ResourceView(BaseModel):
    """A rented instance; `contract_id` is empty until the provider has answered."""

    provider: str
    contract_id: str
    state: Literal["creating", "running", "destroy_pending", "destroyed"]
    lease_expires_at: float | None = None

    @classmethod
    def of(cls, resource: Resource) -> Self:
        lease = {"lease_expires_at": resource.lease_expires_at} if resource.lease_expires_at else {}
        return cls.model_validate(
            {
                "provider": resource.provider,
                "contract_id": resource.contract_id,
                "state": str(resource.state),
                **lease,
            }
        )


class JobView(BaseModel):
    """A job. Times are epoch seconds. `result` also with a failed or cancelled job, then maybe partial."""

    job_id: str
    run_id: str
    tenant_id: str
    kind: str
    status: JobStatus
    message: str
    created_at: float
    updated_at: float
    started_at: float | None = None
    finished_at: float | None = None
    progress: ProgressView | None = None
    result: dict[str, Any] | None = None
    error: str | None = None
    error_code: str | None = None
    resources: list[ResourceView] | None = None
    request: dict[str, Any] | None = None

    @classmethod
    def of(cls, job: JobRecord) -> Self:
        shown = {
            each.name: value
            for each in dataclasses.fields(job)
            if (value := getattr(job, each.name)) is not None
        }
        if job.progress is not None:
            percent = {} if job.progress.percent is None else {"percent": job.progress.percent}
            shown["progress"] = ProgressView(phase=job.progress.phase, **percent)
        if job.resources is not None:
            shown["resources"] = [ResourceView.of(each) for each in job.resources]
        return cls(run_id=job.job_id, **shown)
