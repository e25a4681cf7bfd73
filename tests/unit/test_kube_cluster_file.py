"""Cluster files: what a good one becomes and how a bad one is refused (holmes-driver.md 6.2)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rune.sandbox.kube.cluster_file import load_cluster, parse_cluster, scenario_names
from rune.sandbox.kube.fields import BadClusterFile
from rune.sandbox.kube.shapes import STATES


def workload(**fields: Any) -> dict[str, Any]:
    return {"workloads": [{"name": "web"}, {"name": "cart", **fields}]}


def test_there_is_one_scenario_per_state_and_mixed() -> None:
    assert set(scenario_names()) == {*STATES, "mixed"}


@pytest.mark.parametrize("state", STATES)
def test_each_state_scenario_has_a_workload_in_that_state(state: str) -> None:
    assert state in {w.state for w in load_cluster(state).workloads}


def test_the_example_of_the_contract_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(
        """
cluster: {name: demo, version: v1.33.2, nodes: [{name: node-1, ready: true, cpu: "4", memory: 8Gi}]}
auth: {tokens: {reader: {rules: [{verbs: [get, list, watch], resources: ["*"], except: [secrets]}]}}}
namespaces: [default, shop]
workloads:
  - {name: web,   namespace: shop, replicas: 2, state: healthy}
  - {name: cart,  namespace: shop, state: crash_loop, restarts: 12, logs: ["FATAL no host db.internal"]}
  - {name: batch, namespace: shop, state: oom_killed, memory_limit: 128Mi}
  - {name: api,   namespace: shop, state: image_pull_error, image: registry.test/api:9.9}
  - {name: ml,    namespace: shop, state: pending, reason: "0/1 nodes are available: 1 Insufficient memory."}
  - {name: auth,  namespace: shop, state: bad_config, missing: {configmap: auth-config}}
changes: [{at_seconds: 120, workload: cart, state: healthy}]
"""
    )
    spec = load_cluster(path)
    assert [w.name for w in spec.workloads] == ["web", "cart", "batch", "api", "ml", "auth"]
    assert spec.tokens[0].rules[0].excluded == ("secrets",)
    change = spec.changes[0]
    assert (change.at_seconds, change.namespace, change.after.state, change.after.restarts) == (
        120.0,
        "shop",
        "healthy",
        0,
    )


def test_a_token_may_be_a_single_rule_and_have_a_text_other_than_its_name() -> None:
    tokens = {"ci": {"verbs": ["get"], "resources": ["pods"], "namespaces": ["shop"], "token": "s3cr3t"}}
    (token,) = parse_cluster({"auth": {"tokens": tokens}}, "x").tokens
    assert (token.user, token.token, token.rules[0].namespaces) == ("ci", "s3cr3t", ("shop",))


def test_namespaces_of_workloads_exist_without_being_listed() -> None:
    assert "shop" in parse_cluster(workload(namespace="shop"), "x").namespaces


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (workload(state="broken"), r"^workloads\[1\]\.state: 'broken' is not one of healthy, crash_loop"),
        (workload(replica=2), r"^workloads\[1\]\.replica: unknown field"),
        (workload(replicas=-1), r"^workloads\[1\]\.replicas: must be a whole number"),
        (workload(replicas=True), r"^workloads\[1\]\.replicas: must be a whole number"),
        (workload(memory_limit="lots"), r"^workloads\[1\]\.memory_limit: 'lots' is not a quantity"),
        (workload(image=""), r"^workloads\[1\]\.image: must not be empty"),
        (workload(logs="FATAL"), r"^workloads\[1\]\.logs: must be a list"),
        (workload(missing={"volume": "x"}), r"^workloads\[1\]\.missing\.volume: unknown field"),
        (workload(missing={"configmap": "x", "secret": "y"}), r"^workloads\[1\]\.missing: names one"),
        (workload(kind="Deployment", state="completed"), r"^workloads\[1\]\.state: completed is a state of"),
        (workload(name="web"), r"^workloads\[1\]: there are two of default/web"),
        (workload(name="Web_1"), r"^workloads\[1\]\.name: 'Web_1' is not a name"),
        ({"workloads": [{}]}, r"^workloads\[0\]\.name: must be a text, not nothing"),
        ({"cluster": {"version": "latest"}}, r"^cluster\.version: 'latest' is not a version"),
        (
            {"cluster": {"nodes": [{"name": "n", "ready": "yes"}]}},
            r"^cluster\.nodes\[0\]\.ready: must be true",
        ),
        ({"auth": {"tokens": {"t": {"verbs": ["get"]}}}}, r"^auth\.tokens\.t\.resources: must be a list"),
        (
            {**workload(), "changes": [{"at_seconds": 1, "workload": "x"}]},
            r"^changes\[0\]\.workload: there is no",
        ),
        (
            {**workload(), "changes": [{"at_seconds": 1, "workload": "web"}]},
            r"^changes\[0\]: changes nothing",
        ),
        ({**workload(), "changes": [{"workload": "web", "state": "healthy"}]}, r"^changes\[0\]\.at_seconds:"),
        ([], r"^the document: must be a mapping"),
    ],
)
def test_a_bad_file_is_refused_with_the_name_of_the_field(document: Any, field: str) -> None:
    with pytest.raises(BadClusterFile, match=field):
        parse_cluster(document, "x")


def test_an_ambiguous_change_asks_for_the_namespace() -> None:
    twins = [{"name": "web", "namespace": "a"}, {"name": "web", "namespace": "b"}]
    change = {"at_seconds": 1, "workload": "web", "state": "not_ready"}
    with pytest.raises(BadClusterFile, match="in several namespaces"):
        parse_cluster({"workloads": twins, "changes": [change]}, "x")
    spec = parse_cluster({"workloads": twins, "changes": [{**change, "namespace": "b"}]}, "x")
    assert spec.changes[0].namespace == "b"


def test_an_unknown_scenario_names_those_that_exist() -> None:
    with pytest.raises(BadClusterFile, match="'nope' is not one of .*crash_loop"):
        load_cluster("nope")


def test_a_missing_file_and_broken_yaml_are_value_errors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        load_cluster(tmp_path / "none.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("workloads: [")
    with pytest.raises(ValueError, match="not YAML"):
        load_cluster(broken)
