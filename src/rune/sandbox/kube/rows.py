"""Columns and cells of each resource type, as the API server prints them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rune.sandbox.kube.parts import Json, seconds_of

Age = Callable[[str | None], str]
"""Turns a time stamp into an age such as `5m30s`."""

Column = tuple[str, str, int]
"""Name, type, priority: 0 always shown, 1 only in wide output."""

NONE = "<none>"


def columns_of(key: tuple[str, str]) -> list[Column]:
    """The columns of a type; one without objects of its own here has name and age."""
    names = COLUMNS.get(key, ("Name", "Age"))
    return [
        (name.rstrip("+#"), "integer" if "#" in name else "string", 1 if "+" in name else 0) for name in names
    ]


def cells_of(key: tuple[str, str], found: Json, age: Age) -> list[Any]:
    return CELLS.get(key, _plain)(found, age)


# Marks after a name: `+` is shown in wide output only, `#` is a whole number.
COLUMNS: dict[tuple[str, str], tuple[str, ...]] = {
    ("", "pods"): (
        "Name", "Ready", "Status", "Restarts", "Age", "IP+", "Node+", "Nominated Node+", "Readiness Gates+",
    ),
    ("", "nodes"): (
        "Name", "Status", "Roles", "Age", "Version", "Internal-IP+", "External-IP+", "OS-Image+",
        "Kernel-Version+", "Container-Runtime+",
    ),
    ("", "namespaces"): ("Name", "Status", "Age"),
    ("", "services"): ("Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "Selector+"),
    ("", "endpoints"): ("Name", "Endpoints", "Age"),
    ("", "configmaps"): ("Name", "Data#", "Age"),
    ("", "secrets"): ("Name", "Type", "Data#", "Age"),
    ("", "serviceaccounts"): ("Name", "Secrets#", "Age"),
    ("", "events"): (
        "Last Seen", "Type", "Reason", "Object", "Subobject+", "Source+", "Message", "First Seen+", "Count#+",
        "Name+",
    ),
    ("apps", "deployments"): (
        "Name", "Ready", "Up-to-date#", "Available#", "Age", "Containers+", "Images+", "Selector+",
    ),
    ("apps", "replicasets"): (
        "Name", "Desired#", "Current#", "Ready#", "Age", "Containers+", "Images+", "Selector+",
    ),
    ("batch", "jobs"): (
        "Name", "Status", "Completions", "Duration", "Age", "Containers+", "Images+", "Selector+",
    ),
    ("coordination.k8s.io", "leases"): ("Name", "Holder", "Age"),
    ("discovery.k8s.io", "endpointslices"): ("Name", "AddressType", "Ports", "Endpoints", "Age"),
}  # fmt: skip
COLUMNS[("events.k8s.io", "events")] = COLUMNS[("", "events")]


def _created(found: Json, age: Age) -> str:
    return age(found["metadata"].get("creationTimestamp"))


def _plain(found: Json, age: Age) -> list[Any]:
    return [found["metadata"]["name"], _created(found, age)]


def _pod(pod: Json, age: Age) -> list[Any]:
    status = pod["status"]
    shown = status.get("reason") or status["phase"]
    statuses = status.get("containerStatuses", [])
    restarts = sum(each["restartCount"] for each in statuses)
    ready = sum(bool(each["ready"]) and "running" in each["state"] for each in statuses)
    completed_beside_running = False
    for each in reversed(statuses):
        state = each["state"]
        stopped = state.get("waiting") or state.get("terminated")
        if stopped and stopped.get("reason"):
            shown = stopped["reason"]
        completed_beside_running |= bool(each["ready"]) and "running" in state
    if shown == "Completed" and completed_beside_running:
        shown = "Running" if ready == len(statuses) else "NotReady"
    stops = [each["lastState"]["terminated"]["finishedAt"] for each in statuses if each["lastState"]]
    count = f"{restarts} ({age(max(stops))} ago)" if restarts and stops else str(restarts)
    return [
        pod["metadata"]["name"],
        f"{ready}/{len(pod['spec']['containers'])}",
        shown,
        count,
        _created(pod, age),
        status.get("podIP", NONE),
        pod["spec"].get("nodeName", NONE),
        NONE,
        NONE,
    ]


def _node(node: Json, age: Age) -> list[Any]:
    status = node["status"]
    ready = next(c for c in status["conditions"] if c["type"] == "Ready")["status"] == "True"
    shown = "Ready" if ready else "NotReady"
    if node["spec"].get("unschedulable"):
        shown += ",SchedulingDisabled"
    address = next(a["address"] for a in status["addresses"] if a["type"] == "InternalIP")
    info = status["nodeInfo"]
    return [
        node["metadata"]["name"], shown, NONE, _created(node, age), info["kubeletVersion"], address, NONE,
        info["osImage"], info["kernelVersion"], info["containerRuntimeVersion"],
    ]  # fmt: skip


def _namespace(found: Json, age: Age) -> list[Any]:
    return [found["metadata"]["name"], found["status"]["phase"], _created(found, age)]


def _service(found: Json, age: Age) -> list[Any]:
    spec = found["spec"]
    ports = ",".join(f"{port['port']}/{port['protocol']}" for port in spec["ports"])
    selector = _pairs(spec.get("selector", {}))
    return [
        found["metadata"]["name"],
        spec["type"],
        spec["clusterIP"],
        NONE,
        ports,
        _created(found, age),
        selector,
    ]


def _endpoints(found: Json, age: Age) -> list[Any]:
    reached = [
        f"{address['ip']}:{subset['ports'][0]['port']}"
        for subset in found["subsets"]
        for address in subset.get("addresses", [])
    ]
    more = f" + {len(reached) - 3} more..." if len(reached) > 3 else ""
    return [found["metadata"]["name"], (",".join(reached[:3]) + more) or NONE, _created(found, age)]


def _slice(found: Json, age: Age) -> list[Any]:
    ports = ",".join(str(port["port"]) for port in found["ports"])
    reached = ",".join(address for each in found["endpoints"] for address in each["addresses"])
    return [
        found["metadata"]["name"],
        found["addressType"],
        ports,
        reached or "<unset>",
        _created(found, age),
    ]


def _configmap(found: Json, age: Age) -> list[Any]:
    return [found["metadata"]["name"], len(found["data"]), _created(found, age)]


def _secret(found: Json, age: Age) -> list[Any]:
    return [found["metadata"]["name"], found["type"], len(found["data"]), _created(found, age)]


def _account(found: Json, age: Age) -> list[Any]:
    return [found["metadata"]["name"], 0, _created(found, age)]


def _deployment(found: Json, age: Age) -> list[Any]:
    status, spec = found["status"], found["spec"]
    ready = f"{status.get('readyReplicas', 0)}/{spec['replicas']}"
    counts = [status.get("updatedReplicas", 0), status.get("availableReplicas", 0)]
    return [found["metadata"]["name"], ready, *counts, _created(found, age), *_wide(found)]


def _replica_set(found: Json, age: Age) -> list[Any]:
    status = found["status"]
    counts = [found["spec"]["replicas"], status["replicas"], status.get("readyReplicas", 0)]
    return [found["metadata"]["name"], *counts, _created(found, age), *_wide(found)]


def _job(found: Json, age: Age) -> list[Any]:
    status = found["status"]
    complete = "completionTime" in status
    done = f"{status.get('succeeded', 0)}/{found['spec']['completions']}"
    began = status["startTime"]
    took = f"{seconds_of(status['completionTime']) - seconds_of(began):.0f}s" if complete else age(began)
    return [
        found["metadata"]["name"], "Complete" if complete else "Running", done, took, _created(found, age),
        *_wide(found),
    ]  # fmt: skip


def _event(event: Json, age: Age) -> list[Any]:
    about = event.get("involvedObject") or event["regarding"]
    source = event.get("source") or event["deprecatedSource"]
    first = event.get("firstTimestamp") or event["deprecatedFirstTimestamp"]
    last = event.get("lastTimestamp") or event["deprecatedLastTimestamp"]
    return [
        age(last), event["type"], event["reason"], f"{about['kind'].lower()}/{about['name']}",
        about.get("fieldPath", ""), ", ".join(source.values()), event.get("message") or event.get("note", ""),
        age(first), event.get("count") or event.get("deprecatedCount"), event["metadata"]["name"],
    ]  # fmt: skip


def _lease(found: Json, age: Age) -> list[Any]:
    return [found["metadata"]["name"], found["spec"]["holderIdentity"], _created(found, age)]


def _wide(found: Json) -> list[str]:
    containers = found["spec"]["template"]["spec"]["containers"]
    return [
        ",".join(each["name"] for each in containers),
        ",".join(each["image"] for each in containers),
        _pairs(found["spec"]["selector"]["matchLabels"]),
    ]


def _pairs(labels: dict[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in labels.items()) or NONE


CELLS: dict[tuple[str, str], Callable[[Json, Age], list[Any]]] = {
    ("", "pods"): _pod,
    ("", "nodes"): _node,
    ("", "namespaces"): _namespace,
    ("", "services"): _service,
    ("", "endpoints"): _endpoints,
    ("", "configmaps"): _configmap,
    ("", "secrets"): _secret,
    ("", "serviceaccounts"): _account,
    ("", "events"): _event,
    ("events.k8s.io", "events"): _event,
    ("apps", "deployments"): _deployment,
    ("apps", "replicasets"): _replica_set,
    ("batch", "jobs"): _job,
    ("coordination.k8s.io", "leases"): _lease,
    ("discovery.k8s.io", "endpointslices"): _slice,
}
