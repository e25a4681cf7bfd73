"""From an HTTP request to a submission."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Response

from rune_common.http.body import RawBody, json_object
from rune_common.http.idempotency import IdempotencyKey
from rune_common.http.schemas.submit_agent_job import parse_agent_job
from rune_common.usecases.submit_job import JobRules, Submission
from rune_common.wiring import Services


def agent_submission(raw: RawBody, key: IdempotencyKey, response: Response) -> Submission:
    """Raises InvalidRequest and its kinds; names the ignored fields in a header of the answer."""
    body = json_object(raw)
    request, ignored = parse_agent_job(body)
    if ignored:
        response.headers["Rune-Ignored-Fields"] = ",".join(ignored)
    return Submission(request, body.sha256, key)


AgentSubmission = Annotated[Submission, Depends(agent_submission)]


def job_rules(services: Services) -> JobRules:
    settings = services.settings
    return JobRules(
        model=settings.default_model,
        backend_url=settings.backend_url,
        max_active=settings.tenant_max_active_runs,
        retention_days=settings.retention_days,
        product_version=settings.product_version,
        backends=services.backend_policy,
        clusters=services.cluster_policy,
        allow_insecure_tls=settings.allow_insecure_cluster_tls,
    )
