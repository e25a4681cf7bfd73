"""The OpenAI-compatible dialect under `/v1`: string arguments, call ids, `usage`, server-sent events."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from rune.sandbox.ollama.brain import Thought
from rune.sandbox.ollama.models import Model
from rune.sandbox.ollama.native import pieces

FORMAT_KEYS = {"json_object": "json"}


def wanted_format(body: Mapping[str, Any]) -> Any:
    """`response_format` as the server's own `format`: None, `"json"` or a schema."""
    given = body.get("response_format") or {}
    if given.get("type") == "json_schema":
        return (given.get("json_schema") or {}).get("schema") or "json"
    return FORMAT_KEYS.get(given.get("type", ""))


def model_row(model: Model, installed_at: float) -> dict[str, Any]:
    return {
        "id": model.name,
        "object": "model",
        "created": int(installed_at),
        "owned_by": "library",
    }


def error(status: int, message: str) -> dict[str, Any]:
    kind = {
        401: "authentication_error",
        404: "not_found_error",
        429: "rate_limit_error",
        400: "invalid_request_error",
    }
    detail = {
        "message": message,
        "type": kind.get(status, "api_error"),
        "param": None,
        "code": None,
    }
    return {"error": detail}


def completion(model: str, thought: Thought, created: float) -> dict[str, Any]:
    turn = thought.turn
    message: dict[str, Any] = {"role": "assistant", "content": turn.content}
    if turn.thinking:
        message["reasoning"] = turn.thinking
    if turn.tool_calls:
        message["tool_calls"] = _tool_calls(thought)
    choice = {"index": 0, "message": message, "finish_reason": _finish(thought)}
    return {
        **_head(model, thought, created, "chat.completion"),
        "choices": [choice],
        "usage": _usage(thought),
    }


def events(model: str, thought: Thought, created: float, *, with_usage: bool) -> Iterator[bytes]:
    """The same as server-sent events, `[DONE]` last; usage comes in a chunk of its own when asked for."""
    head = _head(model, thought, created, "chat.completion.chunk")

    def event(delta: dict[str, Any], finish: str | None = None) -> bytes:
        return _sse({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    yield event({"role": "assistant", "content": ""})
    for piece in pieces(thought.turn.thinking):
        yield event({"reasoning": piece})
    for piece in pieces(thought.turn.content):
        yield event({"content": piece})
    if thought.turn.tool_calls:
        yield event({"tool_calls": [{"index": n, **c} for n, c in enumerate(_tool_calls(thought))]})
    yield event({}, _finish(thought))
    if with_usage:
        yield _sse({**head, "choices": [], "usage": _usage(thought)})
    yield b"data: [DONE]\n\n"


def _head(model: str, thought: Thought, created: float, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{_digest(thought, created)}",
        "object": kind,
        "created": int(created),
        "model": model,
        "system_fingerprint": "fp_ollama",
    }


def _tool_calls(thought: Thought) -> list[dict[str, Any]]:
    """Ids tell a call from equal ones in other turns, because the prompt only ever grows."""
    return [
        {
            "id": f"call_{_digest(thought, n)}",
            "type": "function",
            "function": {
                "name": call.name,
                "arguments": json.dumps(dict(call.arguments), ensure_ascii=False),
            },
        }
        for n, call in enumerate(thought.turn.tool_calls)
    ]


def _digest(thought: Thought, salt: float) -> str:
    return hashlib.sha256(f"{thought.prompt_tokens}:{salt}:{thought.turn}".encode()).hexdigest()[:12]


def _finish(thought: Thought) -> str:
    if thought.turn.tool_calls:
        return "tool_calls"
    return "length" if thought.cut else "stop"


def _usage(thought: Thought) -> dict[str, int]:
    prompt, output = thought.prompt_tokens, thought.output_tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
    }


def _sse(obj: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(obj, ensure_ascii=False).encode() + b"\n\n"
