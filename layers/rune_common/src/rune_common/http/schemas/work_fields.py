"""The fields that jobs with a model server share on the wire (jobs-api.md 1.3, 4.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rune_common.domain.errors import FieldProblem, InvalidRequest
from rune_common.domain.job_requests import LEASE_SECONDS, RentalTerms, WorkRequest
from rune_common.domain.runs import RunKind
from rune_common.http.body import JsonObject
from rune_common.http.schemas.provisioning import NESTED, FlatOptions, Provisioning, flattened
from rune_common.http.schemas.tolerance import Tolerance, showable
from rune_common.http.validation import field_problems

Price = Annotated[float, Field(ge=0, le=128)]


class ApprovalSpec(BaseModel):
    """When a human is asked (runs-api.md 2.2); with `none` a tool that needs approval is a tool error."""

    model_config = ConfigDict(strict=True)

    mode: Literal["policy", "required", "none"] = "none"
    timeout_seconds: int = Field(86_400, ge=5, le=2_592_000)
    approvers: list[Annotated[str, Field(max_length=128)]] = Field([], max_length=20)
    required_approvals: int = Field(1, ge=1, le=5)
    on_deny: Literal["continue", "stop"] = "continue"


class WorkFields(BaseModel):
    """Fields that are not given take the tenant's defaults, else the server's, else the built-in ones."""

    model_config = ConfigDict(strict=True)
    kind: ClassVar[RunKind]
    meaningless: ClassVar[frozenset[str]] = frozenset()
    """Fields of other kinds that older clients send with this one."""

    model: str | None = Field(None, max_length=128, pattern=r"^[A-Za-z0-9._:/@-]+$")
    backend_type: str | None = Field(None, max_length=64)
    backend_url: str | None = Field(None, max_length=2048)
    backend_warmup: bool | None = None
    backend_warmup_timeout: int | None = Field(None, ge=1, le=3600)
    kubeconfig: str | None = None
    agent: str | None = Field(None, max_length=64)
    timeout_seconds: int = Field(3600, ge=10, le=14_400)
    max_cost_usd: float | None = Field(None, gt=0)
    approval: ApprovalSpec = ApprovalSpec.model_construct(
        mode="none", timeout_seconds=86_400, approvers=[], required_approvals=1, on_deny="continue"
    )
    template_hash: str | None = Field(None, max_length=256, pattern=r"^[A-Za-z0-9_-]+$")
    min_dph: Price | None = None
    max_dph: Price | None = None
    reliability: float | None = Field(None, ge=0, le=1)
    vastai_stop_instance: bool | None = None
    lease_seconds: int = Field(LEASE_SECONDS, ge=60, le=86_400)
    vram_mb: int | None = Field(None, ge=1)
    provisioning: Provisioning | None = None

    @classmethod
    def parse(cls, body: JsonObject) -> tuple[WorkRequest, tuple[str, ...]]:
        """The request, and the names of fields without a meaning here. Raises InvalidRequest and its kinds."""
        nested = NESTED not in cls.meaningless
        options = flattened(body.members) if nested else FlatOptions(body.members, {})
        fields = cls._tolerance().read(options.members)
        spelled = {**fields.spelled, **options.spelled}
        try:
            job = cls.model_validate(fields.values)
        except ValidationError as exc:
            found = exc.errors(include_url=False, include_input=False)
            raise InvalidRequest(*field_problems(found, spelled=spelled)) from None
        if job.min_dph is not None and job.max_dph is not None and job.min_dph > job.max_dph:
            named = spelled.get("min_dph", "min_dph")
            raise InvalidRequest(FieldProblem(named, "too_large", "must not be greater than max_dph"))
        return job.to_request(), showable((*options.ignored, *fields.ignored, *job.shadowed()))

    def to_request(self) -> WorkRequest:
        """Fields that a kind does not have are at their defaults."""
        own: Mapping[str, Any] = {
            name: getattr(self, name)
            for name in ("question", "vastai", "attestation_required")
            if name in type(self).model_fields
        }
        return WorkRequest(
            kind=self.kind,
            model=self.model,
            backend_type=self.backend_type,
            backend_url=self.backend_url,
            backend_warmup=self.backend_warmup,
            backend_warmup_timeout=self.backend_warmup_timeout,
            kubeconfig=self.kubeconfig,
            agent=self.agent,
            timeout_seconds=self.timeout_seconds,
            max_cost_usd=self.max_cost_usd,
            approval=self.approval.model_dump(),
            terms=RentalTerms(
                template_hash=self.template_hash,
                min_dph=self.min_dph,
                max_dph=self.max_dph,
                reliability=self.reliability,
                stop_instance=self.vastai_stop_instance,
                lease_seconds=self.lease_seconds,
                vram_mb=self.vram_mb,
            ),
            **own,
        )

    def shadowed(self) -> tuple[str, ...]:
        """With a GPU of its own a job has no use for another address (jobs-api.md 4.3)."""
        return ("backend_url",) if self.backend_url and getattr(self, "vastai", None) else ()

    @classmethod
    def _tolerance(cls) -> Tolerance:
        return Tolerance(
            known=frozenset(cls.model_fields) - cls.meaningless,
            synonyms={
                "ollama_warmup": "backend_warmup",
                "ollama_warmup_timeout": "backend_warmup_timeout",
                "ollama_url": "backend_url",
            },
            empty_means_absent=EMPTY_MEANS_ABSENT | cls.blank_fields(),
            percentages=frozenset({"reliability"}),
        )

    @classmethod
    def blank_fields(cls) -> frozenset[str]:
        """Further fields whose empty text means "not given" (T4)."""
        return frozenset()


EMPTY_MEANS_ABSENT = frozenset(
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
)
