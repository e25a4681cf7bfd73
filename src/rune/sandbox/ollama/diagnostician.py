"""A rule-based model that investigates a cluster with the tools it is offered (holmes-driver.md 6.1).

It knows the messages and nothing else: what to do next follows from the calls made since the last question
and from what they returned.
"""

from __future__ import annotations

from collections.abc import Iterable

from rune.sandbox.ollama import lookups
from rune.sandbox.ollama.conversation import Chat, Message, ToolCall
from rune.sandbox.ollama.reading import Listing, conclude, find_listing, known_report
from rune.sandbox.ollama.tool_results import tool_results
from rune.sandbox.ollama.turn import Turn

SUSPECTS_PER_TURN = 3
MAX_INSPECTED = 9
"""Suspects looked at one by one, three turns of three; the rest is judged by the table alone."""

NO_TOOLS = (
    "I was given no tools, so I cannot look at the cluster. "
    "Offer me `bash` or the Kubernetes tools and ask again."
)


def diagnose(chat: Chat) -> Turn:
    """The next turn: look further while there is something to look at, else answer."""
    if wants_summary(chat):
        return Turn(summarise(chat))
    results = tool_results(chat.since_question())
    namespace = lookups.named_namespace(chat.question())
    if not results:
        first = lookups.list_pods(chat, namespace)
        return Turn(NO_TOOLS) if first is None else Turn("I list the pods first.", tool_calls=(first,))
    listing = find_listing(results)
    calls = next_calls(chat, listing) if listing is not None and chat.offered else ()
    return Turn(tool_calls=calls) if calls else Turn(conclude(results, namespace).text())


def next_calls(chat: Chat, listing: Listing) -> tuple[ToolCall, ...]:
    """What is still to be looked at: three suspects in a turn, then the nodes if one is pending."""
    suspects = [pod for pod in listing.pods if pod.suspect][:MAX_INSPECTED]
    for start in range(0, len(suspects), SUSPECTS_PER_TURN):
        group = suspects[start : start + SUSPECTS_PER_TURN]
        if wanted := _new(chat, (call for pod in group for call in lookups.inspect(chat, pod))):
            return wanted
    nodes = lookups.list_nodes(chat) if any(p.status == "Pending" for p in suspects) else None
    return _new(chat, [nodes] if nodes else [])


def wants_summary(chat: Chat) -> bool:
    """Whether the last message asks to sum the conversation up instead of going on with it."""
    last = chat.messages[-1] if chat.messages else Message("user")
    if last.role != "user":
        return False
    return "<analysis>" in last.text or (not chat.offered and "summar" in last.text.lower())


def summarise(chat: Chat) -> str:
    """The conversation in `<analysis>` and `<summary>` tags, for a history that has to become shorter."""
    earlier = Chat(chat.messages[:-1])
    calls = [f"{c.name} {dict(c.arguments)}" for m in earlier.messages for c in m.tool_calls]
    report = known_report(earlier).text()
    question = lookups.asked(earlier.question())[:500] or "none"
    done = "\n".join(f"- {call[:200]}" for call in calls[-20:]) or "- none"
    return (
        f"<analysis>\n{report}\n</analysis>\n<summary>\n1. Primary Request and Intent: {question}\n"
        f"4. Tool Calls:\n{done}\n7. Current Work: {report}\n</summary>"
    )


def _new(chat: Chat, calls: Iterable[ToolCall]) -> tuple[ToolCall, ...]:
    """Calls not made since the question, each once."""
    made = {lookups.key(call) for m in chat.since_question() for call in m.tool_calls}
    wanted = {lookups.key(call): call for call in calls}
    return tuple(call for key, call in wanted.items() if key not in made)
