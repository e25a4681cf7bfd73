"""Frames of `runtime.terminal.v1`, each at most 32 000 bytes as text (runs-api.md 5.1, 5.2)."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from rune_common.domain.json_fields import text
from rune_common.domain.output_chunks import MAX_ESCAPED_BYTES, escaped_size

MAX_FRAME_BYTES = 32_000
MAX_COMMAND_CHARACTERS = 2_000

Frame = dict[str, Any]


def frame_text(frame: Mapping[str, Any]) -> str:
    return json.dumps(frame, ensure_ascii=False, separators=(",", ":"))


def error(code: str, message: str, close_code: int | None = None) -> Frame:
    closing = {} if close_code is None else {"close_code": close_code}
    return {"type": "error", "code": code, "message": message, **closing}


def chunk_frame(seq: int, event: Mapping[str, Any], payload: Mapping[str, Any]) -> Frame:
    """Output that would be too large as text is sent as base64, whatever form the log has it in."""
    data, encoding = payload.get("data"), payload.get("encoding")
    if not isinstance(data, str):
        return {"type": "gap", "from_seq": seq, "to_seq": seq, "reason": "artifact"}
    if encoding == "utf8" and escaped_size(data) > MAX_ESCAPED_BYTES:
        data, encoding = base64.b64encode(data.encode()).decode(), "base64"
    return {
        "type": "chunk",
        "seq": seq,
        "ts": event.get("ts"),
        "stream": payload.get("stream"),
        "step_id": payload.get("step_id"),
        "encoding": encoding,
        "data": data,
        "offset": payload.get("offset"),
    }


def step_frame(
    step_id: str, command: str | None, event: Mapping[str, Any], payload: Mapping[str, Any]
) -> Frame:
    running = event.get("type") == "step_started"
    if command is not None and len(command) > MAX_COMMAND_CHARACTERS:
        command = command[: MAX_COMMAND_CHARACTERS - 1] + "…"
    return {
        "type": "step",
        "step_id": step_id,
        "command": command,
        "state": "running" if running else text(payload, "state"),
        "exit_code": payload.get("exit_code"),
        "duration_ms": None if running else event.get("duration_ms"),
    }
