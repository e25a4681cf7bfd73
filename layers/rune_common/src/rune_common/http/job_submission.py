"""From an HTTP request to a submission of its kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import Depends, Request, Response

from rune_common.domain.access import Principal
from rune_common.domain.errors import KindDisabled
from rune_common.domain.jobs import KIND_WORDS
from rune_common.domain.runs import RunKind
from rune_common.domain.tenant_settings import effective
from rune_common.http.body import JsonObject, RawBody, json_object
from rune_common.http.idempotency import IdempotencyKey
from rune_common.http.schemas.estimate import parse_estimate
from rune_common.http.schemas.submit_agent_job import SubmitAgentJob
from rune_common.http.schemas.submit_benchmark import SubmitBenchmark
from rune_common.http.schemas.submit_chain import SubmitChain
from rune_common.http.schemas.submit_llm_instance import SubmitLlmInstance
from rune_common.http.wired import Wired, blocking
from rune_common.usecases.plan_job import JobRules
from rune_common.usecases.submit_job import Submission, Submitted, submit_job
from rune_common.wiring import Services

SMALL_BODY = 64 * 1024
"""Bytes up to which parsing is cheaper than a hop to another thread."""

Parse = Callable[[JsonObject], tuple[Any, tuple[str, ...]]]
"""A kind's request, and the names of fields without a meaning. Raises InvalidRequest and its kinds."""

PARSERS: Mapping[RunKind, Parse] = {
    RunKind.AGENT: SubmitAgentJob.parse,
    RunKind.BENCHMARK: SubmitBenchmark.parse,
    RunKind.LLM_INSTANCE: SubmitLlmInstance.parse,
    RunKind.COST_ESTIMATE: parse_estimate,
    RunKind.CHAIN: SubmitChain.parse,
}
KINDS: Mapping[str, RunKind] = {
    **{KIND_WORDS[kind]: kind for kind in PARSERS},
    "ollama-instance": RunKind.LLM_INSTANCE,
    "chains": RunKind.CHAIN,
}
"""By the last word of the path; an older word is the same kind."""


async def job_submission(
    request: Request, services: Wired, raw: RawBody, key: IdempotencyKey, response: Response
) -> Submission:
    """The submission of the kind in the path. Names the ignored fields in a header of the answer.

    Raises KindDisabled, and InvalidRequest and its kinds.
    """
    kind = KINDS[request.url.path.rstrip("/").rpartition("/")[2]]
    if len(raw) <= SMALL_BODY:
        submission, ignored = parse_submission(kind, raw, key, services)
    else:
        submission, ignored = await blocking(request, lambda: parse_submission(kind, raw, key, services))
    if ignored:
        response.headers["Rune-Ignored-Fields"] = ",".join(ignored)
    return submission


JobSubmission = Annotated[Submission, Depends(job_submission)]


def parse_submission(
    kind: RunKind, raw: bytes, key: str | None, services: Services
) -> tuple[Submission, tuple[str, ...]]:
    """A body as a submission, and the fields of it that have no meaning. Raises as `job_submission`."""
    if KIND_WORDS[kind] in services.settings.disabled_kinds:
        raise KindDisabled
    body = json_object(raw)
    request, ignored = PARSERS[kind](body)
    return Submission(kind, request, body.sha256, key), ignored


def accept(submission: Submission, caller: Principal, services: Services) -> Submitted:
    """Store the job. Raises as `submit_job`."""
    return submit_job(
        submission,
        caller,
        rules=job_rules(services),
        defaults=tenant_defaults(caller.tenant, services),
        runs=services.runs,
        blobs=services.blobs,
        spend=services.spend,
        kubeconfigs=services.kubeconfigs,
        clock=services.clock,
        new_id=services.new_id,
        redactor=services.redactor,
    )


def tenant_defaults(tenant: str, services: Services) -> dict[str, Any]:
    """What applies where a request says nothing: one strongly consistent read."""
    return effective(services.tenant_settings.read(tenant), services.settings.tenant_defaults())


def job_rules(services: Services) -> JobRules:
    settings = services.settings
    return JobRules(
        max_active=settings.tenant_max_active_runs,
        retention_days=settings.retention_days,
        product_version=settings.product_version,
        backends=services.backend_policy,
        clusters=services.cluster_policy,
        allow_insecure_tls=settings.allow_insecure_cluster_tls,
        rents_gpus=settings.rents_gpus,
    )
