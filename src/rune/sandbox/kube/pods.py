"""Pods: from a workload and an outcome to API objects, events and logs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from rune.sandbox.kube.outcome import ContainerLog, Note, Outcome, PodMoment, running, spread
from rune.sandbox.kube.parts import Json, condition, digest, hex_id, metadata, nano_stamp, owner, stamp
from rune.sandbox.kube.shapes import WorkloadSpec
from rune.sandbox.kube.states import outcome_of


@dataclass(frozen=True, slots=True)
class BuiltPod:
    """A pod as the API shows it, the notes that become its events, and its logs by container."""

    object: Json
    notes: tuple[Note, ...]
    logs: dict[str, ContainerLog]


def build_pod(moment: PodMoment, owned_by: Json, labels: Json, node: str, version: int) -> BuiltPod:
    """The pod of `moment`; `node` is where it runs once scheduled; `version` its resource version."""
    outcome = outcome_of(moment)
    spec = moment.spec
    meta = metadata(
        "Pod", moment.name, spec.namespace, moment.created, version,
        generateName=moment.name.rpartition("-")[0] + "-", labels=labels, ownerReferences=owner(owned_by),
    )  # fmt: skip
    on_node = node if outcome.scheduled else None
    pod: Json = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta,
        "spec": {**pod_spec(spec), **({"nodeName": on_node} if on_node else {})},
        "status": _status(moment, outcome, on_node),
    }
    notes = tuple(replace(note, message=note.message.replace("{node}", node)) for note in outcome.notes)
    return BuiltPod(pod, notes, _logs(moment, outcome))


def pod_spec(spec: WorkloadSpec) -> Json:
    """The part of a pod that its workload's template holds too."""
    request = "64Gi" if spec.state == "pending" and not spec.reason else spec.memory_limit
    main: Json = {
        "name": spec.name,
        "image": spec.image,
        "imagePullPolicy": "IfNotPresent",
        "resources": {
            "limits": {"memory": request},
            "requests": {"cpu": spec.cpu_request, "memory": request},
        },
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }
    if spec.kind == "Deployment":
        probe = {"path": "/healthz", "port": spec.port, "scheme": "HTTP"}
        main["ports"] = [{"containerPort": spec.port, "protocol": "TCP"}]
        main["readinessProbe"] = {
            "httpGet": probe, "periodSeconds": 10, "timeoutSeconds": 1,
            "successThreshold": 1, "failureThreshold": 3,
        }  # fmt: skip
    if spec.state == "bad_config":
        reference = "configMapRef" if spec.missing_kind == "configmap" else "secretRef"
        main["envFrom"] = [{reference: {"name": spec.missing_name}}]
    return {
        "containers": [main, *(_sidecar(name) for name in spec.sidecars)],
        "dnsPolicy": "ClusterFirst",
        "enableServiceLinks": True,
        "restartPolicy": "Always" if spec.kind == "Deployment" else "OnFailure",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "serviceAccount": "default",
        "serviceAccountName": "default",
        "terminationGracePeriodSeconds": 30,
        "tolerations": [
            {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute",
             "tolerationSeconds": 300}
            for key in ("not-ready", "unreachable")
        ],
    }  # fmt: skip


def _sidecar(name: str) -> Json:
    return {
        "name": name,
        "image": f"registry.test/{name}:1.0.0",
        "imagePullPolicy": "IfNotPresent",
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }


def _status(moment: PodMoment, outcome: Outcome, node: str | None) -> Json:
    status: Json = {"phase": outcome.phase, "qosClass": "Burstable"}
    if outcome.reason:
        status |= {"reason": outcome.reason, "message": outcome.message}
    if node is None:
        blocked = condition(
            "PodScheduled", False, moment.created, "Unschedulable", outcome.scheduling_message
        )
        return {**status, "conditions": [blocked]}
    number = digest("ip", moment.uid)
    status["startTime"] = stamp(moment.created)
    status["hostIP"] = f"10.0.0.{10 + digest('host', node) % 200}"
    status["hostIPs"] = [{"ip": status["hostIP"]}]
    if outcome.phase == "Failed":
        return {**status, "conditions": _conditions(moment, outcome)}
    status["podIP"] = f"10.244.{number % 250}.{number // 250 % 250 + 2}"
    status["podIPs"] = [{"ip": status["podIP"]}]
    status["conditions"] = _conditions(moment, outcome)
    status["containerStatuses"] = [
        _container_status(moment, outcome),
        *(_sidecar_status(moment, outcome, name) for name in moment.spec.sidecars),
    ]
    return status


def _conditions(moment: PodMoment, outcome: Outcome) -> list[Json]:
    names = " ".join([moment.spec.name] if outcome.phase != "Failed" else [])
    unready = ("ContainersNotReady", f"containers with unready status: [{names}]")
    if outcome.phase == "Succeeded":
        unready = ("PodCompleted", "")
    elif outcome.phase == "Failed":
        unready = ("PodFailed", "")
    why = ("", "") if outcome.ready else unready
    return [
        condition("PodReadyToStartContainers", outcome.phase in ("Running", "Pending"), moment.after(1)),
        condition("Initialized", True, moment.created),
        condition("Ready", outcome.ready, outcome.ready_since, *why),
        condition("ContainersReady", outcome.ready, outcome.ready_since, *why),
        condition("PodScheduled", True, moment.created),
    ]


def _container_status(moment: PodMoment, outcome: Outcome) -> Json:
    spec = moment.spec
    known = outcome.log.refusal is None
    return {
        "name": spec.name,
        "image": spec.image,
        "imageID": f"{spec.image.rpartition(':')[0]}@sha256:{hex_id(64, spec.image)}" if known else "",
        **({"containerID": moment.container_id} if known else {}),
        "ready": outcome.ready,
        "started": outcome.started,
        "restartCount": outcome.restarts,
        "state": outcome.state,
        "lastState": outcome.last_state,
    }


def _sidecar_status(moment: PodMoment, outcome: Outcome, name: str) -> Json:
    image = f"registry.test/{name}:1.0.0"
    done = outcome.phase == "Succeeded"
    return {
        "name": name,
        "image": image,
        "imageID": f"registry.test/{name}@sha256:{hex_id(64, image)}",
        "containerID": f"containerd://{hex_id(64, moment.uid, name)}",
        "ready": not done,
        "started": not done,
        "restartCount": 0,
        "state": outcome.state if done else running(moment.after(2)),
        "lastState": {},
    }


def _logs(moment: PodMoment, outcome: Outcome) -> dict[str, ContainerLog]:
    start, end = moment.after(1), moment.after(2)
    beside = {
        name: ContainerLog(spread([f"INFO  {name} started", f"INFO  {name} ready"], start, end))
        for name in moment.spec.sidecars
    }
    if not outcome.scheduled or outcome.phase == "Failed":
        beside = dict.fromkeys(moment.spec.sidecars, outcome.log)
    return {moment.spec.name: outcome.log, **beside}


def shown_log(
    log: ContainerLog, *, previous: bool, since: float | None, tail: int | None, stamped: bool
) -> str:
    """The log as `GET …/log` answers it; `since` in epoch seconds. `log` must hold what is asked for."""
    lines: Any = (log.previous if previous else log.current) or ()
    if since is not None:
        lines = [line for line in lines if line[0] >= since]
    if tail is not None:
        lines = lines[len(lines) - min(tail, len(lines)) :]
    return "".join(f"{nano_stamp(at)} {text}\n" if stamped else f"{text}\n" for at, text in lines)
