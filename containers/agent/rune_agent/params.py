"""The parameters of `ask`: names, ranges, defaults (holmes-driver.md 2.3). Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from rune_agent import modelmap
from rune_agent.problems import AgentProblem

Json = dict[str, Any]

MAX_QUESTION = 100_000
MAX_MODEL = 128
MAX_URL = 2_048
MAX_PROMPT_ADDITION = 20_000


@dataclass(frozen=True, slots=True)
class AskParams:
    """One `ask`. `kubeconfig` is the document itself, already read; None when no cluster was named."""

    question: str
    model: str
    backend_type: str = "ollama"
    backend_url: str | None = None
    llm_args: Json | None = None
    kubeconfig: str | None = None
    require_cluster: bool = False
    context_window: int | None = None
    max_output_tokens: int | None = None
    max_steps: int = 40
    timeout_seconds: float = 900.0
    llm_timeout_seconds: float = 300.0
    backend_warmup: bool = True
    backend_warmup_timeout: float = 90.0
    pull: bool = False
    response_format: Json | None = None
    images: tuple[Any, ...] = ()
    behavior_controls: Json | None = None
    additional_system_prompt: str | None = None
    conversation_history: tuple[Json, ...] = ()
    tool_approval: str = "deny"
    resume_state: Json | None = None
    tool_decisions: tuple[Json, ...] = ()
    carry: Json | None = None
    approval_key: str | None = None
    run_id: str | None = None
    output_dir: str | None = None


# Read under another name, or of use to the caller only.
_READ_APART = frozenset({"kubeconfig_path", "enable_tool_approval"})
# References that the worker resolves before it starts the driver; here they would point to nothing.
_RESOLVED_BEFORE = frozenset({"kubeconfig_ref", "conversation_handle", "resume_ref"})


def parse(params: Mapping[str, Any], *, default_timeout: float) -> tuple[AskParams, list[str]]:
    """Returns the parameters and the names of those ignored. Raises AgentProblem `bad_request`."""
    for name in _RESOLVED_BEFORE:
        if params.get(name) is not None:
            raise AgentProblem("bad_request", f"{name} must be resolved before the driver is started")
    reader = _Reader(params)
    resume = reader.mapping("resume_state")
    decisions = reader.mappings("tool_decisions")
    if bool(resume) != bool(decisions):
        raise AgentProblem("approval_not_pending", "tool decisions and the state to resume belong together")
    kind = modelmap.backend(params.get("backend_type") or "ollama")
    url = reader.text("backend_url", MAX_URL)
    if kind in modelmap.BACKENDS_WITH_URL and url is None:
        raise AgentProblem("bad_request", "backend_url is missing")
    question = reader.text("question", MAX_QUESTION) or ""
    if not question.strip() and not resume:
        raise AgentProblem("bad_request", "question is missing")
    model = reader.text("model", MAX_MODEL)
    if model is None:
        raise AgentProblem("bad_request", "model is missing")
    known = {field.name for field in fields(AskParams)} | _READ_APART | _RESOLVED_BEFORE
    return (
        AskParams(
            question=question,
            model=model,
            backend_type=kind,
            backend_url=url,
            llm_args=reader.mapping("llm_args"),
            kubeconfig=_kubeconfig(params),
            require_cluster=reader.flag("require_cluster", False),
            context_window=reader.whole("context_window", 1, 10_000_000),
            max_output_tokens=reader.whole("max_output_tokens", 1, 1_000_000),
            max_steps=reader.whole("max_steps", 1, 100) or 40,
            timeout_seconds=reader.number("timeout_seconds", 10, 3_600, default_timeout),
            llm_timeout_seconds=reader.number("llm_timeout_seconds", 5, 600, 300.0),
            backend_warmup=reader.flag("backend_warmup", True),
            backend_warmup_timeout=reader.number("backend_warmup_timeout", 1, 3_600, 90.0),
            pull=reader.flag("pull", False),
            response_format=reader.mapping("response_format"),
            images=reader.sequence("images"),
            behavior_controls=reader.mapping("behavior_controls"),
            additional_system_prompt=reader.text("additional_system_prompt", MAX_PROMPT_ADDITION),
            conversation_history=reader.mappings("conversation_history"),
            tool_approval=_approval(params),
            resume_state=resume,
            tool_decisions=decisions,
            carry=reader.mapping("carry"),
            approval_key=reader.text("approval_key", 1_024),
            run_id=reader.text("run_id", 256),
            output_dir=reader.text("output_dir", 4_096),
        ),
        sorted(str(name)[:64] for name in params if name not in known),
    )


def _approval(params: Mapping[str, Any]) -> str:
    chosen = params.get("tool_approval")
    if chosen is None:
        chosen = "pause" if params.get("enable_tool_approval") is True else "deny"
    if chosen not in ("deny", "pause"):
        raise AgentProblem("bad_request", "tool_approval is neither deny nor pause")
    return str(chosen)


def _kubeconfig(params: Mapping[str, Any]) -> str | None:
    """The document: a value with a line break or beginning with `{` is one, anything else is a path."""
    value = params.get("kubeconfig") or params.get("kubeconfig_path")
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise AgentProblem("bad_request", "kubeconfig is not a string")
    if "\n" in value or value.lstrip().startswith("{"):
        return value
    try:
        return Path(value).read_text(encoding="utf-8")
    except (OSError, ValueError) as exc:
        raise AgentProblem("kubeconfig_invalid", "the kubeconfig cannot be read") from exc


@dataclass(frozen=True, slots=True)
class _Reader:
    """Takes typed values; absent and null are the same."""

    params: Mapping[str, Any]

    def text(self, name: str, longest: int) -> str | None:
        value = self.params.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str) or len(value) > longest:
            raise AgentProblem("bad_request", f"{name} is not a string of at most {longest} characters")
        return value

    def flag(self, name: str, default: bool) -> bool:
        value = self.params.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise AgentProblem("bad_request", f"{name} is not a boolean")
        return value

    def number(self, name: str, least: float, most: float, default: float) -> float:
        value = self.params.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise AgentProblem("bad_request", f"{name} is not a number from {least} to {most}")
        return float(value)

    def whole(self, name: str, least: int, most: int) -> int | None:
        value = self.params.get(name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise AgentProblem("bad_request", f"{name} is not a whole number")
        return None if value is None else int(self.number(name, least, most, 0.0))

    def mapping(self, name: str) -> Json | None:
        value = self.params.get(name)
        if value is not None and not isinstance(value, dict):
            raise AgentProblem("bad_request", f"{name} is not an object")
        return value or None

    def sequence(self, name: str) -> tuple[Any, ...]:
        value = self.params.get(name)
        if value is not None and not isinstance(value, list):
            raise AgentProblem("bad_request", f"{name} is not a list")
        return tuple(value or ())

    def mappings(self, name: str) -> tuple[Json, ...]:
        values = self.sequence(name)
        if not all(isinstance(value, dict) for value in values):
            raise AgentProblem("bad_request", f"{name} is not a list of objects")
        return values
