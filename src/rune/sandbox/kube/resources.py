"""The resource types the simulator serves, and their discovery documents."""

from __future__ import annotations

from dataclasses import dataclass

from rune.sandbox.kube.parts import Json

READ = ("get", "list", "watch")
WRITE = ("create", "delete", "deletecollection", "patch", "update")
ALL = tuple(sorted((*READ, *WRITE)))


@dataclass(frozen=True, slots=True)
class Resource:
    """A type; `group` is empty for core. A subresource is name, kind (empty: the same) and verbs."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL
    subresources: tuple[tuple[str, str, tuple[str, ...]], ...] = ()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def key(self) -> tuple[str, str]:
        return self.group, self.plural


WHOLE = ("all",)
SCALE = (("scale", "Scale", ("get", "patch", "update")), ("status", "", ("get", "patch", "update")))
STATUS = (("status", "", ("get", "patch", "update")),)

RESOURCES = (
    Resource("", "v1", "configmaps", "ConfigMap", short=("cm",)),
    Resource("", "v1", "endpoints", "Endpoints", short=("ep",)),
    Resource("", "v1", "events", "Event", short=("ev",)),
    Resource("", "v1", "limitranges", "LimitRange", short=("limits",)),
    Resource("", "v1", "namespaces", "Namespace", False, ("ns",)),
    Resource("", "v1", "nodes", "Node", False, ("no",), subresources=STATUS),
    Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", short=("pvc",)),
    Resource("", "v1", "persistentvolumes", "PersistentVolume", False, ("pv",)),
    Resource("", "v1", "pods", "Pod", True, ("po",), WHOLE, subresources=(("log", "Pod", ("get",)), *STATUS)),
    Resource("", "v1", "replicationcontrollers", "ReplicationController", True, ("rc",), WHOLE),
    Resource("", "v1", "resourcequotas", "ResourceQuota", short=("quota",)),
    Resource("", "v1", "secrets", "Secret"),
    Resource("", "v1", "serviceaccounts", "ServiceAccount", short=("sa",)),
    Resource("", "v1", "services", "Service", True, ("svc",), WHOLE),
    Resource("apps", "v1", "controllerrevisions", "ControllerRevision"),
    Resource("apps", "v1", "daemonsets", "DaemonSet", True, ("ds",), WHOLE),
    Resource("apps", "v1", "deployments", "Deployment", True, ("deploy",), WHOLE, subresources=SCALE),
    Resource("apps", "v1", "replicasets", "ReplicaSet", True, ("rs",), WHOLE),
    Resource("apps", "v1", "statefulsets", "StatefulSet", True, ("sts",), WHOLE),
    Resource("events.k8s.io", "v1", "events", "Event"),
    Resource(
        "authorization.k8s.io",
        "v1",
        "selfsubjectaccessreviews",
        "SelfSubjectAccessReview",
        False,
        verbs=("create",),
    ),
    Resource(
        "authorization.k8s.io",
        "v1",
        "selfsubjectrulesreviews",
        "SelfSubjectRulesReview",
        False,
        verbs=("create",),
    ),
    Resource(
        "autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", True, ("hpa",), WHOLE
    ),
    Resource("batch", "v1", "cronjobs", "CronJob", True, ("cj",), WHOLE),
    Resource("batch", "v1", "jobs", "Job", True, (), WHOLE),
    Resource("coordination.k8s.io", "v1", "leases", "Lease"),
    Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice"),
    Resource("networking.k8s.io", "v1", "ingressclasses", "IngressClass", False),
    Resource("networking.k8s.io", "v1", "ingresses", "Ingress", True, ("ing",)),
    Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", True, ("netpol",)),
    Resource("metrics.k8s.io", "v1beta1", "nodes", "NodeMetrics", False, verbs=("get", "list")),
    Resource("metrics.k8s.io", "v1beta1", "pods", "PodMetrics", True, verbs=("get", "list")),
)


class Catalog:
    """The types one cluster serves; without a metrics server that group is missing."""

    def __init__(self, *, metrics: bool) -> None:
        self._served = [each for each in RESOURCES if metrics or each.group != "metrics.k8s.io"]

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        wanted = (group, version, plural)
        return next((r for r in self._served if (r.group, r.version, r.plural) == wanted), None)

    def plurals(self) -> list[Resource]:
        return list(self._served)

    def discovery(self, path: str) -> Json | None:
        """The document at `/api`, `/apis`, `/api/v1`, `/apis/<group>` or `/apis/<group>/<version>`."""
        parts = path.strip("/").split("/")
        match parts:
            case ["api"]:
                return {
                    "kind": "APIVersions",
                    "apiVersion": "v1",
                    "versions": ["v1"],
                    "serverAddressByClientCIDRs": [],
                }
            case ["apis"]:
                groups = [self._group(name) for name in self._groups()]
                return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
            case ["api", version]:
                return self._resource_list("", version)
            case ["apis", group]:
                if group not in self._groups():
                    return None
                return {"kind": "APIGroup", "apiVersion": "v1", **self._group(group)}
            case ["apis", group, version]:
                return self._resource_list(group, version)
        return None

    def _groups(self) -> list[str]:
        return list(dict.fromkeys(each.group for each in self._served if each.group))

    def _group(self, name: str) -> Json:
        version = next(each.version for each in self._served if each.group == name)
        entry = {"groupVersion": f"{name}/{version}", "version": version}
        return {"name": name, "versions": [entry], "preferredVersion": entry}

    def _resource_list(self, group: str, version: str) -> Json | None:
        found = [each for each in self._served if (each.group, each.version) == (group, version)]
        if not found:
            return None
        entries: list[Json] = []
        for each in found:
            entry: Json = {
                "name": each.plural,
                "singularName": each.kind.lower(),
                "namespaced": each.namespaced,
                "kind": each.kind,
                "verbs": list(each.verbs),
            }
            entry |= {"shortNames": list(each.short)} if each.short else {}
            entry |= {"categories": list(each.categories)} if each.categories else {}
            entries.append(entry)
            for name, kind, verbs in each.subresources:
                sub: Json = {
                    "name": f"{each.plural}/{name}",
                    "singularName": "",
                    "namespaced": each.namespaced,
                    "kind": kind or each.kind,
                    "verbs": list(verbs),
                }
                entries.append(sub | ({"group": "autoscaling", "version": "v1"} if kind == "Scale" else {}))
        return {
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": found[0].api_version,
            "resources": entries,
        }


def version_document(version: str) -> Json:
    """The answer of `/version` for a version such as `v1.33.2`."""
    major, minor, *_ = version.removeprefix("v").split(".")
    return {
        "major": major,
        "minor": minor,
        "gitVersion": version,
        "gitCommit": "0" * 40,
        "gitTreeState": "clean",
        "buildDate": "2025-06-17T18:32:14Z",
        "goVersion": "go1.24.4",
        "compiler": "gc",
        "platform": "linux/amd64",
    }
