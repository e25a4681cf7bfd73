"""Deployments, replica sets, jobs, services and endpoints: what stands around a workload's pods."""

from __future__ import annotations

from typing import Any

from rune.sandbox.kube.parts import Json, condition, digest, metadata, owner, stamp
from rune.sandbox.kube.pods import pod_spec
from rune.sandbox.kube.shapes import WorkloadSpec

PROGRESS_DEADLINE = 600


def is_ready(pod: Json) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def deployment(spec: WorkloadSpec, pods: list[Json], revision: int, since: dict[str, Any]) -> Json:
    """`since` has `created`, `rolled` (last rollout) and `now` in epoch seconds, `version`, `replicaset`."""
    ready = sum(map(is_ready, pods))
    current = sum(pod["status"]["phase"] != "Failed" for pod in pods)
    enough = (
        ready >= spec.replicas - max(1, spec.replicas // 4) if spec.replicas > 1 else ready >= spec.replicas
    )
    since_rollout = since["now"] - since["rolled"]
    available = (
        ("Available", True, min(since["rolled"] + 8, since["now"]), "MinimumReplicasAvailable",
         "Deployment has minimum availability.")
        if enough
        else ("Available", False, since["rolled"], "MinimumReplicasUnavailable",
              "Deployment does not have minimum availability.")
    )  # fmt: skip
    current_set = f'ReplicaSet "{since["replicaset"]}"'
    if ready >= spec.replicas:
        progress = (
            True,
            since["rolled"],
            "NewReplicaSetAvailable",
            f"{current_set} has successfully progressed.",
        )
    elif since_rollout < PROGRESS_DEADLINE:
        progress = (True, since["rolled"], "ReplicaSetUpdated", f"{current_set} is progressing.")
    else:
        overdue = since["rolled"] + PROGRESS_DEADLINE
        progress = (False, overdue, "ProgressDeadlineExceeded", f"{current_set} has timed out progressing.")
    counts = {
        "replicas": current,
        "updatedReplicas": current,
        "readyReplicas": ready,
        "availableReplicas": ready,
        "unavailableReplicas": max(spec.replicas - ready, 0),
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(
            "Deployment", spec.name, spec.namespace, since["created"], since["version"],
            generation=revision, labels={"app": spec.name},
            annotations={"deployment.kubernetes.io/revision": str(revision)},
        ),
        "spec": {
            "replicas": spec.replicas,
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": PROGRESS_DEADLINE,
            "selector": {"matchLabels": {"app": spec.name}},
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
            },
            "template": _template(spec, {"app": spec.name}),
        },
        "status": {
            "observedGeneration": revision,
            **{name: count for name, count in counts.items() if count},
            "conditions": [condition(*available), condition("Progressing", *progress)],
        },
    }  # fmt: skip


def replica_set(
    spec: WorkloadSpec, of: Json, template_hash: str, pods: list[Json], revision: int, since: dict[str, Any]
) -> Json:
    """The replica set of one revision; `since` has `created` and `version`."""
    labels = {"app": spec.name, "pod-template-hash": template_hash}
    ready = sum(map(is_ready, pods))
    status: Json = {
        "replicas": sum(pod["status"]["phase"] != "Failed" for pod in pods),
        "observedGeneration": 1,
    }
    if status["replicas"]:
        status["fullyLabeledReplicas"] = status["replicas"]
    if ready:
        status |= {"readyReplicas": ready, "availableReplicas": ready}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": metadata(
            "ReplicaSet", f"{spec.name}-{template_hash}", spec.namespace, since["created"], since["version"],
            generation=1, labels=labels, ownerReferences=owner(of),
            annotations={"deployment.kubernetes.io/revision": str(revision)},
        ),
        "spec": {
            "replicas": spec.replicas,
            "selector": {"matchLabels": labels},
            "template": _template(spec, labels),
        },
        "status": status,
    }  # fmt: skip


def job(spec: WorkloadSpec, since: dict[str, Any]) -> Json:
    """`since` has `created` and `now` in epoch seconds, and `version`."""
    done = spec.state == "completed"
    name = spec.name
    labels = {"batch.kubernetes.io/job-name": name, "job-name": name}
    status: Json = {"startTime": stamp(since["created"])}
    if done:
        finished = min(since["created"] + 97, since["now"])
        status |= {"succeeded": spec.replicas, "completionTime": stamp(finished)}
        status["conditions"] = [{**condition("Complete", True, finished), "lastProbeTime": stamp(finished)}]
    else:
        status |= {"active": spec.replicas, "ready": spec.replicas if spec.state == "healthy" else 0}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata(
            "Job",
            name,
            spec.namespace,
            since["created"],
            since["version"],
            generation=1,
            labels={"app": name},
        ),
        "spec": {
            "parallelism": spec.replicas,
            "completions": spec.replicas,
            "completionMode": "NonIndexed",
            "backoffLimit": 6,
            "suspend": False,
            "selector": {"matchLabels": {"batch.kubernetes.io/job-name": name}},
            "template": _template(spec, {"app": name, **labels}),
        },
        "status": status,
    }


def job_labels(spec: WorkloadSpec) -> Json:
    return {"app": spec.name, "batch.kubernetes.io/job-name": spec.name, "job-name": spec.name}


def service(name: str, namespace: str, port: int, target: int, created: float, version: int) -> Json:
    number = digest("service", namespace, name)
    address = f"10.96.{number % 250}.{number // 250 % 250 + 2}"
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata("Service", name, namespace, created, version, labels={"app": name}),
        "spec": {
            "type": "ClusterIP",
            "clusterIP": address,
            "clusterIPs": [address],
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "internalTrafficPolicy": "Cluster",
            "sessionAffinity": "None",
            "selector": {"app": name},
            "ports": [{"name": "http", "port": port, "protocol": "TCP", "targetPort": target}],
        },
        "status": {"loadBalancer": {}},
    }


def endpoints(of: Json, pods: list[Json]) -> tuple[Json, Json]:
    """The Endpoints and the EndpointSlice of a service over the pods that have an address."""
    meta = of["metadata"]
    name, namespace = meta["name"], meta["namespace"]
    created, version = 0.0, int(meta["resourceVersion"])
    port = {"name": "http", "port": of["spec"]["ports"][0]["targetPort"], "protocol": "TCP"}
    reached = [pod for pod in pods if "podIP" in pod["status"] and pod["status"]["phase"] == "Running"]

    def address(pod: Json) -> Json:
        return {"ip": pod["status"]["podIP"], "nodeName": pod["spec"]["nodeName"], "targetRef": _target(pod)}

    subset: Json = {"ports": [port]}
    for key, wanted in (("addresses", True), ("notReadyAddresses", False)):
        found = [address(pod) for pod in reached if is_ready(pod) == wanted]
        subset |= {key: found} if found else {}
    whole: Json = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {
            **metadata("Endpoints", name, namespace, created, version, labels=meta["labels"]),
            "creationTimestamp": meta["creationTimestamp"],
        },
        "subsets": [subset] if reached else [],
    }
    slice_labels = {**meta["labels"], "kubernetes.io/service-name": name}
    piece: Json = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            **metadata(
                "EndpointSlice", f"{name}-{digest(name, namespace) % 36**5:05x}", namespace, created, version,
                labels=slice_labels, ownerReferences=owner(of),
            ),
            "creationTimestamp": meta["creationTimestamp"],
        },
        "addressType": "IPv4",
        "ports": [port],
        "endpoints": [
            {
                "addresses": [pod["status"]["podIP"]],
                "conditions": {"ready": is_ready(pod), "serving": is_ready(pod), "terminating": False},
                "nodeName": pod["spec"]["nodeName"],
                "targetRef": _target(pod),
            }
            for pod in reached
        ],
    }  # fmt: skip
    return whole, piece


def _target(pod: Json) -> Json:
    meta = pod["metadata"]
    return {"kind": "Pod", "name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]}


def _template(spec: WorkloadSpec, labels: Json) -> Json:
    return {"metadata": {"labels": labels}, "spec": pod_spec(spec)}
