"""Tool results as an agent hands them back, taken out of what the agent wraps around them.

HolmesGPT writes `Params used for the tool call: {…}. The tool call output follows on the next line.`, then
`tool_call_metadata={…}` and, glued to it, the error text of a failed call and the output. A shell command's
output begins with the command itself.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rune.sandbox.ollama.conversation import Message, ToolCall
from rune.sandbox.ollama.kubectl_text import json_object

MAX_REASON_CHARS = 300
PARAMS = "Params used for the tool call: "
METADATA = "tool_call_metadata="
FAILED = re.compile(r"([^\n]+):(?:\n\n|\s*$)")
"""A failed call's error text: the first line, ended by a colon and a blank line."""

UNREACHABLE = re.compile(
    r"refused|forbidden|timed? ?out|unauthorized|must be logged in|no such host|unable to connect"
    r"|handshake|certificate|rejected|denied|blocked|not approved|requires approval|not allowed",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class ToolResult:
    """One finished call. `output` is what the tool printed; `error` says why it failed, if it did."""

    call: ToolCall
    output: str
    error: str | None = None

    @property
    def command(self) -> list[str]:
        """The words of a shell call's command, empty for other tools and for text no shell would read."""
        try:
            return shlex.split(str(self.call.arguments.get("command") or ""))
        except ValueError:
            return []

    def option(self, *names: str) -> str | None:
        """The value of a command-line option, whichever way it is written."""
        words = self.command
        for word, following in zip(words, [*words[1:], ""], strict=True):
            if word in names:
                return following
            for name in names:
                if name.startswith("--") and word.startswith(f"{name}="):
                    return word.partition("=")[2]
        return None

    def obstacle(self) -> str | None:
        """The line that says the cluster could not be asked, for a result that shows nothing else."""
        printed = (json_object(self.output) or {}).get("stderr") or self.output
        lines = [self.error or "", *str(printed).splitlines()]
        telling = [line.strip() for line in lines if line.strip() and UNREACHABLE.search(line)]
        specific = [line for line in telling if not line.startswith("Error: Command")]
        return next((line[:MAX_REASON_CHARS] for line in specific or telling), None)


def tool_results(messages: tuple[Message, ...]) -> list[ToolResult]:
    """Results in order; each belongs to the call at its place, but parameters it states win."""
    results: list[ToolResult] = []
    waiting: Iterator[ToolCall] = iter(())
    for message in messages:
        if message.role == "assistant" and message.tool_calls:
            waiting = iter(message.tool_calls)
        elif message.role == "tool":
            results.append(unwrap(message.text, next(waiting, ToolCall("unknown"))))
    return results


def unwrap(text: str, call: ToolCall) -> ToolResult:
    """Take one result out of its wrapping; text without any is the output as it stands."""
    decoder = json.JSONDecoder()
    arguments: dict[str, Any] = dict(call.arguments)
    name = call.name
    if text.startswith(PARAMS):
        stated, end = _decoded(decoder, text, len(PARAMS))
        arguments = stated or arguments
        text = text[end:].partition("\n")[2] if stated else text
    if text.startswith(METADATA):
        metadata, end = _decoded(decoder, text, len(METADATA))
        name = str(metadata.get("tool_name", name)) if metadata else name
        text = text[end:]
    error = None
    if failed := FAILED.match(text):
        error, text = failed.group(1), text[failed.end() :]
    command = str(arguments.get("command") or "")
    if command and text.startswith(command):
        text = text[len(command) :].lstrip("\n")
    return ToolResult(ToolCall(name, arguments), text, error)


def _decoded(decoder: json.JSONDecoder, text: str, start: int) -> tuple[dict[str, Any], int]:
    try:
        value, end = decoder.raw_decode(text, start)
    except ValueError:
        return {}, start
    return (value, end) if isinstance(value, dict) else ({}, end)
