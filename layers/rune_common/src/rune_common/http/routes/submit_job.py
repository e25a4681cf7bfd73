from __future__ import annotations

from typing import Any, NoReturn

from fastapi import APIRouter, Request, Response

from rune_common.domain.errors import UnknownJobKind
from rune_common.http.authentication import CanWrite
from rune_common.http.job_submission import JobSubmission, accept
from rune_common.http.schemas.job_accepted import JobAccepted
from rune_common.http.wired import Wired, blocking

router = APIRouter(tags=["jobs"])


def request_body(schema: str) -> dict[str, Any]:
    """The body of a kind in the OpenAPI document: it is parsed by the kind's own rules, not by the route."""
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"requestBody": {"required": True, "content": content}}


@router.post("/v1/jobs/agentic-agent", status_code=202, openapi_extra=request_body("SubmitAgentJob"))
@router.post(
    "/v1/jobs/benchmark",
    status_code=202,
    operation_id="submit_job_benchmark",
    openapi_extra=request_body("SubmitBenchmark"),
)
@router.post(
    "/v1/jobs/llm-instance",
    status_code=202,
    operation_id="submit_job_llm_instance",
    openapi_extra=request_body("SubmitLlmInstance"),
)
@router.post(
    "/v1/jobs/ollama-instance",
    status_code=202,
    operation_id="submit_job_ollama_instance",
    openapi_extra=request_body("SubmitLlmInstance"),
)
@router.post(
    "/v1/jobs/cost-estimate",
    status_code=202,
    operation_id="submit_job_cost_estimate",
    openapi_extra=request_body("EstimateCost"),
)
@router.post(
    "/v1/jobs/chain",
    status_code=202,
    operation_id="submit_job_chain",
    openapi_extra=request_body("SubmitChain"),
)
@router.post(
    "/v1/chains",
    status_code=202,
    operation_id="submit_job_chain_run",
    tags=["chains"],
    openapi_extra=request_body("SubmitChain"),
)
async def submit_job(
    request: Request, caller: CanWrite, submission: JobSubmission, services: Wired, response: Response
) -> JobAccepted:
    """Accept a job and queue it."""
    return JobAccepted.of(await blocking(request, lambda: accept(submission, caller, services)), response)


# The last part has the name that GET and DELETE give it: API Gateway allows one name for a place in a path.
@router.post("/v1/jobs/{job_id}", operation_id="submit_job_of_unknown_kind", response_model=None)
async def refuse_job(job_id: str, caller: CanWrite) -> NoReturn:
    """Every other kind is unknown."""
    raise UnknownJobKind
