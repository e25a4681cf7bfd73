"""The request for a run on the wire (runs-api.md 2.2)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rune_common.domain.chain_rules import ChainSpec
from rune_common.domain.commands import CommandRequest, command_spec
from rune_common.domain.errors import FieldProblem, InvalidRequest
from rune_common.domain.job_requests import RentalTerms, WorkRequest
from rune_common.domain.run_requests import CREATED_HERE, Mode, NewRun, Profile, inferred_kind, profile_for
from rune_common.domain.runs import RunKind
from rune_common.http.body import JsonObject
from rune_common.http.schemas.strict_fields import parsed
from rune_common.http.schemas.submit_chain import SubmitChain
from rune_common.http.schemas.work_fields import ApprovalSpec

AROUND_A_COMMAND = 60
"""Seconds that a run may take beside its command."""

SYNONYMS = {"task": "question", "model": "orchestrator_model"}
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}/[A-Za-z0-9._-]{1,100}", re.ASCII)
_REF = re.compile(r"(?!/|-)(?!.*(?:\.\.|//|@\{|\.lock(?:/|$)))[^\x00-\x20~^:?*\[\\\x7f]{1,255}(?<![./])")
_MODEL = re.compile(r"[A-Za-z0-9._:/@-]+", re.ASCII)
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|^git@")

Glob = Annotated[str, Field(min_length=1, max_length=512)]
Globs = Annotated[list[Glob], Field(max_length=100)]
Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)


class BudgetSpec(Strict):
    """Ceilings; absent means none."""

    max_cost_usd: float | None = Field(None, gt=0)
    max_tokens: int | None = Field(None, gt=0)
    max_runtime_minutes: float | None = Field(None, gt=0)
    max_tool_calls: int | None = Field(None, gt=0)
    max_iterations: int | None = Field(None, gt=0)
    warning_threshold_percent: float = Field(80, gt=0, le=100)


class ScopeSpec(Strict):
    allowed_tools: Globs = []
    allowed_paths: Globs = []
    denied_paths: Globs = []
    network_domain_allowlist: Globs = []


class RunApprovalSpec(ApprovalSpec):
    mode: Literal["policy", "required", "none"] = "policy"


class BenchmarkSpec(Strict):
    vastai: bool | None = None
    template_hash: str | None = Field(None, max_length=256, pattern=r"^[A-Za-z0-9_-]+$")
    min_dph: float | None = Field(None, ge=0, le=128)
    max_dph: float | None = Field(None, ge=0, le=128)
    reliability: float | None = Field(None, ge=0, le=1)
    vastai_stop_instance: bool | None = None
    vram_mb: int | None = Field(None, ge=1)


class CommandFields(Strict):
    """Either `run` or `argv` (runs-api.md 2.3)."""

    run: str | None = None
    argv: list[str] | None = None
    cwd: str | None = None
    env: dict[str, str] | None = None
    timeout_seconds: int | None = None
    artifacts: list[str] | None = None


class ContextFile(Strict):
    path: str = Field(min_length=1, max_length=1024)
    sha256: Hex


class CreateRun(Strict):
    """What a run is to do. `kind` may be left out where another field tells it (runs-api.md 2.2)."""

    kind: Literal["agent", "benchmark", "command", "external", "chain"] | None = None
    mode: Literal["advice", "audit_readonly", "edit_gated", "autonomous_gated"] = "audit_readonly"
    runtime_profile: Literal["cli_local", "container_readonly", "container_write"] | None = None
    repo: str | None = Field(None, min_length=1, max_length=200)
    ref: str = Field("main", max_length=255)
    question: str | None = Field(None, min_length=1, max_length=100_000)
    orchestrator_model: str | None = Field(None, min_length=1, max_length=128)
    subagent_model: str | None = Field(None, min_length=1, max_length=128)
    agent: str | None = Field(None, min_length=1, max_length=64)
    backend_url: str | None = Field(None, max_length=2048)
    backend_type: str | None = Field(None, max_length=64)
    backend_warmup: bool | None = None
    backend_warmup_timeout: int | None = Field(None, ge=1, le=3600)
    kubeconfig: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    additional_system_prompt: str | None = Field(None, max_length=20_000)
    benchmark: BenchmarkSpec | None = None
    command: CommandFields | None = None
    chain: dict[str, Any] | None = None
    budget: BudgetSpec = BudgetSpec.model_construct()
    max_iterations: int | None = Field(None, ge=1, le=1000)
    timeout_seconds: int = Field(3600, ge=10, le=14_400)
    scope: ScopeSpec = ScopeSpec.model_construct()
    approval: RunApprovalSpec = RunApprovalSpec.model_construct()
    policy_pack: Literal["community", "strict"] = "community"
    context_files: Annotated[list[ContextFile], Field(max_length=100)] = []
    spec_id: str | None = Field(None, max_length=256)
    spec_hash: str | None = Field(None, pattern=r"^[0-9a-fA-F]{1,128}$")
    spec_binding_mode: Literal["none", "explicit", "auto_discovered"] = "none"
    parent_run_id: str | None = Field(None, max_length=64)
    work_item_id: str | None = Field(None, max_length=256)
    labels: Annotated[
        dict[Annotated[str, Field(min_length=1, max_length=63)], Annotated[str, Field(max_length=256)]],
        Field(max_length=20),
    ] = {}

    def new_run(self, kind: RunKind) -> NewRun:
        """Raises InvalidRequest naming every field that does not fit, and ModeProfileMismatch."""
        problems = tuple(self._problems(kind))
        if problems:
            raise InvalidRequest(*problems)
        mode = Mode(self.mode)
        asked = None if self.runtime_profile is None else Profile(self.runtime_profile)
        document = self._document(kind, profile_for(kind, mode, asked))
        if kind is RunKind.COMMAND and self.command is not None:
            return NewRun(kind, document, self._command(self.command), self.timeout_seconds)
        work = None if kind is RunKind.EXTERNAL else self._work(kind)
        return NewRun(kind, document, work, self.timeout_seconds)

    def _problems(self, kind: RunKind) -> Iterator[FieldProblem]:
        if kind in (RunKind.AGENT, RunKind.BENCHMARK) and self.question is None:
            yield FieldProblem("question", "missing", "is required")
        if kind is RunKind.COMMAND and Mode(self.mode) is Mode.ADVICE:
            yield FieldProblem("mode", "conflict", "advice runs no commands")
        if kind is RunKind.COMMAND and self.repo not in (None, "local"):
            yield FieldProblem("repo", "unsupported", "commands run in an empty workspace here")
        for name in (RunKind.COMMAND, RunKind.CHAIN):
            if kind is name and getattr(self, name) is None:
                yield FieldProblem(name, "missing", "is required")
        if self.repo is not None and not _is_repository(self.repo, kind):
            yield FieldProblem("repo", "format", "must be owner/name")
        if not _REF.fullmatch(self.ref):
            yield FieldProblem("ref", "format", "is no git reference")
        if kind is not RunKind.EXTERNAL:
            for field in ("orchestrator_model", "subagent_model"):
                name = getattr(self, field)
                if name is not None and not _MODEL.fullmatch(name):
                    yield FieldProblem(field, "format", "has characters that are not allowed")
        yield from self._benchmark_problems()

    def _benchmark_problems(self) -> Iterator[FieldProblem]:
        terms = self.benchmark
        if (
            terms
            and terms.min_dph is not None
            and terms.max_dph is not None
            and terms.min_dph > terms.max_dph
        ):
            yield FieldProblem("benchmark.min_dph", "too_large", "must not be greater than max_dph")

    def _document(self, kind: RunKind, profile: Profile) -> dict[str, Any]:
        """What every kind of run has, as it is stored, listed and shown."""
        ceilings = [each for each in (self.max_iterations, self.budget.max_iterations) if each is not None]
        return {
            "kind": str(kind),
            "mode": self.mode,
            "runtime_profile": str(profile),
            "repo": None if self.repo == "local" else self.repo,
            "ref": self.ref,
            "orchestrator_model": self.orchestrator_model,
            "subagent_model": self.subagent_model,
            "budget": self.budget.model_dump(exclude_none=True),
            "max_iterations": min(ceilings, default=None),
            "timeout_seconds": self.timeout_seconds,
            "scope": self.scope.model_dump(),
            "approval": self.approval.model_dump(),
            "policy_pack": self.policy_pack,
            "context_files": [each.model_dump() for each in self.context_files],
            "spec_id": self.spec_id,
            "spec_hash": self.spec_hash,
            "spec_binding_mode": self.spec_binding_mode,
            "parent_run_id": self.parent_run_id,
            "work_item_id": self.work_item_id,
            "labels": dict(self.labels),
            **({"question": self.question} if kind is RunKind.EXTERNAL and self.question else {}),
            **({"response_format": self.response_format} if self.response_format else {}),
            **(
                {"additional_system_prompt": self.additional_system_prompt}
                if self.additional_system_prompt
                else {}
            ),
        }

    def _command(self, fields: CommandFields) -> CommandRequest:
        """A run whose own time is not given has enough for its command. Raises InvalidRequest."""
        spec = command_spec(fields.model_dump(exclude_none=True))
        told = "timeout_seconds" in self.model_fields_set
        enough = min(spec.timeout_seconds + AROUND_A_COMMAND, 14_400)
        return CommandRequest(spec, self.timeout_seconds if told else max(self.timeout_seconds, enough))

    def _work(self, kind: RunKind) -> WorkRequest:
        terms = self.benchmark or BenchmarkSpec.model_construct()
        kubeconfig = self.kubeconfig
        return WorkRequest(
            kind=kind,
            question=self.question,
            model=self.orchestrator_model,
            backend_type=self.backend_type,
            backend_url=self.backend_url,
            backend_warmup=self.backend_warmup,
            backend_warmup_timeout=self.backend_warmup_timeout,
            kubeconfig=json.dumps(kubeconfig) if isinstance(kubeconfig, dict) else kubeconfig,
            agent=self.agent,
            timeout_seconds=self.timeout_seconds,
            max_cost_usd=self.budget.max_cost_usd,
            approval=self.approval.model_dump(),
            chain=_chain(self.chain) if kind is RunKind.CHAIN and self.chain is not None else None,
            vastai=terms.vastai,
            terms=RentalTerms(
                template_hash=terms.template_hash,
                min_dph=terms.min_dph,
                max_dph=terms.max_dph,
                reliability=terms.reliability,
                stop_instance=terms.vastai_stop_instance,
                vram_mb=terms.vram_mb,
            ),
        )


def parse_create_run(body: JsonObject) -> tuple[NewRun, tuple[str, ...]]:
    """The request, and the dotted names of what has no meaning in it. Raises InvalidRequest and its kinds."""
    found = parsed(CreateRun, body.members, synonyms=SYNONYMS)
    kind = _kind(found.value.kind, body.members)
    return found.value.new_run(kind), found.ignored


def _kind(named: str | None, members: Mapping[str, Any]) -> RunKind:
    kind = inferred_kind(members) if named is None else RunKind(named)
    if kind is None or kind not in CREATED_HERE:
        raise InvalidRequest(FieldProblem("kind", "missing", "is required"))
    return kind


def _chain(given: Mapping[str, Any]) -> ChainSpec | None:
    """Raises InvalidRequest for what is no chain that could be carried out."""
    fields = {name: given[name] for name in ("steps", "context", "on_failure") if name in given}
    try:
        request, _ = SubmitChain.parse(JsonObject(fields, ""))
    except InvalidRequest as exc:
        named = [FieldProblem(f"chain.{each.field}", each.code, each.message) for each in exc.problems]
        raise InvalidRequest(*named) from None
    return request.chain


def _is_repository(text: str, kind: RunKind) -> bool:
    if _ADDRESS.search(text):
        return False
    return kind is RunKind.EXTERNAL or text == "local" or _REPOSITORY.fullmatch(text) is not None
