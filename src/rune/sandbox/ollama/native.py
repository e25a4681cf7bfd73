"""The server's own dialect: how turns, models and progress are written under `/api`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from rune.sandbox.ollama.brain import Thought
from rune.sandbox.ollama.conversation import ToolCall
from rune.sandbox.ollama.models import LoadCount, Loaded, Model, timestamp

NANOSECONDS = 1_000_000_000
LOAD_NS = NANOSECONDS
PROMPT_NS_PER_TOKEN = 500_000
OUTPUT_NS_PER_TOKEN = 20_000_000
PIECE_CHARS = 24
TEMPLATE = "{{ if .System }}{{ .System }}{{ end }}{{ range .Messages }}{{ .Role }}: {{ .Content }}{{ end }}"


def ndjson(objects: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    for obj in objects:
        yield json.dumps(obj, ensure_ascii=False).encode() + b"\n"


def model_row(model: Model, installed_at: float) -> dict[str, Any]:
    """A row of `/api/tags`."""
    return {
        "name": model.name,
        "model": model.name,
        "modified_at": timestamp(installed_at),
        "size": model.size,
        "digest": model.digest,
        "details": model.details(),
    }


def loaded_row(held: Loaded) -> dict[str, Any]:
    """A row of `/api/ps`."""
    model = held.model
    return {
        "name": model.name,
        "model": model.name,
        "size": model.size,
        "digest": model.digest,
        "details": model.details(),
        "expires_at": timestamp(held.expires_at),
        "size_vram": model.size,
        "context_length": held.num_ctx,
    }


def shown(model: Model, installed_at: float) -> dict[str, Any]:
    """The answer of `/api/show`."""
    return {
        "license": "",
        "modelfile": f"FROM {model.name}\n",
        "parameters": 'stop "<|eot_id|>"\ntemperature 0.2',
        "template": TEMPLATE,
        "details": model.details(),
        "model_info": {
            "general.architecture": model.family,
            "general.basename": model.name.partition(":")[0],
            "general.parameter_count": int(float(model.parameter_size.removesuffix("B")) * 1e9),
            f"{model.family}.context_length": model.context_length,
            f"{model.family}.embedding_length": 4096,
        },
        "capabilities": list(model.capabilities),
        "modified_at": timestamp(installed_at),
    }


def pull_progress(model: Model) -> Iterator[dict[str, Any]]:
    """What `/api/pull` streams: manifest, layers in steps, verification, success."""
    yield {"status": "pulling manifest"}
    for digest, total in ((model.digest, model.size), (model.digest[::-1], 1_482)):
        layer = {
            "status": f"pulling {digest[:12]}",
            "digest": f"sha256:{digest}",
            "total": total,
        }
        yield layer
        for quarter in range(1, 5):
            yield {**layer, "completed": total * quarter // 4}
    yield {"status": "verifying sha256 digest"}
    yield {"status": "writing manifest"}
    yield {"status": "success"}


def tool_calls(calls: Iterable[ToolCall]) -> list[dict[str, Any]]:
    """Calls with argument objects and without ids."""
    return [{"function": {"name": c.name, "arguments": dict(c.arguments)}} for c in calls]


def statistics(thought: Thought, loaded_now: bool) -> dict[str, Any]:
    """Counts and nanosecond durations of the last chunk."""
    load = LOAD_NS if loaded_now else LOAD_NS // 100
    prompt = thought.prompt_tokens * PROMPT_NS_PER_TOKEN
    output = thought.output_tokens * OUTPUT_NS_PER_TOKEN
    return {
        "done": True,
        "done_reason": "length" if thought.cut else "stop",
        "total_duration": load + prompt + output,
        "load_duration": load,
        "prompt_eval_count": thought.prompt_tokens,
        "prompt_eval_duration": prompt,
        "eval_count": thought.output_tokens,
        "eval_duration": output,
    }


def chat_whole(head: dict[str, Any], thought: Thought, loaded_now: bool) -> dict[str, Any]:
    turn = thought.turn
    message: dict[str, Any] = {"role": "assistant", "content": turn.content}
    if turn.thinking:
        message["thinking"] = turn.thinking
    if turn.tool_calls:
        message["tool_calls"] = tool_calls(turn.tool_calls)
    return {**head, "message": message, **statistics(thought, loaded_now)}


def chat_pieces(head: dict[str, Any], thought: Thought, loaded_now: bool) -> Iterator[dict[str, Any]]:
    turn = thought.turn

    def chunk(**message: Any) -> dict[str, Any]:
        return {
            **head,
            "message": {"role": "assistant", "content": "", **message},
            "done": False,
        }

    for piece in pieces(turn.thinking):
        yield chunk(thinking=piece)
    for piece in pieces(turn.content):
        yield chunk(content=piece)
    if turn.tool_calls:
        yield chunk(tool_calls=tool_calls(turn.tool_calls))
    yield {
        **head,
        "message": {"role": "assistant", "content": ""},
        **statistics(thought, loaded_now),
    }


def generated(
    head: dict[str, Any], thought: Thought, loaded_now: bool, stream: bool
) -> Iterator[dict[str, Any]]:
    text = thought.turn.content
    if stream:
        yield from ({**head, "response": piece, "done": False} for piece in pieces(text))
        text = ""
    yield {**head, "response": text, "context": [], **statistics(thought, loaded_now)}


def pieces(text: str) -> Iterator[str]:
    for start in range(0, len(text), PIECE_CHARS):
        yield text[start : start + PIECE_CHARS]


def counted(counts: dict[str, LoadCount]) -> dict[str, dict[str, int]]:
    return {name: {"loads": c.loads, "reloads": c.reloads} for name, c in counts.items()}
