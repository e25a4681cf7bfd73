"""Nodes, their leases, and what the metrics server would say about them."""

from __future__ import annotations

from rune.sandbox.kube.outcome import Note
from rune.sandbox.kube.parts import Json, amount, condition, digest, hex_id, metadata, stamp
from rune.sandbox.kube.shapes import DAY, HOUR, ClusterSpec, NodeSpec

PRESSURES = (
    ("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
)
SILENT = ("NodeStatusUnknown", "Kubelet stopped posting node status.")
NODE_AGE = 30 * DAY
SILENT_FOR = 900.0


def node_object(spec: NodeSpec, cluster: ClusterSpec, start: float, now: float, version: int) -> Json:
    """A node; one that is not ready has been silent for a quarter of an hour and is tainted."""
    heard = now if spec.ready else max(start - SILENT_FOR, 0)
    memory = f"{int(amount(spec.memory) / 1024)}Ki"
    usable = f"{int(amount(spec.memory) / 1024) - 102400}Ki"
    common = {"cpu": spec.cpu, "ephemeral-storage": "103079200Ki", "hugepages-2Mi": "0", "pods": "110"}
    taints = []
    if spec.unschedulable:
        taints.append({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"})
    if not spec.ready:
        for effect in ("NoSchedule", "NoExecute"):
            taints.append(
                {"key": "node.kubernetes.io/unreachable", "effect": effect, "timeAdded": stamp(heard)}
            )
    address = f"10.0.0.{10 + digest('host', spec.name) % 200}"
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": metadata(
            "Node", spec.name, None, start - NODE_AGE, version,
            labels={
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/hostname": spec.name,
                "kubernetes.io/os": "linux",
            },
            annotations={"node.alpha.kubernetes.io/ttl": "0"},
        ),
        "spec": {
            "podCIDR": "10.244.0.0/24",
            **({"unschedulable": True} if spec.unschedulable else {}),
            **({"taints": taints} if taints else {}),
        },
        "status": {
            "capacity": {**common, "memory": memory},
            "allocatable": {**common, "memory": usable},
            "conditions": _conditions(spec, start, heard),
            "addresses": [
                {"type": "InternalIP", "address": address},
                {"type": "Hostname", "address": spec.name},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "nodeInfo": {
                "architecture": "amd64",
                "bootID": hex_id(32, "boot", spec.name),
                "containerRuntimeVersion": "containerd://1.7.27",
                "kernelVersion": "6.1.0-35-amd64",
                "kubeProxyVersion": cluster.version,
                "kubeletVersion": cluster.version,
                "machineID": hex_id(32, "machine", spec.name),
                "operatingSystem": "linux",
                "osImage": "Debian GNU/Linux 12 (bookworm)",
                "systemUUID": hex_id(32, "system", spec.name),
            },
        },
    }  # fmt: skip


def lease(spec: NodeSpec, start: float, now: float, version: int) -> Json:
    heard = now if spec.ready else start - SILENT_FOR
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": metadata("Lease", spec.name, "kube-node-lease", start - NODE_AGE, version),
        "spec": {
            "holderIdentity": spec.name,
            "leaseDurationSeconds": 40,
            "renewTime": stamp(heard).replace("Z", ".000000Z"),
        },
    }


def node_notes(spec: NodeSpec, start: float, now: float) -> tuple[Note, ...]:
    if spec.ready or now - start > HOUR - SILENT_FOR:
        return ()
    when = start - SILENT_FOR
    text = f"Node {spec.name} status is now: NodeNotReady"
    return (Note("NodeNotReady", text, when, when, component="node-controller"),)


def node_metrics(spec: NodeSpec, now: float) -> Json:
    used = amount(spec.memory) * (0.35 + digest("load", spec.name) % 20 / 100)
    return {
        "apiVersion": "metrics.k8s.io/v1beta1",
        "kind": "NodeMetrics",
        "metadata": {"name": spec.name, "creationTimestamp": stamp(now)},
        "timestamp": stamp(now),
        "window": "20s",
        "usage": {
            "cpu": f"{int(amount(spec.cpu) * 1000 * 0.12)}m",
            "memory": f"{int(used / 1024)}Ki",
        },
    }


def pod_metrics(pod: Json, now: float) -> Json | None:
    """Usage of a pod's running containers; None without any, as the metrics server has it."""
    statuses = pod["status"].get("containerStatuses", [])
    active = {status["name"] for status in statuses if "running" in status["state"]}
    used = [
        {"name": container["name"], "usage": _usage(pod, container)}
        for container in pod["spec"]["containers"]
        if container["name"] in active
    ]
    if not used:
        return None
    meta = pod["metadata"]
    return {
        "apiVersion": "metrics.k8s.io/v1beta1",
        "kind": "PodMetrics",
        "metadata": {
            "name": meta["name"],
            "namespace": meta["namespace"],
            "labels": meta["labels"],
            "creationTimestamp": stamp(now),
        },
        "timestamp": stamp(now),
        "window": "15s",
        "containers": used,
    }


def _usage(pod: Json, container: Json) -> Json:
    share = 0.3 + digest("use", pod["metadata"]["uid"], container["name"]) % 25 / 100
    asked = container["resources"]["requests"]
    return {
        "cpu": f"{max(int(amount(asked['cpu']) * 1000 * share), 1)}m",
        "memory": f"{int(amount(asked['memory']) * share / 1024)}Ki",
    }


def _conditions(spec: NodeSpec, start: float, heard: float) -> list[Json]:
    since = start - NODE_AGE if spec.ready else heard
    found = [condition(kind, False if spec.ready else "Unknown", since, *(text if spec.ready else SILENT))
             for kind, *text in PRESSURES]  # fmt: skip
    ready = ("KubeletReady", "kubelet is posting ready status") if spec.ready else SILENT
    found.append(condition("Ready", True if spec.ready else "Unknown", since, *ready))
    return [{**each, "lastHeartbeatTime": stamp(heard)} for each in found]
