"""The simulated cluster: what is in it at a moment, and what may be done to it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace

from rune.sandbox.kube.parts import Json, suffix
from rune.sandbox.kube.shapes import ClusterSpec, NodeSpec, WorkloadSpec
from rune.sandbox.kube.snapshot import PodSlot, Revision, Snapshot, WorkloadView, take_snapshot

FIRST_VERSION = 1000
EVICTED_BEFORE = 900.0
"""How long before the start of the simulator an eviction happened."""

SETTLED_SECONDS = 10.0
"""Snapshots are kept this long: times in them that follow the clock move in such steps."""


@dataclass(slots=True)
class _Workload:
    spec: WorkloadSpec
    created: float
    version: int
    revisions: list[Revision]
    slots: list[PodSlot] = field(default_factory=list)

    def standing(self) -> str:
        """The state of its pods; the workload's own as long as any pod has not been made anew."""
        renewed = {slot.state or self.spec.state for slot in self.slots if not slot.remains}
        return renewed.pop() if len(renewed) == 1 else self.spec.state

    def view(self) -> WorkloadView:
        return WorkloadView(self.spec, self.created, self.version, tuple(self.revisions), tuple(self.slots))


class Cluster:
    """A cluster that starts at `started` (epoch seconds) and changes by its file's `changes` and by writes.

    Every change raises `version`, the resource version of what it touched. Thread-safe.
    """

    def __init__(self, spec: ClusterSpec, started: float) -> None:
        self.spec = spec
        self._started = started
        self._lock = threading.RLock()
        self._version = FIRST_VERSION
        self._due = list(spec.changes)
        self._nodes = {node.name: (node, FIRST_VERSION) for node in spec.nodes}
        self._workloads = {(w.namespace, w.name): self._new(w) for w in spec.workloads}
        self._kept: tuple[tuple[int, int], Snapshot] | None = None

    def snapshot(self, now: float) -> Snapshot:
        """All objects and logs at `now`, shared between callers and therefore not to be changed."""
        with self._lock:
            self._apply_due(now)
            key = (self._version, int(now // SETTLED_SECONDS))
            if self._kept is None or self._kept[0] != key:
                views = [workload.view() for workload in self._workloads.values()]
                nodes = list(self._nodes.values())
                self._kept = (key, take_snapshot(self.spec, views, nodes, self._started, now, self._version))
            return self._kept[1]

    def delete_pod(self, namespace: str, name: str, now: float) -> bool:
        """Delete a pod; its workload makes a new one, remains of an eviction just go. False if unknown."""
        with self._lock:
            workload, slot = self._find(namespace, name, now)
            if workload is None or slot is None:
                return False
            workload.slots.remove(slot)
            if not slot.remains:
                state = workload.spec.after_delete or slot.state
                fresh = PodSlot(
                    slot.ordinal, slot.incarnation + 1, now, self._node(slot.ordinal), state=state
                )
                workload.slots.append(fresh)
            self._touch(workload)
            return True

    def scale(self, namespace: str, name: str, replicas: int, now: float) -> bool:
        """Set a deployment's replicas; False when there is no such deployment."""
        with self._lock:
            workload = self._deployment(namespace, name, now)
            if workload is None:
                return False
            workload.spec = replace(workload.spec, replicas=replicas)
            self._fill(workload, now)
            self._touch(workload)
            return True

    def restart(self, namespace: str, name: str, now: float) -> bool:
        """Roll a deployment out anew, its pods in state `after_delete` if set. False if unknown."""
        with self._lock:
            workload = self._deployment(namespace, name, now)
            if workload is None:
                return False
            spec = workload.spec
            self._roll(workload, replace(spec, state=spec.after_delete or spec.state), now)
            return True

    def cordon(self, name: str, unschedulable: bool, now: float) -> bool:
        """Mark a node; False when there is none."""
        with self._lock:
            self._apply_due(now)
            if name not in self._nodes:
                return False
            self._version += 1
            node: NodeSpec = replace(self._nodes[name][0], unschedulable=unschedulable)
            self._nodes[name] = (node, self._version)
            return True

    def describe(self, now: float) -> Json:
        """What the control route `state` shows."""
        snapshot = self.snapshot(now)
        pods = snapshot.objects[("", "pods")]
        with self._lock:
            return {
                "cluster": self.spec.name,
                "scenario": self.spec.source,
                "resource_version": self._version,
                "workloads": [
                    {
                        "namespace": w.spec.namespace,
                        "name": w.spec.name,
                        "kind": w.spec.kind,
                        "state": w.standing(),
                        "replicas": w.spec.replicas,
                        "pods": [
                            pod["metadata"]["name"]
                            for pod in pods
                            if pod["metadata"]["namespace"] == w.spec.namespace
                            and pod["metadata"]["labels"]["app"] == w.spec.name
                        ],
                    }
                    for w in self._workloads.values()
                ],
                "nodes": [
                    {"name": node.name, "ready": node.ready, "unschedulable": node.unschedulable}
                    for node, _ in self._nodes.values()
                ],
            }

    def _new(self, spec: WorkloadSpec) -> _Workload:
        created = self._started - spec.age_seconds
        first = Revision(1, suffix(9, spec.namespace, spec.name, 1), spec, created)
        workload = _Workload(spec, created, FIRST_VERSION, [first])
        self._fill(workload, created)
        return workload

    def _fill(self, workload: _Workload, now: float) -> None:
        """Make the slots fit the spec: as many as replicas, and one that remains of an eviction."""
        spec = workload.spec
        living = [slot for slot in workload.slots if not slot.remains][: spec.replicas]
        taken = {slot.ordinal for slot in living}
        free = (n for n in range(spec.replicas + len(taken)) if n not in taken)
        for _ in range(spec.replicas - len(living)):
            ordinal = next(free)
            living.append(PodSlot(ordinal, 0, now, self._node(ordinal)))
        remains = [slot for slot in workload.slots if slot.remains]
        if spec.state == "evicted" and not workload.slots:
            evicted_at = max(now, self._started - EVICTED_BEFORE)
            remains = [PodSlot(0, 0, now, self._node(0), evicted_at)]
            living[:1] = [replace(slot, created=evicted_at) for slot in living[:1]]
        workload.slots = [*living, *remains]

    def _node(self, ordinal: int) -> str:
        """Where a new pod goes: ready nodes in turn, or any node when none would take it."""
        nodes = [node for node, _ in self._nodes.values()]
        usable = [node for node in nodes if node.ready and not node.unschedulable] or nodes
        return usable[ordinal % len(usable)].name

    def _roll(self, workload: _Workload, spec: WorkloadSpec, now: float) -> None:
        number = workload.revisions[-1].number + 1
        name = suffix(9, spec.namespace, spec.name, number)
        workload.spec = spec
        workload.revisions.append(Revision(number, name, spec, now))
        workload.slots = []
        self._fill(workload, now)
        self._touch(workload)

    def _touch(self, workload: _Workload) -> None:
        self._version += 1
        workload.version = self._version

    def _apply_due(self, now: float) -> None:
        while self._due and self._started + self._due[0].at_seconds <= now:
            change = self._due.pop(0)
            workload = self._workloads[(change.namespace, change.workload)]
            self._roll(workload, change.after, self._started + change.at_seconds)

    def _deployment(self, namespace: str, name: str, now: float) -> _Workload | None:
        self._apply_due(now)
        workload = self._workloads.get((namespace, name))
        return workload if workload is not None and workload.spec.kind == "Deployment" else None

    def _find(self, namespace: str, name: str, now: float) -> tuple[_Workload | None, PodSlot | None]:
        self._apply_due(now)
        for workload in self._workloads.values():
            if workload.spec.namespace == namespace:
                view = workload.view()
                for slot in workload.slots:
                    if view.pod_name(slot) == name:
                        return workload, slot
        return None, None
