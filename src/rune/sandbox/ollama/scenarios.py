"""Scripted conversations, picked by a `[[name]]` marker in the last user message (holmes-driver.md 6.1).

Stateless: the step is the number of assistant messages after that user message. `[[slow:20]]` gives the
scripted delays another length in seconds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from rune.sandbox.ollama.conversation import Chat, ToolCall
from rune.sandbox.ollama.turn import Turn

MARKER = re.compile(r"\[\[([a-z][a-z0-9_]*)(?::([0-9]+(?:\.[0-9]+)?))?\]\]")

Scenarios = Mapping[str, tuple[Turn, ...]]


def _bash(command: str, *prefixes: str) -> ToolCall:
    return ToolCall(
        "bash",
        {"command": command, "suggested_prefixes": list(prefixes), "timeout": 30},
    )


DELETE = _bash("kubectl delete pod -n shop -l app=cart --wait=false", "kubectl delete")
PODS = _bash("kubectl get pods -A", "kubectl get")
TABLE = ToolCall(
    "kubernetes_tabular_query",
    {
        "kind": "pods",
        "columns": "NAMESPACE:.metadata.namespace,NAME:.metadata.name,PHASE:.status.phase",
    },
)
TEXT_CALL = '{"name": "bash", "parameters": {"command": "kubectl get pods -A"}}'

BUILT_IN: Scenarios = {
    "plain": (Turn("All is well: nothing needed to be looked up."),),
    "bash": (Turn(tool_calls=(PODS,)), Turn("The pods were listed.")),
    "approve": (
        Turn("One pod must be replaced.", tool_calls=(DELETE,)),
        Turn("The request was settled."),
    ),
    "approve_mixed": (
        Turn("First a look, then a change.", tool_calls=(PODS, DELETE)),
        Turn("The look and the change are settled."),
    ),
    "pods": (Turn(tool_calls=(TABLE,)), Turn("The pods were queried.")),
    "unknown_tool": (
        Turn(tool_calls=(ToolCall("no_such_tool", {"x": 1}),)),
        Turn("That tool does not exist."),
    ),
    "schema": (
        Turn(tool_calls=(PODS,)),
        Turn("The pods were listed; the answer follows the schema."),
    ),
    "slow": (Turn("This took a while.", delay=60.0),),
    "error429": (Turn(status=429, error="too many requests, please slow down"),),
    "error500": (Turn(status=500, error="llama runner process has terminated: exit status 2"),),
    "notfound": (Turn(status=404, error='model "gone:1b" not found, try pulling it first'),),
    "empty": (Turn(""),),
    "texttool": (Turn(TEXT_CALL),),
    "loop": (Turn(tool_calls=(PODS,), repeat=None),),
    "big": (
        Turn(tool_calls=(_bash("kubectl get pods,nodes,events -A -o json", "kubectl get"),)),
        Turn("The whole state was read."),
    ),
    "thinking": (Turn("Forty-two.", thinking="The question asks for a number; forty-two fits."),),
}


class BadScenario(ValueError):
    """A scripted scenario that cannot be read; the text says which and why."""


class UnknownScenario(ValueError):
    """A marker names no scenario."""


def load_scenarios(source: Mapping[str, Any] | Path | str | None) -> Scenarios:
    """The built-in scenarios and those of a YAML file or mapping `{name: [turn, …]}`, which win.

    A single turn may stand without its list. BadScenario says which scenario is wrong.
    """
    if source is None:
        return BUILT_IN
    given: Any = source
    if isinstance(source, Path | str):
        given = yaml.safe_load(Path(source).read_text(encoding="utf-8"))
    if not isinstance(given, Mapping):
        raise BadScenario("scenarios are a mapping of names to turns")
    return {
        **BUILT_IN,
        **{str(name): _turns(str(name), turns) for name, turns in given.items()},
    }


def _turns(name: str, turns: Any) -> tuple[Turn, ...]:
    listed = turns if isinstance(turns, list) else [turns]
    try:
        parsed = tuple(t if isinstance(t, Turn) else Turn.parse(t) for t in listed)
    except (ValueError, TypeError, AttributeError) as exc:
        raise BadScenario(f"scenario {name}: {exc}") from exc
    if not parsed:
        raise BadScenario(f"scenario {name} has no turn")
    return parsed


def scripted_turn(chat: Chat, scenarios: Scenarios) -> Turn | None:
    """The turn the marker asks for, None without a marker; past the end the last turn stays.

    Calls of offered tools are completed: a required argument the script leaves out becomes null.
    """
    found = MARKER.search(chat.question())
    if found is None:
        return None
    name, seconds = found.groups()
    if name not in scenarios:
        raise UnknownScenario(f"no scenario named {name}; there are {', '.join(sorted(scenarios))}")
    turn = _at(scenarios[name], sum(m.role == "assistant" for m in chat.since_question()))
    calls = tuple(
        chat.offered[c.name].call(**c.arguments) if c.name in chat.offered else c for c in turn.tool_calls
    )
    delay = float(seconds) if seconds is not None and turn.delay else turn.delay
    return replace(turn, tool_calls=calls, delay=delay)


def _at(turns: tuple[Turn, ...], step: int) -> Turn:
    for turn in turns:
        if turn.repeat is None or step < turn.repeat:
            return turn
        step -= turn.repeat
    return turns[-1]
