"""The request of kind `chain` on the wire (jobs-api.md 8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from rune_common.domain.chain_rules import (
    MAX_CONTEXT_KEYS,
    MAX_STEPS,
    MAX_TEMPLATE,
    ChainSpec,
    ChainStep,
    OnFailure,
    check_chain,
)
from rune_common.domain.errors import FieldProblem, InvalidRequest
from rune_common.domain.job_requests import WorkRequest
from rune_common.domain.runs import RunKind
from rune_common.http.body import JsonObject
from rune_common.http.schemas.tolerance import Tolerance, showable
from rune_common.http.schemas.work_fields import WorkFields

StepName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]


class ChainStepFields(BaseModel):
    """One question. `question_template` may hold `{key}`: from `context`, or the name of a direct dependency."""

    model_config = ConfigDict(strict=True)

    name: StepName
    agent: str | None = Field(None, max_length=64)
    question_template: str = Field(
        max_length=MAX_TEMPLATE, json_schema_extra={"minLength": 1}, description="also called `question`"
    )
    dependencies: list[str] = Field([], description="also called `depends_on`")
    model: str | None = Field(None, max_length=128, pattern=r"^[A-Za-z0-9._:/@-]+$")

    def to_step(self, agent: str) -> ChainStep:
        return ChainStep(
            self.name, self.question_template, self.agent or agent, tuple(self.dependencies), self.model
        )


class SubmitChain(WorkFields):
    """Ask agents several questions that build on each other: steps and what they depend on, without a cycle."""

    kind: ClassVar[RunKind] = RunKind.CHAIN

    vastai: bool | None = None
    steps: list[ChainStepFields] = Field(max_length=MAX_STEPS, json_schema_extra={"minItems": 1})
    context: dict[str, str] = Field({}, json_schema_extra={"maxProperties": MAX_CONTEXT_KEYS})
    on_failure: Literal["continue", "stop"] = "continue"

    @classmethod
    def parse(cls, body: JsonObject) -> tuple[WorkRequest, tuple[str, ...]]:
        """The request, and the names of fields without a meaning here. Raises InvalidRequest and its kinds."""
        read = _Steps()
        members = {**body.members}
        if isinstance(members.get("steps"), list):
            members["steps"] = [read.step(at, each) for at, each in enumerate(members["steps"])]
        try:
            request, ignored = super().parse(JsonObject(members, body.sha256))
        except InvalidRequest as invalid:
            if type(invalid) is not InvalidRequest:
                raise
            raise InvalidRequest(*map(read.as_sent, invalid.problems)) from None
        return request, showable((*ignored, *read.ignored))

    def to_request(self) -> WorkRequest:
        """Raises InvalidRequest for what is no chain that could be carried out."""
        spec = ChainSpec(
            tuple(step.to_step(self.agent or "holmes") for step in self.steps),
            self.context,
            OnFailure(self.on_failure),
        )
        check_chain(spec)
        return replace(super().to_request(), chain=spec)


@dataclass(slots=True)
class _Steps:
    """Reads steps in every spelling, and knows what the caller called their fields."""

    ignored: list[str] = field(default_factory=list)
    spelled: dict[str, str] = field(default_factory=dict)

    def step(self, at: int, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        fields = STEP_TOLERANCE.read(given)
        self.ignored += [f"steps.{at}.{name}" for name in fields.ignored]
        self.spelled |= {f"steps.{at}.{name}": f"steps.{at}.{word}" for name, word in fields.spelled.items()}
        return dict(fields.values)

    def as_sent(self, problem: FieldProblem) -> FieldProblem:
        """The problem under the caller's name for the field; a key of the context is a submitted value."""
        if problem.field.startswith("context."):
            return replace(problem, field="context")
        return replace(problem, field=self.spelled.get(problem.field, problem.field))


STEP_TOLERANCE = Tolerance(
    known=frozenset(ChainStepFields.model_fields),
    synonyms={"question": "question_template", "depends_on": "dependencies"},
    empty_means_absent=frozenset({"agent", "model"}),
    percentages=frozenset(),
)
