"""How the diagnostician starts, gives up, sums up and fills formats (holmes-driver.md 6.1)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rune.sandbox.ollama.brain import LOST, think
from rune.sandbox.ollama.conversation import Chat, Message, Tool, ToolCall
from rune.sandbox.ollama.diagnostician import NO_TOOLS, diagnose
from rune.sandbox.ollama.lookups import named_namespace
from rune.sandbox.ollama.scenarios import BUILT_IN
from rune.sandbox.ollama.tool_results import tool_results, unwrap

BASH = Tool(
    "bash",
    {"command": {}, "suggested_prefixes": {}, "timeout": {}},
    ("command", "suggested_prefixes", "timeout"),
)
TABULAR = Tool(
    "kubernetes_tabular_query",
    {n: {} for n in ("namespace", "label_selector", "field_selector", "filter_pattern", "kind", "columns")},
    ("namespace", "label_selector", "field_selector", "filter_pattern", "kind", "columns"),
)
LIST = ToolCall(
    "bash", {"command": "kubectl get pods -A -o wide", "suggested_prefixes": ["kubectl get"], "timeout": 30}
)
ANSWER = """## Summary

1 of 5 pods in 2 namespaces is unhealthy.

## Findings

1. **shop/cart-1** — CrashLoopBackOff: the container keeps exiting (exit code 1, 12 restarts)
   > FATAL could not resolve host db.internal

## Recommended action

- shop/cart-1: Fix it."""
AGENT_TEXT = (
    "\n\n# Skill Selection\n\nYou have access to skills for the namespace monitoring.\n\n"
    "When querying tools, always query for the relevant time period."
)


def asked(question: str, *more: Message, tools: tuple[Tool, ...] = (BASH,), format: object = None) -> Chat:
    messages = (Message("system", "You are an SRE."), Message("user", question), *more)
    return Chat(messages, {tool.name: tool for tool in tools}, format)


def after_listing(output: str, tools: tuple[Tool, ...] = (BASH,)) -> Chat:
    return asked(
        "What is unhealthy?", Message("assistant", "", (LIST,)), Message("tool", output), tools=tools
    )


def failed(output: str) -> str:
    """A failed shell command as HolmesGPT 0.45 hands it to the model."""
    command = LIST.arguments["command"]
    return (
        f"Params used for the tool call: {json.dumps(LIST.arguments)}. "
        "The tool call output follows on the next line.\n"
        'tool_call_metadata={"tool_name": "bash", "tool_call_id": "7"}'
        f'Error: Command "{command}" returned non-zero exit status 1:\n\n{command}\n{output}'
    )


def test_it_lists_all_pods_first_and_fills_every_required_argument():
    (call,) = diagnose(asked("What is unhealthy?")).tool_calls
    assert call == LIST


@pytest.mark.parametrize(
    ("question", "namespace"),
    [
        ("What is wrong in namespace shop?", "shop"),
        ("Check the `shop` namespace please", "shop"),
        ("please check namespace shop", "shop"),
        ("What is broken in the shop namespace?", "shop"),
        ("look at namespace: kube-system", "kube-system"),
        ("kubectl -n shop looks odd", "shop"),
        ("Which namespace has unhealthy pods?", None),
        ("Check every namespace.", None),
        ("What is unhealthy?" + AGENT_TEXT, None),
        ("What is unhealthy in namespace shop?" + AGENT_TEXT, "shop"),
    ],
)
def test_a_namespace_is_taken_from_the_users_own_words(question, namespace):
    assert named_namespace(question) == namespace


def test_a_named_namespace_narrows_the_listing():
    (call,) = diagnose(asked("What is wrong in namespace shop?")).tool_calls
    assert call.arguments["command"] == "kubectl get pods -n shop -o wide"


def test_without_a_shell_it_asks_the_tabular_tool_and_leaves_unknowns_null():
    (call,) = diagnose(asked("What is unhealthy?", tools=(TABULAR,))).tool_calls
    assert call.name == "kubernetes_tabular_query"
    assert call.arguments["kind"] == "pods"
    assert set(call.arguments) == set(TABULAR.required)
    assert call.arguments["field_selector"] is None
    assert not set("'/;\n") & set(call.arguments["columns"])


def test_without_tools_it_says_that_it_cannot_look():
    assert diagnose(asked("What is unhealthy?", tools=())).content == NO_TOOLS


@pytest.mark.parametrize(
    "line",
    [
        "The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?",
        'Error from server (Forbidden): pods is forbidden: User "x" cannot list resource "pods"',
        "error: You must be logged in to the server (Unauthorized)",
        "Unable to connect to the server: net/http: request canceled (Client.Timeout exceeded)",
        "Unable to connect to the server: dial tcp: lookup api.test: no such host",
    ],
)
def test_a_cluster_that_cannot_be_asked_is_not_called_healthy(line):
    turn = diagnose(after_listing(failed(f"E1124 memcache.go:265] couldn't get list\n{line}")))
    assert turn.content == f"The cluster could not be inspected: {line}"
    assert turn.tool_calls == ()


@pytest.mark.parametrize(
    "text",
    [
        'tool_call_metadata={"tool_name": "bash"}Tool call rejected: it requires human approval.:\n\n',
        'tool_call_metadata={"tool_name": "bash"}Error: Command \'kubectl\' timed out after 30 seconds.:\n\n',
    ],
)
def test_a_denied_or_endless_command_is_told_as_such(text):
    content = diagnose(after_listing(text)).content
    assert content.startswith("The cluster could not be inspected: ")
    assert "rejected" in content or "timed out" in content


def test_the_tabular_tools_error_is_quoted_without_its_json():
    call = ToolCall("kubernetes_tabular_query", {"kind": "pods"})
    output = json.dumps({"count": 0, "header": None, "rows": [], "stderr": "error: Unauthorized\n"}, indent=2)
    chat = asked("?", Message("assistant", "", (call,)), Message("tool", output), tools=(TABULAR,))
    assert diagnose(chat).content == "The cluster could not be inspected: error: Unauthorized"


def test_words_of_an_application_are_not_taken_for_the_clusters():
    output = (
        "NAMESPACE   NAME      READY   STATUS    RESTARTS   AGE\n"
        "shop        refused   1/1     Running   0          26h"
    )
    assert diagnose(after_listing(output)).content.startswith("No unhealthy pods found: 1 pod in 1 namespace")


def test_an_empty_namespace_has_nothing_unhealthy():
    assert "0 pods" in diagnose(after_listing("No resources found")).content


def test_a_suspect_whose_description_is_forbidden_is_still_reported():
    table = (
        "NAMESPACE   NAME   READY   STATUS    RESTARTS   AGE\n"
        "shop        cart   0/1     Running   0          26h"
    )
    describe = ToolCall("bash", {"command": "kubectl describe pod cart -n shop"})
    chat = asked(
        "What is unhealthy?",
        Message("assistant", "", (LIST,)),
        Message("tool", table),
        Message(
            "assistant", "", (describe, ToolCall("bash", {"command": "kubectl logs cart -n shop --tail=100"}))
        ),
        Message("tool", "Error from server (Forbidden): pods is forbidden"),
        Message("tool", "Error from server (Forbidden): pods/log is forbidden"),
    )
    content = diagnose(chat).content
    assert "**shop/cart** — status Running, 0/1 containers ready" in content
    assert "> Error from server (Forbidden): pods is forbidden" in content


def test_a_new_question_starts_a_new_investigation():
    first = after_listing("No resources found")
    again = Chat((*first.messages, Message("assistant", "None."), Message("user", "And now?")), first.offered)
    assert diagnose(again).tool_calls == (LIST,)


def test_results_belong_to_their_calls_in_whatever_order_they_come():
    calls = tuple(ToolCall("bash", {"command": f"kubectl get pods -n {name}"}) for name in ("one", "two"))
    told = [
        Message(
            "tool",
            f"Params used for the tool call: {json.dumps(call.arguments)}. "
            "The tool call output follows on the next line.\n"
            f'tool_call_metadata={{"tool_name": "bash"}}{call.arguments["command"]}\nNo resources found',
        )
        for call in reversed(calls)
    ]
    results = tool_results((Message("assistant", "", calls), *told))
    assert [(r.option("-n"), r.output) for r in results] == [
        ("two", "No resources found"),
        ("one", "No resources found"),
    ]


def test_a_result_without_wrapping_is_taken_as_it_stands():
    result = unwrap("NAME   READY\nx      1/1", LIST)
    assert (result.output, result.error) == ("NAME   READY\nx      1/1", None)


def test_a_summary_is_given_in_analysis_tags():
    chat = asked(
        "What is unhealthy?",
        Message("assistant", ANSWER),
        Message("user", "First wrap your analysis in <analysis> tags"),
    )
    content = diagnose(chat).content
    assert content.startswith("<analysis>")
    assert "shop/cart-1" in content
    assert "Primary Request and Intent: What is unhealthy?" in content


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "healthy": {"type": "boolean"},
        "has_problems": {"type": "boolean"},
        "count": {"type": "integer"},
        "summary": {"type": "string"},
        "findings": {"type": "array", "items": {"type": "string"}},
        "severity": {"enum": ["low", "medium", "critical"]},
        "pods": {"type": "array", "items": {"$ref": "#/$defs/pod"}},
        "note": {"anyOf": [{"type": "null"}, {"type": "string", "maxLength": 10}]},
    },
    "$defs": {
        "pod": {"type": "object", "properties": {"namespace": {"type": "string"}, "name": {"type": "string"}}}
    },
}


def filled(*messages: Message, format: object = SCHEMA) -> dict[str, object]:
    chat = Chat((Message("system", "s"), *messages), {}, format)
    result = json.loads(think(chat, 8192, BUILT_IN).turn.content)
    assert isinstance(result, dict)
    return result


@pytest.mark.parametrize("role", ["assistant", "user"])
def test_a_schema_is_filled_from_the_answer_in_the_conversation(role):
    found = filled(Message("user", "q"), Message(role, ANSWER), Message("user", "Turn the answer into JSON."))
    assert found == {
        "healthy": False,
        "has_problems": True,
        "count": 1,
        "summary": "1 of 5 pods in 2 namespaces is unhealthy.",
        "findings": [
            "shop/cart-1: CrashLoopBackOff: the container keeps exiting (exit code 1, 12 restarts)"
            " (FATAL could not resolve host db.internal)"
        ],
        "severity": "critical",
        "pods": [{"namespace": "shop", "name": "cart-1"}],
        "note": "1 of 5 pod",
    }


def test_a_healthy_cluster_fills_a_schema_without_findings():
    told = "No unhealthy pods found: 2 pods in 1 namespace checked, all Running or Completed."
    found = filled(Message("user", "q"), Message("assistant", told), Message("user", "JSON please"))
    assert (found["healthy"], found["count"], found["findings"], found["severity"]) == (True, 0, [], "low")


def test_a_cluster_that_was_not_inspected_is_not_reported_healthy():
    told = "The cluster could not be inspected: connection refused"
    found = filled(Message("user", "q"), Message("assistant", told), Message("user", "JSON please"))
    assert found["healthy"] is False
    assert found["summary"] == told


def test_format_with_tools_gives_json_and_no_tool_call():
    turn = think(asked("What is unhealthy?", format=SCHEMA), 8192, BUILT_IN).turn
    assert turn.tool_calls == ()
    assert set(json.loads(turn.content)) == set(SCHEMA["properties"])


def test_a_prompt_longer_than_the_window_loses_its_instructions():
    long = Chat((Message("system", "x" * 30_000), Message("user", "What is unhealthy?")), {"bash": BASH})
    lost = think(long, 4096, BUILT_IN)
    assert (lost.turn, lost.dropped) == (LOST, 1)
    assert lost.prompt_tokens <= 4096
    assert think(long, 16_384, BUILT_IN).turn.tool_calls == (LIST,)
