"""
An answer in the caller's JSON schema (holmes-driver.md 4.8).

Ollama gets the schema in a call of its own, without tools, after the investigation: a self-hosted server
given a format together with tools never calls a tool and invents an answer.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rune_agent.answer import parsed_json
from rune_agent.order import Order
from rune_agent.problems import AgentProblem

Ask = Callable[[list[dict[str, Any]]], str]

_INSTRUCTION = (
    "Turn the following answer of an investigation into one JSON document. Use only what the answer says. "
    "Reply with the JSON alone."
)


@dataclass(frozen=True, slots=True)
class StructuredAnswer:
    text: str
    data: Any
    valid: bool


def structured_answer(
    order: Order, ask: Ask, answer: str, warn: Callable[[str, str], None]
) -> StructuredAnswer | None:
    """
    The answer as asked for by `response_format`; None when nothing was asked. `ask` makes one call with
    these messages and the format. Invalid twice and `strict`:
    raises AgentProblem `structured_output_invalid`.
    """
    if not order.response_format:
        return None
    wanted = _Format.of(order.response_format)
    text = answer if order.backend_type != "ollama" else ask([_user(f"{_INSTRUCTION}\n\n{answer}")])
    problem = wanted.problem(text)
    if problem:
        correction = f"This is not valid: {problem}. Reply with the corrected JSON alone."
        messages = [
            _user(f"{_INSTRUCTION}\n\n{answer}"),
            {"role": "assistant", "content": text},
            _user(correction),
        ]
        text = ask(messages)
        problem = wanted.problem(text)
        if not problem:
            warn("structured_repaired", "the JSON answer was repaired")
    if problem and wanted.strict:
        raise AgentProblem("structured_output_invalid", "the answer does not fit the requested format")
    if problem:
        return StructuredAnswer(text, None, False)
    data = parsed_json(text)
    return StructuredAnswer(json.dumps(data, ensure_ascii=False), data, True)


@dataclass(frozen=True, slots=True)
class _Format:
    schema: Any
    strict: bool

    @classmethod
    def of(cls, response_format: dict[str, Any]) -> _Format:
        described = response_format.get("json_schema") or {}
        schema = (
            described.get("schema") if response_format.get("type") == "json_schema" else {"type": "object"}
        )
        return cls(schema or {"type": "object"}, described.get("strict") is True)

    def problem(self, text: str) -> str:
        """Why `text` does not fit, or an empty string."""
        try:
            document = parsed_json(text)
        except (ValueError, RecursionError):
            return "it is not JSON"
        jsonschema = importlib.import_module("jsonschema")
        error = jsonschema.exceptions.best_match(
            jsonschema.validators.validator_for(self.schema)(self.schema).iter_errors(document)
        )
        return "" if error is None else f"{error.json_path}: {error.message[:300]}"


def _user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}
