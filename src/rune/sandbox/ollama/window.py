"""The context window: estimated tokens, and what does not fit dropped in silence (holmes-driver.md 6.1)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace

from rune.sandbox.ollama.conversation import Chat, Message, Tool, ToolCall

CHARS_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 4


@dataclass(frozen=True, slots=True)
class Seen:
    """What is left of a request inside the window: `dropped` messages are gone from the front."""

    chat: Chat
    tokens: int
    dropped: int


def text_tokens(text: str) -> int:
    """About one token for four characters; on the low side for tables and JSON."""
    return -(-len(text) // CHARS_PER_TOKEN)


def calls_tokens(calls: Iterable[ToolCall]) -> int:
    return sum(text_tokens(c.name + json.dumps(dict(c.arguments))) for c in calls)


def message_tokens(message: Message) -> int:
    return TOKENS_PER_MESSAGE + text_tokens(message.text) + calls_tokens(message.tool_calls)


def tool_tokens(tools: Iterable[Tool]) -> int:
    return sum(text_tokens(t.name + json.dumps(dict(t.properties))) for t in tools)


def fit(chat: Chat, num_ctx: int) -> Seen:
    """Drop messages from the front until prompt and tools fit; the last message always stays."""
    fixed = tool_tokens(chat.offered.values())
    sizes = [message_tokens(m) for m in chat.messages]
    dropped = 0
    while fixed + sum(sizes[dropped:]) > num_ctx and dropped < len(sizes) - 1:
        dropped += 1
    tokens = min(fixed + sum(sizes[dropped:]), num_ctx)
    return Seen(replace(chat, messages=chat.messages[dropped:]), tokens, dropped)
