"""Pods and events asked for with `kubernetes_tabular_query`, for agents that have no shell."""

from __future__ import annotations

from rune.sandbox.ollama.kubectl_text import (
    DONE,
    Container,
    Event,
    Pod,
    PodDescription,
    json_object,
)

NONE = "<none>"
STATUSES = ".status.containerStatuses[*]"
POD_COLUMNS = ",".join(
    (
        "NAMESPACE:.metadata.namespace",
        "NAME:.metadata.name",
        "PHASE:.status.phase",
        f"READY:{STATUSES}.ready",
        f"RESTARTS:{STATUSES}.restartCount",
        f"WAITING:{STATUSES}.state.waiting.reason",
        f"TERMINATED:{STATUSES}.state.terminated.reason",
        f"LAST:{STATUSES}.lastState.terminated.reason",
        f"EXIT:{STATUSES}.lastState.terminated.exitCode",
        "CONTAINER:.spec.containers[*].name",
        "LIMIT:.spec.containers[*].resources.limits.memory",
        "IMAGE:.spec.containers[*].image",
        "NODE:.spec.nodeName",
        "REASON:.status.reason",
        "MESSAGE:.status.message",
    )
)
EVENT_COLUMNS = (
    "NAMESPACE:.metadata.namespace,POD:.involvedObject.name,TYPE:.type,REASON:.reason,MESSAGE:.message"
)
NODE_COLUMNS = "NAME:.metadata.name,CONDITIONS:.status.conditions[*].type,STATUS:.status.conditions[*].status"


def rows(text: str) -> list[dict[str, str]] | None:
    """Rows by column name; None when the tool gave no table. The last column takes the rest of the line."""
    found = json_object(text)
    header, lines = (found or {}).get("header"), (found or {}).get("rows")
    if not isinstance(header, str) or not isinstance(lines, list):
        return None
    names = header.split()
    return [dict(zip(names, str(line).split(None, len(names) - 1), strict=False)) for line in lines]


def pods_of_rows(found: list[dict[str, str]]) -> list[Pod] | None:
    """Pods of a query by POD_COLUMNS; None when the table has other columns."""
    if any(not {"NAME", "PHASE", "READY"} <= row.keys() for row in found):
        return None
    return [_pod(row) for row in found]


def _pod(row: dict[str, str]) -> Pod:
    ready = [v for v in row["READY"].split(",") if v in ("true", "false")]
    status = next(
        (v for key in ("REASON", "WAITING", "TERMINATED") if (v := _first(row.get(key, NONE))) != NONE),
        row["PHASE"],
    )
    status = row["PHASE"] if row["PHASE"] in DONE else status
    restarts = sum(int(n) for n in row.get("RESTARTS", "").split(",") if n.isdigit())
    return Pod(
        row.get("NAMESPACE", "default"), row["NAME"], ready.count("true"), len(ready) or 1, status, restarts,
        row.get("NODE", ""),
    )  # fmt: skip


def description_of_row(row: dict[str, str], events: list[dict[str, str]]) -> PodDescription:
    """What two tables tell of a pod, in the form `describe pod` gives."""
    fields = {
        "Status": row.get("PHASE", ""),
        "Reason": _shown(row, "REASON"),
        "Message": _shown(row, "MESSAGE"),
    }
    values = {
        "State/Reason": _first(_shown(row, "WAITING") or _shown(row, "TERMINATED")),
        "Last State/Reason": _first(_shown(row, "LAST")),
        "Last State/Exit Code": _first(_shown(row, "EXIT")),
        "Limits/memory": _first(_shown(row, "LIMIT")),
        "Image": _first(_shown(row, "IMAGE")),
    }
    container = Container(_first(_shown(row, "CONTAINER")), {k: v for k, v in values.items() if v})
    told = [
        Event(e.get("TYPE", ""), e.get("REASON", ""), e.get("MESSAGE", ""))
        for e in events
        if e.get("POD") == row["NAME"] and e.get("NAMESPACE") == row.get("NAMESPACE")
    ]
    return PodDescription(fields, [container], told)


def not_ready_of_rows(found: list[dict[str, str]]) -> list[str]:
    """Names of nodes whose condition Ready is not True, of a query by NODE_COLUMNS."""
    states = (
        (row["NAME"], dict(zip(row["CONDITIONS"].split(","), row["STATUS"].split(","), strict=False)))
        for row in found
        if {"NAME", "CONDITIONS", "STATUS"} <= row.keys()
    )
    return [name for name, state in states if state.get("Ready") != "True"]


def _shown(row: dict[str, str], column: str) -> str:
    value = row.get(column, NONE)
    return "" if value == NONE else value


def _first(values: str) -> str:
    return next((v for v in values.split(",") if v != NONE), NONE if values == NONE else "")
