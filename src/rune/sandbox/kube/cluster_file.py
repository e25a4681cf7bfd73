"""From a cluster file or scenario name to a checked `ClusterSpec` (holmes-driver.md 6.2)."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from rune.sandbox.kube.fields import BadClusterFile, Field
from rune.sandbox.kube.shapes import (
    DEFAULT_RESTARTS,
    STATES,
    ChangeSpec,
    ClusterSpec,
    ConfigSpec,
    NodeSpec,
    Rule,
    TokenSpec,
    WorkloadSpec,
)

TOP = (
    "cluster",
    "auth",
    "namespaces",
    "workloads",
    "changes",
    "configmaps",
    "secrets",
    "writable",
    "metrics",
)
WORKLOAD = (
    "name", "namespace", "kind", "state", "replicas", "image", "restarts", "logs", "memory_limit",
    "cpu_request", "reason", "missing", "sidecars", "service", "port", "age_seconds", "after_delete",
)  # fmt: skip
CHANGEABLE = (
    "state", "replicas", "image", "restarts", "logs", "memory_limit", "reason", "missing", "after_delete",
)  # fmt: skip
RULE = ("verbs", "resources", "namespaces", "except")
FIXED_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")


def scenario_names() -> list[str]:
    """The built-in scenarios, `mixed` last."""
    folder = resources.files("rune.sandbox") / "scenarios"
    names = [entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")]
    return sorted(names, key=lambda name: (name == "mixed", name))


def load_cluster(source: str | dict[str, Any] | Path) -> ClusterSpec:
    """A scenario's name, a mapping in the form of a cluster file, or the path of one.

    Raises BadClusterFile (a ValueError) naming the field at fault, or for an unknown scenario.
    """
    if isinstance(source, dict):
        return parse_cluster(source, "cluster")
    if isinstance(source, str) and "/" not in source and not source.endswith((".yaml", ".yml")):
        if source not in scenario_names():
            raise BadClusterFile(f"scenario: {source!r} is not one of {', '.join(scenario_names())}")
        text = (resources.files("rune.sandbox") / "scenarios" / f"{source}.yaml").read_text("utf-8")
        return parse_cluster(_document(text), source)
    path = Path(source)
    try:
        return parse_cluster(_document(path.read_text("utf-8")), path.stem)
    except (OSError, UnicodeDecodeError) as exc:
        raise BadClusterFile(f"cluster file: cannot be read: {exc}") from exc


def _document(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as exc:
        raise BadClusterFile(f"the document: not YAML: {exc}") from exc


def parse_cluster(document: Any, source: str) -> ClusterSpec:
    """Check a whole document; `source` is what `state` and the log call it."""
    top = Field(document).members(TOP)
    about = top["cluster"].members(("name", "version", "nodes"))
    workloads = tuple(_workload(field) for field in top["workloads"].items())
    _no_twins(top["workloads"], [(w.namespace, w.name) for w in workloads])
    nodes = tuple(_node(field) for field in about["nodes"].items()) or (NodeSpec("node-1"),)
    _no_twins(about["nodes"], [(node.name,) for node in nodes])
    named = [field.name() for field in top["namespaces"].items()]
    configmaps = tuple(_config(field) for field in top["configmaps"].items())
    secrets = tuple(_config(field) for field in top["secrets"].items())
    used = [w.namespace for w in workloads] + [c.namespace for c in (*configmaps, *secrets)]
    auth = top["auth"].members(("tokens",))
    return ClusterSpec(
        name=about["name"].name("demo"),
        version=_version(about["version"]),
        nodes=nodes,
        tokens=tuple(_token(key, field) for key, field in auth["tokens"].entries().items()),
        namespaces=tuple(dict.fromkeys([*FIXED_NAMESPACES, *named, *used])),
        workloads=workloads,
        changes=_changes(top["changes"], workloads),
        configmaps=configmaps,
        secrets=secrets,
        writable=top["writable"].flag(False),
        metrics=top["metrics"].flag(True),
        source=source,
    )


def _version(field: Field) -> str:
    text = field.text("v1.33.2")
    parts = text.removeprefix("v").split(".")
    if not text.startswith("v") or len(parts) != 3 or not all(p.isdigit() for p in parts[:2]):
        raise field.fail(f"{text!r} is not a version such as v1.33.2")
    return text


def _node(field: Field) -> NodeSpec:
    members = field.members(("name", "ready", "cpu", "memory", "unschedulable"))
    return NodeSpec(
        name=members["name"].name(),
        ready=members["ready"].flag(True),
        cpu=members["cpu"].quantity("4"),
        memory=members["memory"].quantity("8Gi"),
        unschedulable=members["unschedulable"].flag(False),
    )


def _token(key: str, field: Field) -> TokenSpec:
    if key.strip() != key or not key:
        raise field.fail("a token must be a text without blanks around it")
    given = field.entries()
    token = given["token"].text() if "token" in given else key
    if "rules" in given:
        rules = field.members(("rules", "token"))["rules"].items()
        return TokenSpec(key, tuple(_rule(rule) for rule in rules), token)
    return TokenSpec(
        key, (_rule(Field({k: v.value for k, v in given.items() if k != "token"}, field.path)),), token
    )


def _rule(field: Field) -> Rule:
    members = field.members(RULE)
    for needed in ("verbs", "resources"):
        if not members[needed].items():
            raise members[needed].fail("must be a list of at least one text")
    return Rule(
        verbs=members["verbs"].texts(),
        resources=members["resources"].texts(),
        namespaces=members["namespaces"].texts(),
        excluded=members["except"].texts(),
    )


def _config(field: Field) -> ConfigSpec:
    members = field.members(("name", "namespace", "data"))
    data = tuple((key, value.text(may_be_empty=True)) for key, value in members["data"].entries().items())
    return ConfigSpec(members["name"].name(), members["namespace"].name("default"), data)


def _workload(field: Field) -> WorkloadSpec:
    members = field.members(WORKLOAD)
    state = members["state"].choice(STATES, "healthy")
    kind = members["kind"].choice(("Deployment", "Job"), "Job" if state == "completed" else "Deployment")
    spec = WorkloadSpec(
        name=members["name"].name(),
        namespace=members["namespace"].name("default"),
        kind=kind,
        cpu_request=members["cpu_request"].quantity("100m"),
        sidecars=tuple(item.name() for item in members["sidecars"].items()),
        service=members["service"].flag(kind == "Deployment"),
        port=members["port"].whole(8080, least=1, most=65535),
        age_seconds=members["age_seconds"].seconds(26 * 3600.0),
    )
    return _with_symptoms(spec, members)


def _with_symptoms(spec: WorkloadSpec, members: dict[str, Field]) -> WorkloadSpec:
    """Apply the fields that a change may set as well; those not given keep what `spec` has."""
    state = members["state"].choice(STATES, spec.state)
    if state == "completed" and spec.kind != "Job":
        raise members["state"].fail("completed is a state of kind: Job")
    if state == "evicted" and spec.kind == "Job":
        raise members["state"].fail("evicted is a state of kind: Deployment")
    missing = members["missing"].members(("configmap", "secret"))
    given = [key for key in ("configmap", "secret") if missing[key].given]
    if len(given) > 1:
        raise members["missing"].fail("names one config map or one secret, not both")
    return replace(
        spec,
        state=state,
        replicas=members["replicas"].whole(spec.replicas, most=500),
        image=members["image"].text(spec.image or f"registry.test/{spec.name}:1.4.2"),
        restarts=members["restarts"].whole(DEFAULT_RESTARTS.get(state, 0)),
        logs=tuple(line.text(may_be_empty=True) for line in members["logs"].items()),
        memory_limit=members["memory_limit"].quantity(spec.memory_limit),
        reason=members["reason"].text("") if members["reason"].given else "",
        missing_kind=given[0] if given else "configmap",
        missing_name=missing[given[0]].name() if given else f"{spec.name}-config",
        after_delete=members["after_delete"].choice(("", *STATES), spec.after_delete),
    )


def _changes(field: Field, workloads: tuple[WorkloadSpec, ...]) -> tuple[ChangeSpec, ...]:
    latest = {(w.namespace, w.name): w for w in workloads}
    entries = [
        (item.members(("at_seconds", "workload", "namespace", *CHANGEABLE)), item) for item in field.items()
    ]
    changes = []
    for members, item in sorted(entries, key=lambda entry: entry[0]["at_seconds"].seconds()):
        name = members["workload"].name()
        wanted = members["namespace"].name() if members["namespace"].given else None
        found = [key for key in latest if key[1] == name and wanted in (None, key[0])]
        if not found:
            raise members["workload"].fail(f"there is no workload {name!r}")
        if len(found) > 1:
            raise members["workload"].fail(f"{name!r} is in several namespaces: add namespace")
        if not any(members[key].given for key in CHANGEABLE):
            raise item.fail("changes nothing")
        after = latest[found[0]] = _with_symptoms(latest[found[0]], members)
        changes.append(ChangeSpec(members["at_seconds"].seconds(), *found[0], after))
    return tuple(changes)


def _no_twins(field: Field, keys: list[tuple[str, ...]]) -> None:
    for i, key in enumerate(keys):
        if key in keys[:i]:
            raise BadClusterFile(f"{field.path}[{i}]: there are two of {'/'.join(key)}")
