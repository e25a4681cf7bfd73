"""The tool calls an investigation makes with the tools offered (holmes-driver.md 6.1, steps 1 and 3)."""

from __future__ import annotations

import re
import shlex

from rune.sandbox.ollama import tabular
from rune.sandbox.ollama.conversation import Chat, ToolCall
from rune.sandbox.ollama.kubectl_text import Pod

TIMEOUT_SECONDS = 30
LOG_LINES = 100
NOT_STARTED = frozenset(
    {"Pending", "ContainerCreating", "PodInitializing", "Evicted", "ErrImagePull", "ImagePullBackOff"}
    | {"InvalidImageName", "CreateContainerConfigError", "CreateContainerError"}
)
"""States in which no container has run, so that there are no logs."""

LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
QUOTE = "[\"'`]"
NAMESPACE = tuple(
    re.compile(pattern, re.I)
    for pattern in (
        rf"\b(?:the|in|of|my|our|your)\s+{QUOTE}?({LABEL}){QUOTE}?\s+namespace\b",
        rf"{QUOTE}({LABEL}){QUOTE}\s+namespace\b",
        rf"\bnamespace:?\s+{QUOTE}?({LABEL})\b",
        rf"(?:^|\s)-n\s+({LABEL})\b",
    )
)
"""How a question names a namespace, the surest way first."""

NO_NAME = re.compile(
    "the|an?|this|that|these|each|every|all|any|some|which|what|my|our|your|one|single|same|per|by|in|and|or"
    "|is|are|was|were|be|has|have|had|do|does|did|can|could|will|would|should|may|might|must|with|where|for|of"
    "|on|to|from|contains|needs|looks|shows|seems|runs|holds|only|scoped|wide|names|kubernetes|kube|cluster"
    "|whole|entire|other|another"
)
"""Words that stand beside `namespace` without naming one."""

AFTER_QUESTION = re.compile(r"^(?:When querying tools, always query|# )", re.M)


def asked(question: str) -> str:
    """A user message without what an agent appends to the user's own words."""
    return AFTER_QUESTION.split(question, maxsplit=1)[0].strip()


def named_namespace(question: str) -> str | None:
    """The namespace a question names, if it names one."""
    names = (name for pattern in NAMESPACE for name in pattern.findall(asked(question)))
    return next((name for name in names if name.islower() and not NO_NAME.fullmatch(name)), None)


def list_pods(chat: Chat, namespace: str | None) -> ToolCall | None:
    """List the pods with the best tool offered; None when no tool can."""
    scope = f"-n {namespace}" if namespace else "-A"
    return kubectl(chat, f"get pods {scope} -o wide") or query(chat, "pods", tabular.POD_COLUMNS, namespace)


def list_nodes(chat: Chat) -> ToolCall | None:
    return kubectl(chat, "get nodes") or query(chat, "nodes", tabular.NODE_COLUMNS, None)


def inspect(chat: Chat, pod: Pod) -> list[ToolCall]:
    """Describe a suspect and, when one of its containers has started, read its logs."""
    words = f"{shlex.quote(pod.name)} -n {shlex.quote(pod.namespace)}"
    details = kubectl(chat, f"describe pod {words}") or query(
        chat, "events", tabular.EVENT_COLUMNS, pod.namespace
    )
    started = pod.restarts > 0 or pod.status.removeprefix("Init:") not in NOT_STARTED
    logs = read_logs(chat, pod, words) if started else None
    return [call for call in (details, logs) if call is not None]


def read_logs(chat: Chat, pod: Pod, words: str) -> ToolCall | None:
    """`fetch_pod_logs` reads the previous container too; the shell has to be told which one."""
    tool = chat.offered.get("fetch_pod_logs")
    if tool is not None:
        return tool.call(pod_name=pod.name, namespace=pod.namespace, limit=LOG_LINES)
    previous = " --previous" if pod.restarts > 0 else ""
    return kubectl(chat, f"logs {words} --tail={LOG_LINES}{previous}")


def kubectl(chat: Chat, words: str) -> ToolCall | None:
    """A shell call of one kubectl command, None without a shell."""
    bash = chat.offered.get("bash")
    if bash is None:
        return None
    prefix = f"kubectl {words.split()[0]}"
    return bash.call(command=f"kubectl {words}", suggested_prefixes=[prefix], timeout=TIMEOUT_SECONDS)


def query(chat: Chat, kind: str, columns: str, namespace: str | None) -> ToolCall | None:
    tool = chat.offered.get("kubernetes_tabular_query")
    return tool.call(kind=kind, columns=columns, namespace=namespace) if tool else None


def key(call: ToolCall) -> tuple[str, ...]:
    """What makes two calls the same look at the cluster."""
    names = ("command", "kind", "namespace", "pod_name")
    return (call.name, *(str(call.arguments.get(name)) for name in names))
