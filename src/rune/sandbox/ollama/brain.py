"""The model behind both dialects: window, then script or diagnostician, then the wanted format."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from rune.sandbox.ollama.conversation import Chat
from rune.sandbox.ollama.diagnostician import diagnose
from rune.sandbox.ollama.reading import known_report
from rune.sandbox.ollama.scenarios import Scenarios, scripted_turn
from rune.sandbox.ollama.schema_fill import fill
from rune.sandbox.ollama.turn import Turn
from rune.sandbox.ollama.window import CHARS_PER_TOKEN, calls_tokens, fit, text_tokens

LOST = Turn("I am not sure what this text is about. Could you tell me what you would like me to do?")
"""What a model says whose instructions were dropped from the front of the window."""


@dataclass(frozen=True, slots=True)
class Thought:
    """A turn with its costs in tokens; `cut` when the output limit ended it, `dropped` messages unseen."""

    turn: Turn
    prompt_tokens: int
    output_tokens: int
    cut: bool = False
    dropped: int = 0


def think(chat: Chat, num_ctx: int, scenarios: Scenarios, *, limit: int | None = None) -> Thought:
    """The next turn of a conversation as a model with this window sees it; UnknownScenario for a bad marker.

    `limit` is the most tokens of output; None or less than one means no limit.
    """
    seen = fit(chat, num_ctx)
    turn = LOST if seen.dropped else scripted_turn(seen.chat, scenarios) or _own(seen.chat)
    if chat.format is not None and turn.status == 200:
        turn = _formatted(turn, seen.chat)
    cut = limit is not None and 0 < limit < text_tokens(turn.content)
    if cut and limit is not None:
        turn = replace(turn, content=turn.content[: limit * CHARS_PER_TOKEN])
    output = text_tokens(turn.thinking) + text_tokens(turn.content) + calls_tokens(turn.tool_calls)
    return Thought(turn, seen.tokens, max(1, output), cut, seen.dropped)


def _own(chat: Chat) -> Turn:
    return Turn() if chat.format is not None else diagnose(chat)


def _formatted(turn: Turn, chat: Chat) -> Turn:
    """A grammar binds every token to the format, so a tool call cannot come out any more."""
    try:
        fits = isinstance(json.loads(turn.content), dict)
    except ValueError:
        fits = False
    return replace(
        turn,
        content=turn.content if fits else fill(chat.format, known_report(chat)),
        tool_calls=(),
    )
