"""What a cluster file says, once checked (holmes-driver.md 6.2). Everything here is immutable."""

from __future__ import annotations

from dataclasses import dataclass, field

STATES = (
    "healthy",
    "crash_loop",
    "oom_killed",
    "image_pull_error",
    "pending",
    "bad_config",
    "not_ready",
    "evicted",
    "completed",
)
"""Every state a workload may be in; each is also the name of a built-in scenario."""

DEFAULT_RESTARTS = {"crash_loop": 12, "oom_killed": 5}
HOUR = 3600.0
DAY = 24 * HOUR


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """A node; `cpu` and `memory` are Kubernetes quantities."""

    name: str
    ready: bool = True
    cpu: str = "4"
    memory: str = "8Gi"
    unschedulable: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """What a token may do: `*` matches anything but `excluded` resources; no namespaces means all."""

    verbs: tuple[str, ...]
    resources: tuple[str, ...]
    namespaces: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TokenSpec:
    """A user, what it may do, and its bearer token."""

    user: str
    rules: tuple[Rule, ...]
    token: str


@dataclass(frozen=True, slots=True)
class WorkloadSpec:
    """One workload: a Deployment with its pods and service, or a Job.

    `logs` are the telling lines of its main container. `age_seconds` is how long it has existed when the
    simulator starts. `after_delete` is the state of pods that replace deleted or restarted ones, so that a
    repair can be tried out.
    """

    name: str
    namespace: str = "default"
    kind: str = "Deployment"
    state: str = "healthy"
    replicas: int = 1
    image: str = ""
    restarts: int = 0
    logs: tuple[str, ...] = ()
    memory_limit: str = "256Mi"
    cpu_request: str = "100m"
    reason: str = ""
    missing_kind: str = "configmap"
    missing_name: str = ""
    sidecars: tuple[str, ...] = ()
    service: bool = True
    port: int = 8080
    age_seconds: float = 26 * HOUR
    after_delete: str = ""


@dataclass(frozen=True, slots=True)
class ConfigSpec:
    """A config map or secret with plain-text values."""

    name: str
    namespace: str
    data: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ChangeSpec:
    """At `at_seconds` of clock time after the start, the workload becomes `after`: a rollout of new pods."""

    at_seconds: float
    namespace: str
    workload: str
    after: WorkloadSpec


@dataclass(frozen=True, slots=True)
class ClusterSpec:
    """A whole cluster as a file describes it."""

    name: str = "demo"
    version: str = "v1.33.2"
    nodes: tuple[NodeSpec, ...] = (NodeSpec("node-1"),)
    tokens: tuple[TokenSpec, ...] = ()
    namespaces: tuple[str, ...] = ()
    workloads: tuple[WorkloadSpec, ...] = ()
    changes: tuple[ChangeSpec, ...] = ()
    configmaps: tuple[ConfigSpec, ...] = ()
    secrets: tuple[ConfigSpec, ...] = ()
    writable: bool = False
    metrics: bool = True
    source: str = field(default="cluster", compare=False)
