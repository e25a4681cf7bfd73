from __future__ import annotations

from typing import NoReturn

from fastapi import APIRouter, Response

from rune_common.domain.errors import UnknownJobKind
from rune_common.http.authentication import CanWrite
from rune_common.http.job_submission import AgentSubmission, job_rules
from rune_common.http.schemas.job_accepted import JobAccepted
from rune_common.http.wired import Wired
from rune_common.usecases import submit_job as jobs

router = APIRouter(tags=["jobs"])

AGENT_JOB = {"schema": {"$ref": "#/components/schemas/SubmitAgentJob"}}


@router.post(
    "/v1/jobs/agentic-agent",
    status_code=202,
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": AGENT_JOB}}},
)
def submit_job(
    caller: CanWrite, submission: AgentSubmission, services: Wired, response: Response
) -> JobAccepted:
    """Accept a question for the agent and queue it."""
    return JobAccepted.of(
        jobs.submit_job(
            submission,
            caller,
            rules=job_rules(services),
            runs=services.runs,
            blobs=services.blobs,
            kubeconfigs=services.kubeconfigs,
            clock=services.clock,
            new_id=services.new_id,
            redactor=services.redactor,
        ),
        response,
    )


# The last part has the name that GET and DELETE give it: API Gateway allows one name for a place in a path.
@router.post("/v1/jobs/{job_id}", operation_id="submit_job_of_unknown_kind", response_model=None)
async def refuse_job(job_id: str, caller: CanWrite) -> NoReturn:
    """Every other kind is unknown."""
    raise UnknownJobKind
