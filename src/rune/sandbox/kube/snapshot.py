"""All API objects of a cluster at one moment."""

from __future__ import annotations

from base64 import b64encode
from collections import defaultdict
from dataclasses import dataclass, field, replace

from rune.sandbox.kube import workloads as around
from rune.sandbox.kube.events import core_event, new_style_event
from rune.sandbox.kube.nodes import lease, node_metrics, node_notes, node_object, pod_metrics
from rune.sandbox.kube.outcome import ContainerLog, Note, PodMoment
from rune.sandbox.kube.parts import Json, metadata, suffix, uid
from rune.sandbox.kube.pods import BuiltPod, build_pod
from rune.sandbox.kube.shapes import DAY, HOUR, ClusterSpec, ConfigSpec, NodeSpec, WorkloadSpec

RESTART_EVERY = 30.0
"""A container that keeps crashing restarts at most this often, so a pod made just now has few restarts."""

Objects = dict[tuple[str, str], list[Json]]


@dataclass(frozen=True, slots=True)
class PodSlot:
    """A place for a pod in its workload, on a node; a new incarnation is a new pod.

    With `evicted_at` (epoch seconds) it is what an eviction left; `state` overrides the workload's.
    """

    ordinal: int
    incarnation: int
    created: float
    node: str
    evicted_at: float | None = None
    state: str = ""

    @property
    def remains(self) -> bool:
        return self.evicted_at is not None


@dataclass(frozen=True, slots=True)
class Revision:
    number: int
    template_hash: str
    spec: WorkloadSpec
    created: float


@dataclass(frozen=True, slots=True)
class WorkloadView:
    """A workload as it stands: its spec, when it was made, what last touched it, its revisions and pods."""

    spec: WorkloadSpec
    created: float
    version: int
    revisions: tuple[Revision, ...]
    slots: tuple[PodSlot, ...]

    def pod_name(self, slot: PodSlot) -> str:
        tail = suffix(5, self.spec.namespace, self.spec.name, self.revisions[-1].number, slot.ordinal,
                      slot.incarnation, slot.remains)  # fmt: skip
        if self.spec.kind == "Job":
            return f"{self.spec.name}-{tail}"
        return f"{self.spec.name}-{self.revisions[-1].template_hash}-{tail}"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Objects by (group, plural), sorted by namespace and name; logs by (namespace, pod) and container."""

    version: int
    objects: Objects = field(default_factory=dict)
    logs: dict[tuple[str, str], dict[str, ContainerLog]] = field(default_factory=dict)


def take_snapshot(
    spec: ClusterSpec,
    views: list[WorkloadView],
    nodes: list[tuple[NodeSpec, int]],
    start: float,
    now: float,
    version: int,
) -> Snapshot:
    """Build everything; `start` and `now` in epoch seconds, `version` the cluster's resource version."""
    objects: Objects = defaultdict(list)
    logs: dict[tuple[str, str], dict[str, ContainerLog]] = {}
    _add_fixed(objects, spec, start)
    for node, changed in nodes:
        made = node_object(node, spec, start, now, changed)
        objects[("", "nodes")].append(made)
        objects[("coordination.k8s.io", "leases")].append(lease(node, start, now, changed))
        _add_events(objects, made, node_notes(node, start, now), None, changed)
        if spec.metrics and node.ready:
            objects[("metrics.k8s.io", "nodes")].append(node_metrics(node, now))
    for view in views:
        for built in _add_workload(objects, view, len(nodes), now):
            meta = built.object["metadata"]
            logs[(meta["namespace"], meta["name"])] = built.logs
    if spec.metrics:
        used = [pod_metrics(pod, now) for pod in objects[("", "pods")]]
        objects[("metrics.k8s.io", "pods")] = [each for each in used if each]
    objects[("events.k8s.io", "events")] = [new_style_event(e) for e in objects[("", "events")]]
    ordered = {key: sorted(found, key=_order) for key, found in objects.items()}
    return Snapshot(version, defaultdict(list, ordered), logs)


def _add_workload(objects: Objects, view: WorkloadView, node_count: int, now: float) -> list[BuiltPod]:
    spec, revision = view.spec, view.revisions[-1]
    since = {
        "created": view.created,
        "rolled": revision.created,
        "version": view.version,
        "now": now,
        "replicaset": f"{spec.name}-{revision.template_hash}",
    }
    if spec.kind == "Job":
        parent = around.job(spec, since)
        labels = around.job_labels(spec)
    else:
        # The pods need their owner's name and uid before the owner can count the pods.
        empty = around.deployment(spec, [], revision.number, since)
        parent = around.replica_set(spec, empty, revision.template_hash, [], revision.number, since)
        labels = parent["metadata"]["labels"]
    built = []
    for slot in view.slots:
        made = build_pod(_moment(view, slot, node_count, now), parent, labels, slot.node, view.version)
        built.append(made)
        _add_events(objects, made.object, made.notes, slot.node, view.version)
    pods = [each.object for each in built]
    objects[("", "pods")] += pods
    if spec.kind == "Job":
        objects[("batch", "jobs")].append(parent)
        created = Note("SuccessfulCreate", f"Created pod: {pods[0]['metadata']['name']}" if pods else "",
                       view.created, view.created, component="job-controller")  # fmt: skip
        _add_events(
            objects, parent, (created,) if pods and now - view.created < HOUR else (), None, view.version
        )
        return built
    whole = around.deployment(spec, pods, revision.number, since)
    objects[("apps", "deployments")].append(whole)
    for past in view.revisions[:-1]:
        retired = replace(past.spec, replicas=0)
        made_then = {"created": past.created, "version": view.version}
        objects[("apps", "replicasets")].append(
            around.replica_set(retired, whole, past.template_hash, [], past.number, made_then)
        )
    present = {**since, "created": revision.created}
    current = around.replica_set(spec, whole, revision.template_hash, pods, revision.number, present)
    objects[("apps", "replicasets")].append(current)
    if now - revision.created < HOUR:
        text = f"Scaled up replica set {since['replicaset']} from 0 to {spec.replicas}"
        note = Note(
            "ScalingReplicaSet", text, revision.created, revision.created, component="deployment-controller"
        )
        _add_events(objects, whole, (note,), None, view.version)
    if spec.service:
        front = around.service(spec.name, spec.namespace, 80, spec.port, view.created, view.version)
        objects[("", "services")].append(front)
        addresses, piece = around.endpoints(front, pods)
        objects[("", "endpoints")].append(addresses)
        objects[("discovery.k8s.io", "endpointslices")].append(piece)
    return built


def _moment(view: WorkloadView, slot: PodSlot, nodes: int, now: float) -> PodMoment:
    name = view.pod_name(slot)
    spec = view.spec
    if spec.state == "evicted" and not slot.remains:
        spec = replace(spec, state="healthy", logs=())
    elif slot.state and slot.state != spec.state:
        spec = replace(spec, state=slot.state, restarts=0, logs=(), reason="")
    age = max(now - slot.created, 0)
    restarts = min(spec.restarts, 1 + int(age // RESTART_EVERY))
    gone = slot.evicted_at or now
    return PodMoment(spec, name, uid("Pod", spec.namespace, name), slot.created, now, restarts, nodes, gone)


def _add_events(
    objects: Objects, about: Json, notes: tuple[Note, ...], host: str | None, version: int
) -> None:
    objects[("", "events")] += [core_event(note, about, host, version) for note in notes]


def _add_fixed(objects: Objects, spec: ClusterSpec, start: float) -> None:
    made = start - 30 * DAY
    version = 1000
    for name in spec.namespaces:
        meta = metadata("Namespace", name, None, made, version, labels={"kubernetes.io/metadata.name": name})
        objects[("", "namespaces")].append(
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": meta,
                "spec": {"finalizers": ["kubernetes"]},
                "status": {"phase": "Active"},
            }
        )
        account = metadata("ServiceAccount", "default", name, made, version)
        objects[("", "serviceaccounts")].append(
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account}
        )
    for config in spec.configmaps:
        objects[("", "configmaps")].append(_config("ConfigMap", config, made, version))
    for config in spec.secrets:
        objects[("", "secrets")].append(_config("Secret", config, made, version))
    api = around.service("kubernetes", "default", 443, 6443, made, version)
    del api["spec"]["selector"]
    api["spec"]["ports"][0]["name"] = "https"
    objects[("", "services")].append(api)


def _config(kind: str, config: ConfigSpec, made: float, version: int) -> Json:
    data = dict(config.data)
    if kind == "Secret":
        data = {key: b64encode(value.encode()).decode() for key, value in data.items()}
    return {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": metadata(kind, config.name, config.namespace, made, version),
        "data": data,
        **({"type": "Opaque"} if kind == "Secret" else {}),
    }


def _order(found: Json) -> tuple[str, str]:
    meta = found["metadata"]
    return meta.get("namespace", ""), meta["name"]
