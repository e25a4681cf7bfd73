"""The final text of an investigation: cleaned, and recognised when it is no answer (holmes-driver.md 2.5)."""

from __future__ import annotations

import json
import re
from collections.abc import Container
from typing import Any

_THINKING = re.compile(r"^\s*<think>.*?</think>", re.DOTALL | re.IGNORECASE)
_FENCED = re.compile(r"^```[a-zA-Z]*\n(.*)\n```$", re.DOTALL)


def clean_answer(content: Any) -> str:
    """The final text only, without the model's thinking; empty when there is none."""
    if isinstance(content, list):
        parts = [part.get("text", "") for part in content if isinstance(part, dict)]
        content = "".join(part for part in parts if isinstance(part, str))
    return _THINKING.sub("", content).strip() if isinstance(content, str) else ""


def parsed_json(text: str) -> Any:
    """The JSON value that `text` is, alone or in a code fence. Raises ValueError."""
    fenced = _FENCED.match(text.strip())
    return json.loads(fenced.group(1) if fenced else text)


def tool_call_in_text(answer: str, tools: Container[str]) -> bool:
    """Whether the whole answer is a JSON call of one of `tools`."""
    try:
        document = parsed_json(answer)
    except (ValueError, RecursionError):
        return False
    if isinstance(document, list) and len(document) == 1:
        document = document[0]
    if not isinstance(document, dict):
        return False
    inner = document.get("function")
    call = inner if isinstance(inner, dict) else document
    name = call.get("name") or call.get("tool") or call.get("tool_name")
    return isinstance(name, str) and name in tools
