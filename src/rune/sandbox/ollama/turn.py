"""One step of the model: what it says, calls, or how it fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rune.sandbox.ollama.conversation import ToolCall

FIELDS = frozenset({"content", "thinking", "tool_calls", "delay", "status", "error", "repeat"})


@dataclass(frozen=True, slots=True)
class Turn:
    """`delay` in clock seconds before the answer starts; a `status` other than 200 answers `error` instead.

    `repeat` is how many steps in a row the turn serves; None means for ever.
    """

    content: str = ""
    thinking: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    delay: float = 0.0
    status: int = 200
    error: str | None = None
    repeat: int | None = 1

    @classmethod
    def parse(cls, spec: Mapping[str, Any]) -> Turn:
        """From a scenario file; ValueError names the field that is wrong."""
        if unknown := spec.keys() - FIELDS:
            raise ValueError(f"a turn has no field {', '.join(sorted(map(str, unknown)))}")
        status = int(spec.get("status", 200))
        error = spec.get("error")
        repeat = spec.get("repeat", 1)
        return cls(
            content=str(spec.get("content", "")),
            thinking=str(spec.get("thinking", "")),
            tool_calls=tuple(_call(c) for c in spec.get("tool_calls", [])),
            delay=float(spec.get("delay", 0)),
            status=status if error is None or status != 200 else 500,
            error=None if error is None else str(error),
            repeat=None if repeat is True else int(repeat),
        )


def _call(spec: Any) -> ToolCall:
    name = spec.get("name") if isinstance(spec, Mapping) else None
    if not name:
        raise ValueError("a tool call needs a name")
    return ToolCall(str(name), dict(spec.get("arguments") or {}))
