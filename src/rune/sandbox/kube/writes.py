"""The few changes a writable cluster takes: delete a pod, scale, restart, cordon."""

from __future__ import annotations

from typing import Any

from rune.sandbox.exchange import SimRequest, SimResponse
from rune.sandbox.kube.cluster import Cluster
from rune.sandbox.kube.parts import Json, stamp
from rune.sandbox.kube.reads import the_object
from rune.sandbox.kube.refusal import Refused
from rune.sandbox.kube.target import Target, one

RESTARTED = "kubectl.kubernetes.io/restartedAt"


def read_only(target: Target) -> Refused:
    """The 403 of a cluster that takes no changes."""
    resource = target.resource
    full = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
    subject = f'{full} "{target.name}"' if target.name else full
    return Refused(
        403,
        f"{subject} is forbidden: this cluster is read-only",
        {"name": target.name, "group": resource.group, "kind": resource.plural},
    )


def write(verb: str, request: SimRequest, target: Target, cluster: Cluster, now: float) -> SimResponse:
    """Carry out a write and answer as the API does; 405 for one the simulator does not know.

    A dry run changes nothing and answers the same.
    """
    match verb, target.resource.key, target.subresource:
        case "delete", ("", "pods"), "":
            return _delete_pod(request, target, cluster, now)
        case "patch" | "update", ("apps", "deployments"), "scale" | "":
            return _change_deployment(request, target, cluster, now)
        case "patch" | "update", ("", "nodes"), "":
            return _cordon(request, target, cluster, now)
    what = f"{target.resource.plural}/{target.subresource}".rstrip("/")
    raise Refused(405, f"this simulated cluster cannot {verb} {what}", {})


def scale_object(target: Target, cluster: Cluster, now: float) -> Json:
    """The `Scale` of a deployment."""
    found = the_object(target, cluster.snapshot(now))
    labels = found["spec"]["selector"]["matchLabels"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: found["metadata"][key] for key in kept},
        "spec": {"replicas": found["spec"]["replicas"]},
        "status": {
            "replicas": found["status"].get("replicas", 0),
            "selector": ",".join(f"{key}={value}" for key, value in labels.items()),
        },
    }


def _delete_pod(request: SimRequest, target: Target, cluster: Cluster, now: float) -> SimResponse:
    found = the_object(target, cluster.snapshot(now))
    options = _body(request) if request.body.startswith(b"{") else {}
    wanted = _at(options, "preconditions", "uid")
    if wanted not in (None, found["metadata"]["uid"]):
        raise Refused(409, f"the UID in the precondition ({wanted}) does not match the UID in record")
    if not is_dry_run(request):
        cluster.delete_pod(target.namespace, target.name, now)
    gone = {**found["metadata"], "deletionTimestamp": stamp(now), "deletionGracePeriodSeconds": 0}
    return SimResponse.json({**found, "metadata": gone})


def _change_deployment(request: SimRequest, target: Target, cluster: Cluster, now: float) -> SimResponse:
    before = the_object(target, cluster.snapshot(now))
    body = _body(request)
    replicas = _at(body, "spec", "replicas")
    restarted = _at(body, "spec", "template", "metadata", "annotations", RESTARTED)
    if replicas is None and restarted is None:
        raise Refused(405, "this simulated cluster can only scale and restart deployments", {})
    if replicas is not None and (isinstance(replicas, bool) or not isinstance(replicas, int) or replicas < 0):
        raise Refused(400, "spec.replicas: must be greater than or equal to 0")
    if not is_dry_run(request):
        if replicas is not None and replicas != before["spec"]["replicas"]:
            cluster.scale(target.namespace, target.name, replicas, now)
        if restarted is not None:
            cluster.restart(target.namespace, target.name, now)
    if target.subresource == "scale":
        return SimResponse.json(scale_object(target, cluster, now))
    return SimResponse.json(the_object(target, cluster.snapshot(now)))


def _cordon(request: SimRequest, target: Target, cluster: Cluster, now: float) -> SimResponse:
    the_object(target, cluster.snapshot(now))
    body = _body(request)
    spec = body.get("spec")
    if not isinstance(spec, dict) or (request.method == "PATCH" and "unschedulable" not in spec):
        raise Refused(405, "this simulated cluster can only cordon and uncordon nodes", {})
    if not is_dry_run(request):
        cluster.cordon(target.name, bool(spec.get("unschedulable")), now)
    return SimResponse.json(the_object(target, cluster.snapshot(now)))


def _body(request: SimRequest) -> Json:
    try:
        body = request.json()
    except ValueError as exc:
        raise Refused(400, f"the body is not JSON: {exc}") from exc
    if not isinstance(body, dict):
        raise Refused(400, "the body must be a JSON object")
    return body


def is_dry_run(request: SimRequest) -> bool:
    """Whether the query, or the options in the body of a delete, ask for a dry run."""
    options = _body(request) if request.method == "DELETE" and request.body.startswith(b"{") else {}
    return "All" in (one(request, "dryRun"), *(options.get("dryRun") or ()))


def _at(body: Json, *path: str) -> Any:
    value: Any = body
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value
