"""The request of kind `agentic-agent` on the wire (jobs-api.md 1.3, 4.3)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rune_common.domain.errors import FieldProblem, InvalidRequest
from rune_common.domain.jobs import AgentJobRequest, resolve_agent, resolve_backend_type
from rune_common.http.body import JsonObject
from rune_common.http.schemas.tolerance import Tolerance
from rune_common.http.validation import field_problems

DEFAULT_AGENT = "holmes"
DEFAULT_BACKEND_TYPE = "ollama"

Price = Annotated[float, Field(ge=0, le=128)]


class ApprovalSpec(BaseModel):
    """When a human is asked (runs-api.md 2.2); with `none` a tool that needs approval is a tool error."""

    model_config = ConfigDict(strict=True)

    mode: Literal["policy", "required", "none"] = "none"
    timeout_seconds: int = Field(86_400, ge=5, le=2_592_000)
    approvers: list[Annotated[str, Field(max_length=128)]] = Field([], max_length=20)
    required_approvals: int = Field(1, ge=1, le=5)
    on_deny: Literal["continue", "stop"] = "continue"


class SubmitAgentJob(BaseModel):
    """Ask the agent one question.

    `provisioning` and `vastai` have no meaning here and are ignored; the other fields of provider resources
    are checked and then not used.
    """

    model_config = ConfigDict(strict=True)

    question: str = Field(min_length=1, max_length=100_000)
    model: str | None = Field(None, max_length=128, pattern=r"^[A-Za-z0-9._:/@-]+$")
    backend_type: str = Field(DEFAULT_BACKEND_TYPE, max_length=64)
    backend_url: str | None = Field(None, max_length=2048)
    backend_warmup: bool = True
    backend_warmup_timeout: int = Field(90, ge=1, le=3600)
    kubeconfig: str | None = None
    agent: str = Field(DEFAULT_AGENT, max_length=64)
    timeout_seconds: int = Field(3600, ge=10, le=14_400)
    max_cost_usd: float | None = Field(None, gt=0)
    approval: ApprovalSpec = ApprovalSpec.model_construct(
        mode="none", timeout_seconds=86_400, approvers=[], required_approvals=1, on_deny="continue"
    )
    template_hash: str | None = Field(None, max_length=256, pattern=r"^[A-Za-z0-9_-]+$")
    min_dph: Price | None = None
    max_dph: Price | None = None
    reliability: float | None = Field(None, ge=0, le=1)
    vastai_stop_instance: bool = True
    lease_seconds: int = Field(3600, ge=60, le=86_400)
    vram_mb: int | None = Field(None, ge=1)

    def to_request(self) -> AgentJobRequest:
        """Raises UnknownAgent, UnknownBackendType."""
        agent, warnings = resolve_agent(self.agent)
        return AgentJobRequest(
            question=self.question,
            model=self.model,
            backend_type=resolve_backend_type(self.backend_type),
            backend_url=self.backend_url,
            backend_warmup=self.backend_warmup,
            backend_warmup_timeout=self.backend_warmup_timeout,
            kubeconfig=self.kubeconfig,
            agent=agent,
            requested_agent=self.agent,
            timeout_seconds=self.timeout_seconds,
            max_cost_usd=self.max_cost_usd,
            approval=self.approval.model_dump(),
            warnings=warnings,
        )


TOLERANCE = Tolerance(
    known=frozenset(SubmitAgentJob.model_fields),
    synonyms={
        "ollama_warmup": "backend_warmup",
        "ollama_warmup_timeout": "backend_warmup_timeout",
        "ollama_url": "backend_url",
    },
    empty_means_absent=frozenset(
        {
            "max_dph",
            "min_dph",
            "reliability",
            "backend_warmup_timeout",
            "backend_url",
            "backend_type",
            "template_hash",
            "agent",
            "kubeconfig",
            "model",
        }
    ),
    percentages=frozenset({"reliability"}),
)


def parse_agent_job(body: JsonObject) -> tuple[AgentJobRequest, tuple[str, ...]]:
    """The request, and the names of fields without a meaning here. Raises InvalidRequest and its kinds."""
    fields = TOLERANCE.read(body.members)
    try:
        job = SubmitAgentJob.model_validate(fields.values)
    except ValidationError as exc:
        found = exc.errors(include_url=False, include_input=False)
        raise InvalidRequest(*field_problems(found, spelled=fields.spelled)) from None
    if job.min_dph is not None and job.max_dph is not None and job.min_dph > job.max_dph:
        raise InvalidRequest(FieldProblem("min_dph", "too_large", "must not be greater than max_dph"))
    return job.to_request(), fields.ignored
