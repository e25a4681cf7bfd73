"""Events in both API groups."""

from __future__ import annotations

from rune.sandbox.kube.outcome import Note
from rune.sandbox.kube.parts import Json, digest, stamp, uid


def core_event(note: Note, about: Json, host: str | None, version: int) -> Json:
    """A `v1` Event on an object, in `default` for a cluster-wide one; `host` is where it was seen."""
    meta = about["metadata"]
    namespace = meta.get("namespace", "default")
    # Events about a node carry its name as uid: that is what the kubelet sends and what describe looks for.
    target = {
        "kind": about["kind"],
        "name": meta["name"],
        "uid": meta["name"] if about["kind"] == "Node" else meta["uid"],
        "apiVersion": about["apiVersion"],
        **(
            {"namespace": namespace, "resourceVersion": meta["resourceVersion"]}
            if "namespace" in meta
            else {}
        ),
    }
    if note.about_container:
        target["fieldPath"] = f"spec.containers{{{about['spec']['containers'][0]['name']}}}"
    mark = digest(meta["uid"], note.reason, note.message)
    name = f"{meta['name']}.{mark % 2**60:015x}"
    source = {"component": note.component, **({"host": host} if host and note.component == "kubelet" else {})}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": uid("Event", namespace, name),
            "resourceVersion": str(version),
            "creationTimestamp": stamp(note.first),
        },
        "involvedObject": target,
        "reason": note.reason,
        "message": note.message,
        "source": source,
        "firstTimestamp": stamp(note.first),
        "lastTimestamp": stamp(note.last),
        "count": note.count,
        "type": note.type,
        "eventTime": None,
        "reportingComponent": note.component,
        "reportingInstance": source.get("host", ""),
    }


def new_style_event(event: Json) -> Json:
    """The same event as `events.k8s.io/v1` shows it."""
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": event["metadata"],
        "regarding": event["involvedObject"],
        "reason": event["reason"],
        "note": event["message"],
        "type": event["type"],
        "eventTime": None,
        "reportingController": event["reportingComponent"],
        "reportingInstance": event["reportingInstance"],
        "deprecatedSource": event["source"],
        "deprecatedFirstTimestamp": event["firstTimestamp"],
        "deprecatedLastTimestamp": event["lastTimestamp"],
        "deprecatedCount": event["count"],
    }
