"""The diagnostician reads what kubectl prints for each state of a cluster (holmes-driver.md 6.1 and 6.2)."""

from __future__ import annotations

import json
from typing import NamedTuple

import pytest

from rune.sandbox.ollama.conversation import Chat, Message, Tool, ToolCall
from rune.sandbox.ollama.diagnostician import diagnose

NULLABLE = {"anyOf": [{"type": "string"}, {"type": "null"}]}
BASH = Tool(
    "bash",
    {"command": {"type": "string"}, "suggested_prefixes": {"type": "array"}, "timeout": NULLABLE},
    ("command", "suggested_prefixes", "timeout"),
)
LOGS = Tool(
    "fetch_pod_logs",
    dict.fromkeys(("pod_name", "namespace", "start_time", "end_time", "limit", "filter"), NULLABLE),
    ("pod_name", "namespace", "start_time", "end_time", "limit", "filter"),
)
TOOLS = {tool.name: tool for tool in (BASH, LOGS)}

HEADER = (
    "NAMESPACE     NAME                      READY   STATUS                       RESTARTS         AGE   "
    "IP               NODE     NOMINATED NODE   READINESS GATES"
)
HEALTHY = (
    "kube-system   coredns-svqxzvxnm-9xlw8   1/1     Running                      0                26h   "
    "10.244.31.45     node-1   <none>           <none>"
)
DESCRIBED = """\
Name:             {name}
Namespace:        shop
Service Account:  default
Node:             node-1/10.0.0.138
Labels:           app={app}
                  pod-template-hash=j2bcl8wr6
Annotations:      <none>
Status:           {phase}
IP:               10.244.128.216
IPs:
  IP:           10.244.128.216
Controlled By:  ReplicaSet/{app}-j2bcl8wr6
Containers:
  {app}:
    Image:          registry.test/{app}:9.9
    Port:           8080/TCP
{state}
    Limits:
      memory:  128Mi
    Requests:
      cpu:        100m
      memory:     64Mi
    Readiness:    http-get http://:8080/healthz delay=0s timeout=1s period=10s #success=1 #failure=3
    Environment:  <none>
Conditions:
  Type                        Status
  Initialized                 True
  Ready                       False
QoS Class:                    Burstable
Events:
  Type     Reason            Age                   From               Message
  ----     ------            ----                  ----               -------
  Normal   Scheduled         26h                   default-scheduler  Assigned shop/{name} to node-1
{events}"""
WAITING = (
    "    State:          Waiting\n      Reason:       {reason}\n"
    "    Ready:          False\n    Restart Count:  {n}"
)
LAST = (
    "    State:          Waiting\n      Reason:       CrashLoopBackOff\n    Last State:     Terminated\n"
    "      Reason:       {reason}\n      Exit Code:    {code}\n"
    "      Started:      Tue, 24 Nov 2026 06:41:59 +0000\n    Ready:          False\n    Restart Count:  {n}"
)
RUNNING = "    State:          Running\n    Ready:          False\n    Restart Count:  0"
LOG_TAIL = (
    "\n\n" + "=" * 80 + "\nLOG QUERY METADATA\n" + "=" * 80 + "\nDisplay: Showing all 3 logs\n" + "=" * 80
)


def event(reason: str, source: str, message: str) -> str:
    return f"  Warning  {reason:<16}  {'9s (x12 over 60m)':<20}  {source:<17}  {message}"


class State(NamedTuple):
    """A pod's row, description and logs, and what an answer must say about it."""

    app: str
    status: str
    ready: str
    restarts: str
    state: str
    events: str
    says: tuple[str, ...]
    quotes: str
    phase: str = "Running"
    logs: str | None = None


STATES = {
    "crash_loop": State(
        "cart", "CrashLoopBackOff", "0/1", "12 (3m2s ago)", LAST.format(reason="Error", code=1, n=12),
        event("BackOff", "kubelet", "Back-off restarting failed container cart"),
        ("CrashLoopBackOff", "exit code 1", "12 restarts"), "FATAL could not resolve host db.internal",
        logs="starting\nFATAL could not resolve host db.internal\nbye" + LOG_TAIL,
    ),
    "oom_killed": State(
        "batch", "CrashLoopBackOff", "0/1", "5 (2m50s ago)", LAST.format(reason="OOMKilled", code=137, n=5),
        event("BackOff", "kubelet", "Back-off restarting failed container batch"),
        ("OOMKilled", "memory limit of 128Mi"), "Limits: memory: 128Mi",
        logs="loading rows\n" + LOG_TAIL,
    ),
    "image_pull_error": State(
        "api", "ImagePullBackOff", "0/1", "0", WAITING.format(reason="ImagePullBackOff", n=0),
        event("Failed", "kubelet", 'Failed to pull image "registry.test/api:9.9": not found')
        + "\n" + event("Failed", "kubelet", "Error: ImagePullBackOff"),
        ("ImagePullBackOff", "registry.test/api:9.9"),
        'Failed to pull image "registry.test/api:9.9": not found', "Pending",
    ),
    "pending": State(
        "ml", "Pending", "0/1", "0", "",
        event("FailedScheduling", "default-scheduler", "0/1 nodes are available: 1 Insufficient memory."),
        ("Pending", "FailedScheduling"), "0/1 nodes are available: 1 Insufficient memory.", "Pending",
    ),
    "bad_config": State(
        "auth", "CreateContainerConfigError", "0/1", "0",
        WAITING.format(reason="CreateContainerConfigError", n=0),
        event("Failed", "kubelet", 'Error: configmap "auth-config" not found'),
        ("CreateContainerConfigError", "config map auth-config is missing"),
        'Error: configmap "auth-config" not found', "Pending",
    ),
    "not_ready": State(
        "search", "Running", "0/1", "0", RUNNING,
        event("Unhealthy", "kubelet", "Readiness probe failed: HTTP probe failed with statuscode: 503"),
        ("Not ready", "Readiness probe failed"), "HTTP probe failed with statuscode: 503",
        logs="ready to serve" + LOG_TAIL,
    ),
    "evicted": State(
        "reports", "Evicted", "0/1", "0", "",
        event("Evicted", "kubelet", "The node was low on resource: ephemeral-storage."),
        ("Evicted",), "The node was low on resource: ephemeral-storage.",
        "Failed\nReason:           Evicted\n"
        "Message:          The node was low on resource: ephemeral-storage.",
    ),
}  # fmt: skip


def row(state: State) -> str:
    name = f"{state.app}-j2bcl8wr6-m4mlh"
    cells = f"{'shop':<11}   {name:<23}   {state.ready:<5}   {state.status:<26}   {state.restarts:<14}"
    return f"{cells}   26h   10.244.61.215    node-1   <none>           <none>"


def as_agent_writes(call: ToolCall, output: str) -> Message:
    """A tool result as HolmesGPT 0.45 hands it to the model."""
    metadata = json.dumps({"tool_name": call.name, "tool_call_id": "0b5e"})
    echo = f"{call.arguments['command']}\n" if call.name == "bash" else ""
    params = f"Params used for the tool call: {json.dumps(call.arguments)}. "
    return Message(
        "tool",
        f"{params}The tool call output follows on the next line.\n"
        f"tool_call_metadata={metadata}{echo}{output}",
    )


def printed(call: ToolCall, states: list[State]) -> str:
    """What a cluster with these pods prints for a call."""
    command = str(call.arguments.get("command", ""))
    if command.startswith("kubectl get pods"):
        return "\n".join([HEADER, HEALTHY, *map(row, states)])
    if command.startswith("kubectl get nodes"):
        return "NAME     STATUS   ROLES    AGE   VERSION\nnode-1   Ready    <none>   26h   v1.33.2"
    named = command + str(call.arguments.get("pod_name", ""))
    state = next(s for s in states if f"{s.app}-j2bcl8wr6-m4mlh" in named)
    if call.name == "fetch_pod_logs":
        assert state.logs is not None, "a container that never started has no logs to ask for"
        return state.logs
    return DESCRIBED.format(
        name=f"{state.app}-j2bcl8wr6-m4mlh",
        app=state.app,
        phase=state.phase,
        state=state.state,
        events=state.events,
    )


def investigate(states: list[State]) -> tuple[str, list[list[ToolCall]]]:
    """Let the model ask until it answers; the answer and the calls of each turn."""
    messages = [Message("system", "You are an SRE."), Message("user", "What is unhealthy?")]
    turns = []
    for _ in range(10):
        turn = diagnose(Chat(tuple(messages), TOOLS))
        if not turn.tool_calls:
            return turn.content, turns
        turns.append(list(turn.tool_calls))
        messages.append(Message("assistant", turn.content, turn.tool_calls))
        messages += [as_agent_writes(call, printed(call, states)) for call in turn.tool_calls]
    raise AssertionError("the investigation does not end")


@pytest.mark.parametrize("name", STATES)
def test_the_answer_names_the_pod_its_cause_and_the_line_that_shows_it(name):
    state = STATES[name]
    answer, _ = investigate([state])
    assert f"shop/{state.app}-j2bcl8wr6-m4mlh" in answer
    assert all(words in answer for words in state.says)
    assert any(state.quotes in line for line in answer.splitlines() if line.startswith("   > "))
    assert "coredns" not in answer


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("crash_loop", "db.internal", "mail.internal"),
        ("image_pull_error", ": not found", ": unauthorized"),
        ("pending", "Insufficient memory", "Insufficient cpu"),
        ("bad_config", 'configmap "auth-config"', 'secret "auth-key"'),
        ("not_ready", "statuscode: 503", "statuscode: 500"),
        ("evicted", "ephemeral-storage", "memory"),
    ],
)
def test_the_answer_changes_with_what_was_read(name, old, new):
    state = STATES[name]
    changed = state._replace(
        events=state.events.replace(old, new),
        phase=state.phase.replace(old, new),
        logs=state.logs and state.logs.replace(old, new),
    )
    answer, _ = investigate([changed])
    assert new in answer
    assert old not in answer


def test_a_healthy_cluster_has_no_findings():
    done = STATES["not_ready"]._replace(app="import", status="Completed")
    answer, turns = investigate([done])
    assert answer == "No unhealthy pods found: 2 pods in 2 namespaces checked, all Running or Completed."
    assert len(turns) == 1


def test_three_suspects_are_looked_at_in_a_turn_and_then_the_others():
    answer, turns = investigate(list(STATES.values()))
    described = [
        [c for c in turn if str(c.arguments.get("command", "")).startswith("kubectl describe")]
        for turn in turns
    ]
    assert [len(calls) for calls in described] == [0, 3, 3, 1, 0]
    assert turns[-1][0].arguments["command"] == "kubectl get nodes"
    assert all(f"shop/{state.app}-" in answer for state in STATES.values())


def test_logs_are_read_only_where_a_container_has_started():
    _, turns = investigate(list(STATES.values()))
    read = {c.arguments["pod_name"].partition("-")[0] for t in turns for c in t if c.name == "fetch_pod_logs"}
    assert read == {state.app for state in STATES.values() if state.logs is not None}
