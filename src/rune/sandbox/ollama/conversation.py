"""A chat request reduced to what a model sees: messages, tools, wanted format. Both dialects end up here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


class BadChat(ValueError):
    """The request is no chat request; the text is the server's error message."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call the model makes: the tool's name and its arguments by name."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Message:
    """One message: role `system`, `user`, `assistant` or `tool`; `text` joins the text parts."""

    role: str
    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class Tool:
    """An offered tool: `properties` are JSON schemas by argument name, in the order offered."""

    name: str
    properties: Mapping[str, Any]
    required: tuple[str, ...]

    def call(self, **known: Any) -> ToolCall:
        """A call with every known argument the tool has; a required one that is not known becomes null."""
        given = {name: known.get(name) for name in self.properties if name in known or name in self.required}
        return ToolCall(self.name, given)


@dataclass(frozen=True, slots=True)
class Chat:
    """One request: `format` is None, `"json"` or a JSON schema; `offered` the tools by name."""

    messages: tuple[Message, ...]
    offered: Mapping[str, Tool] = field(default_factory=dict)
    format: Any = None

    def question(self) -> str:
        """The last user message, empty when there is none."""
        return next((m.text for m in reversed(self.messages) if m.role == "user"), "")

    def since_question(self) -> tuple[Message, ...]:
        """Everything after the last user message."""
        users = [index for index, m in enumerate(self.messages) if m.role == "user"]
        return self.messages[users[-1] + 1 :] if users else self.messages


def parse_chat(body: Mapping[str, Any], *, format: Any) -> Chat:
    """Read `messages` and `tools` of either dialect; BadChat when they are not what they should be."""
    raw = body.get("messages") or []
    if not isinstance(raw, list) or not all(isinstance(m, dict) for m in raw):
        raise BadChat("messages must be a list of objects")
    tools = [_tool(t) for t in body.get("tools") or []]
    return Chat(tuple(_message(m) for m in raw), {t.name: t for t in tools}, format or None)


def _message(raw: Mapping[str, Any]) -> Message:
    calls = tuple(_call(c) for c in raw.get("tool_calls") or [])
    return Message(str(raw.get("role", "")), _text(raw.get("content")), calls)


def _text(content: Any) -> str:
    if isinstance(content, Sequence) and not isinstance(content, str):
        return "\n".join(str(p.get("text", "")) for p in content if isinstance(p, dict) and "text" in p)
    return content if isinstance(content, str) else ""


def _call(raw: Any) -> ToolCall:
    function = raw.get("function") if isinstance(raw, dict) else None
    if not isinstance(function, dict):
        raise BadChat("a tool call needs a function")
    arguments = function.get("arguments") or {}
    if isinstance(arguments, str):
        arguments = json.loads(arguments)
    if not isinstance(arguments, dict):
        raise BadChat("tool call arguments must be an object")
    return ToolCall(str(function.get("name", "")), arguments)


def _tool(raw: Any) -> Tool:
    function = raw.get("function") if isinstance(raw, dict) else None
    if not isinstance(function, dict) or not function.get("name"):
        raise BadChat("a tool needs a function with a name")
    parameters = function.get("parameters") or {}
    return Tool(
        str(function["name"]),
        parameters.get("properties") or {},
        tuple(parameters.get("required") or ()),
    )
