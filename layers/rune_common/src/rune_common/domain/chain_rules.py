"""Which chains may start: the definition of a chain and what is wrong with it (jobs-api.md 8)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from typing import Any

from rune_common.domain.chain_templates import KEY, TemplateError, placeholders
from rune_common.domain.errors import FieldProblem, InvalidRequest

MAX_STEPS = 50
MAX_CONTEXT_KEYS = 50
MAX_CONTEXT_BYTES = 32 * 1024
MAX_TEMPLATE = 100_000
_NAME = re.compile(KEY)


class OnFailure(StrEnum):
    CONTINUE = "continue"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class ChainStep:
    """One question of a chain. `dependencies` are steps whose answers it may use; `model` None: the run's."""

    name: str
    question_template: str
    agent: str = "holmes"
    dependencies: tuple[str, ...] = ()
    model: str | None = None


@dataclass(frozen=True, slots=True)
class ChainSpec:
    """A chain as it was asked for. `context` holds texts for the templates."""

    steps: tuple[ChainStep, ...]
    context: Mapping[str, str] = field(default_factory=dict)
    on_failure: OnFailure = OnFailure.CONTINUE

    def step(self, name: str) -> ChainStep:
        """Raises KeyError."""
        return next((step for step in self.steps if step.name == name), None) or _unknown(name)

    def document(self) -> dict[str, Any]:
        """As JSON, in the request's own words."""
        return {
            "steps": [
                {
                    "name": step.name,
                    "agent": step.agent,
                    "question_template": step.question_template,
                    "dependencies": list(step.dependencies),
                    **({"model": step.model} if step.model else {}),
                }
                for step in self.steps
            ],
            "context": dict(self.context),
            "on_failure": str(self.on_failure),
        }


def chain_spec(document: Mapping[str, Any]) -> ChainSpec:
    """The inverse of `ChainSpec.document`."""
    return ChainSpec(
        tuple(
            ChainStep(
                step["name"],
                step["question_template"],
                step["agent"],
                tuple(step["dependencies"]),
                step.get("model"),
            )
            for step in document["steps"]
        ),
        document["context"],
        OnFailure(document["on_failure"]),
    )


def check_chain(spec: ChainSpec) -> None:
    """Raises InvalidRequest with everything that is wrong; each problem names its field."""
    problems = [*_context_problems(spec), *_name_problems(spec.steps), *_dependency_problems(spec.steps)]
    problems += _template_problems(spec)
    if not problems and (at := _on_a_cycle(spec.steps)) is not None:
        problems.append(FieldProblem(f"steps.{at}.dependencies", "cycle", "must not form a cycle"))
    if problems:
        raise InvalidRequest(*problems)


def _context_problems(spec: ChainSpec) -> Iterator[FieldProblem]:
    context, names = spec.context, {step.name for step in spec.steps}
    if len(context) > MAX_CONTEXT_KEYS:
        yield FieldProblem("context", "too_long", f"must have at most {MAX_CONTEXT_KEYS} keys")
    if sum(len(_bytes(key)) + len(_bytes(value)) for key, value in context.items()) > MAX_CONTEXT_BYTES:
        yield FieldProblem("context", "too_long", "must have at most 32 KiB")
    if not all(_NAME.fullmatch(key) for key in context):
        yield FieldProblem("context", "format", "has a key with characters that are not allowed")
    if names & context.keys():
        yield FieldProblem("context", "duplicate", "must not have the name of a step as a key")


def _name_problems(steps: Sequence[ChainStep]) -> Iterator[FieldProblem]:
    if not steps:
        yield FieldProblem("steps", "too_short", "must have at least 1 items")
    if len(steps) > MAX_STEPS:
        yield FieldProblem("steps", "too_long", f"must have at most {MAX_STEPS} items")
    seen: set[str] = set()
    for at, step in enumerate(steps):
        if not _NAME.fullmatch(step.name):
            yield FieldProblem(f"steps.{at}.name", "format", "has characters that are not allowed")
        if step.name in seen:
            yield FieldProblem(f"steps.{at}.name", "duplicate", "must be unique")
        seen.add(step.name)


def _dependency_problems(steps: Sequence[ChainStep]) -> Iterator[FieldProblem]:
    names = {step.name for step in steps}
    for at, step in enumerate(steps):
        where = f"steps.{at}.dependencies"
        if step.name in step.dependencies:
            yield FieldProblem(where, "self_dependency", "must not name the step itself")
        if not names.issuperset(step.dependencies):
            yield FieldProblem(where, "unknown", "must name steps of this chain")
        if len(set(step.dependencies)) < len(step.dependencies):
            yield FieldProblem(where, "duplicate", "must name each step once")


def _template_problems(spec: ChainSpec) -> Iterator[FieldProblem]:
    for at, step in enumerate(spec.steps):
        where = f"steps.{at}.question_template"
        if not step.question_template:
            yield FieldProblem(where, "too_short", "must have at least 1 characters")
        if len(step.question_template) > MAX_TEMPLATE:
            yield FieldProblem(where, "too_long", f"must have at most {MAX_TEMPLATE} characters")
        try:
            asked = placeholders(step.question_template)
        except TemplateError:
            yield FieldProblem(where, "format", "has a brace that belongs to no placeholder")
            continue
        if not asked <= {*spec.context, *step.dependencies}:
            message = "has a placeholder that is neither in context nor a direct dependency"
            yield FieldProblem(where, "unknown_placeholder", message)


def _on_a_cycle(steps: Sequence[ChainStep]) -> int | None:
    """The place of the first step that lies on a cycle."""
    try:
        TopologicalSorter({step.name: step.dependencies for step in steps}).prepare()
    except CycleError as exc:
        on_it = set(exc.args[1])
        return next(at for at, step in enumerate(steps) if step.name in on_it)
    return None


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _unknown(name: str) -> ChainStep:
    raise KeyError(name)
