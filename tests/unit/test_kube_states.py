"""What each state looks like in the API, without a server."""

from __future__ import annotations

from typing import Any

import pytest

from rune.sandbox.kube.cluster import Cluster
from rune.sandbox.kube.cluster_file import parse_cluster
from rune.sandbox.kube.parts import seconds_of
from rune.sandbox.kube.pods import shown_log
from rune.sandbox.kube.shapes import STATES
from rune.sandbox.kube.tables import table

START = 1_800_000_000.0


def cluster(*workloads: dict[str, Any], **more: Any) -> Cluster:
    return Cluster(parse_cluster({"workloads": list(workloads), **more}, "test"), START)


def pods_of(made: Cluster, now: float = START) -> list[dict[str, Any]]:
    return list(made.snapshot(now).objects[("", "pods")])


def shown(made: Cluster, now: float = START) -> list[list[Any]]:
    """Ready, status and restarts of every pod as a table has them."""
    rows = table(("", "pods"), pods_of(made, now), now, "None")["rows"]
    return [row["cells"][1:4] for row in rows]


def reasons_of(made: Cluster, now: float = START) -> set[str]:
    return {event["reason"] for event in made.snapshot(now).objects[("", "events")]}


def log_of(made: Cluster, *, previous: bool = False) -> list[str]:
    ((key, logs),) = made.snapshot(START).logs.items()
    (log,) = logs.values()
    return shown_log(log, previous=previous, since=None, tail=None, stamped=False).splitlines()


@pytest.mark.parametrize(
    ("state", "row", "reasons"),
    [
        ("healthy", ["1/1", "Running", "0"], set()),
        (
            "crash_loop",
            ["0/1", "CrashLoopBackOff", "12 (2m50s ago)"],
            {"BackOff", "Pulled", "Created", "Started"},
        ),
        (
            "oom_killed",
            ["0/1", "CrashLoopBackOff", "5 (2m50s ago)"],
            {"BackOff", "Pulled", "Created", "Started"},
        ),
        ("image_pull_error", ["0/1", "ImagePullBackOff", "0"], {"Pulling", "Failed", "BackOff"}),
        ("pending", ["0/1", "Pending", "0"], {"FailedScheduling"}),
        ("bad_config", ["0/1", "CreateContainerConfigError", "0"], {"Failed", "Pulled"}),
        ("not_ready", ["0/1", "Running", "0"], {"Unhealthy"}),
        ("completed", ["0/1", "Completed", "0"], set()),
    ],
)
def test_a_state_shows_its_status_and_events(state: str, row: list[str], reasons: set[str]) -> None:
    made = cluster({"name": "app", "state": state})
    assert shown(made) == [row]
    assert reasons_of(made) == reasons


def test_an_evicted_pod_remains_beside_its_running_replacement() -> None:
    made = cluster({"name": "app", "state": "evicted"})
    assert sorted(shown(made)) == [["0/1", "Evicted", "0"], ["1/1", "Running", "0"]]
    assert {"Evicted", "Killing"} <= reasons_of(made)
    assert reasons_of(made, START + 7200) == set()


def test_a_crash_loop_keeps_its_fatal_line_in_the_previous_log_only() -> None:
    made = cluster({"name": "cart", "state": "crash_loop", "logs": ["ERROR no such host", "FATAL gave up"]})
    (status,) = pods_of(made)[0]["status"]["containerStatuses"]
    assert status["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert status["lastState"]["terminated"]["exitCode"] == 1
    assert log_of(made, previous=True)[-2:] == ["ERROR no such host", "FATAL gave up"]
    current = log_of(made)
    assert current
    assert not [line for line in current if "FATAL" in line or "ERROR" in line]


def test_an_out_of_memory_kill_has_exit_code_137_and_the_limit() -> None:
    (pod,) = pods_of(cluster({"name": "batch", "state": "oom_killed", "memory_limit": "128Mi"}))
    (status,) = pod["status"]["containerStatuses"]
    stopped = status["lastState"]["terminated"]
    assert (stopped["reason"], stopped["exitCode"]) == ("OOMKilled", 137)
    assert pod["spec"]["containers"][0]["resources"]["limits"]["memory"] == "128Mi"


@pytest.mark.parametrize(("kind", "reference"), [("configmap", "configMapRef"), ("secret", "secretRef")])
def test_a_missing_config_is_named_in_spec_and_status(kind: str, reference: str) -> None:
    (pod,) = pods_of(cluster({"name": "auth", "state": "bad_config", "missing": {kind: "auth-config"}}))
    assert pod["spec"]["containers"][0]["envFrom"] == [{reference: {"name": "auth-config"}}]
    (status,) = pod["status"]["containerStatuses"]
    assert status["state"]["waiting"]["message"] == f'{kind} "auth-config" not found'


def test_a_pending_pod_is_on_no_node() -> None:
    (pod,) = pods_of(cluster({"name": "ml", "state": "pending", "reason": "0/1 nodes are available: taint."}))
    assert "nodeName" not in pod["spec"]
    assert pod["status"]["conditions"][0]["message"] == "0/1 nodes are available: taint."


@pytest.mark.parametrize("state", STATES)
def test_no_time_in_any_object_lies_in_the_future(state: str) -> None:
    made = cluster({"name": "app", "state": state, "age_seconds": 2})
    for objects in made.snapshot(START).objects.values():
        for text in times_in(objects):
            assert seconds_of(text) <= START


def times_in(value: Any) -> list[str]:
    if isinstance(value, dict):
        stamps = [
            v for k, v in value.items() if isinstance(v, str) and (k.endswith(("Time", "timestamp", "At")))
        ]
        return stamps + [t for v in value.values() for t in times_in(v)]
    return [t for v in value for t in times_in(v)] if isinstance(value, list) else []


def test_objects_point_at_each_other() -> None:
    objects = cluster({"name": "web", "replicas": 2}).snapshot(START).objects
    (deployment,), (replica_set,) = objects[("apps", "deployments")], objects[("apps", "replicasets")]
    assert replica_set["metadata"]["ownerReferences"][0]["uid"] == deployment["metadata"]["uid"]
    for pod in objects[("", "pods")]:
        assert pod["metadata"]["ownerReferences"][0]["uid"] == replica_set["metadata"]["uid"]
        wanted = replica_set["spec"]["selector"]["matchLabels"].items()
        assert wanted <= pod["metadata"]["labels"].items()
    assert deployment["status"]["readyReplicas"] == 2


def test_the_same_file_gives_the_same_names() -> None:
    def names() -> list[str]:
        return [pod["metadata"]["name"] for pod in pods_of(cluster({"name": "web", "replicas": 3}))]

    assert names() == names()
    assert len(set(names())) == 3


def test_a_change_rolls_the_workload_out_when_its_time_has_come() -> None:
    made = cluster(
        {"name": "cart", "state": "crash_loop"},
        changes=[{"at_seconds": 120, "workload": "cart", "state": "healthy"}],
    )
    before = pods_of(made, START + 119)[0]["metadata"]
    assert shown(made, START + 119)[0][1] == "CrashLoopBackOff"
    assert shown(made, START + 121) == [["1/1", "Running", "0"]]
    after = pods_of(made, START + 121)[0]["metadata"]
    assert after["name"] != before["name"]
    assert int(after["resourceVersion"]) > int(before["resourceVersion"])


def test_a_deleted_pod_is_replaced_and_crashes_again() -> None:
    made = cluster({"name": "cart", "state": "crash_loop"})
    name = pods_of(made)[0]["metadata"]["name"]
    assert made.delete_pod("default", name, START + 5)
    (pod,) = pods_of(made, START + 5)
    assert pod["metadata"]["name"] != name
    assert shown(made, START + 5) == [["0/1", "CrashLoopBackOff", "1 (0s ago)"]]
    assert not made.delete_pod("default", name, START + 6)


def test_deleting_one_of_two_pods_heals_only_that_one_when_the_file_says_so() -> None:
    made = cluster({"name": "cart", "state": "crash_loop", "replicas": 2, "after_delete": "healthy"})
    first, second = (pod["metadata"]["name"] for pod in pods_of(made))
    made.delete_pod("default", first, START + 5)
    assert sorted(row[1] for row in shown(made, START + 5)) == ["CrashLoopBackOff", "Running"]
    made.delete_pod("default", second, START + 6)
    assert [row[1] for row in shown(made, START + 6)] == ["Running", "Running"]
    assert made.describe(START + 6)["workloads"][0]["state"] == "healthy"


def test_deleting_what_an_eviction_left_makes_no_new_pod() -> None:
    made = cluster({"name": "app", "state": "evicted"})
    gone = next(p["metadata"]["name"] for p in pods_of(made) if p["status"]["phase"] == "Failed")
    made.delete_pod("default", gone, START)
    assert shown(made) == [["1/1", "Running", "0"]]


def test_pods_stay_on_their_node_when_it_is_cordoned_and_new_ones_go_elsewhere() -> None:
    made = cluster({"name": "web", "replicas": 2}, cluster={"nodes": [{"name": "a"}, {"name": "b"}]})
    assert [p["spec"]["nodeName"] for p in pods_of(made)].count("a") == 1
    made.cordon("a", True, START)
    assert [p["spec"]["nodeName"] for p in pods_of(made)].count("a") == 1
    made.scale("default", "web", 5, START)
    assert [p["spec"]["nodeName"] for p in pods_of(made)].count("a") == 1
    assert len(pods_of(made)) == 5


def test_scaling_down_keeps_the_oldest_pods() -> None:
    made = cluster({"name": "web", "replicas": 3})
    before = {pod["metadata"]["name"] for pod in pods_of(made)}
    made.scale("default", "web", 1, START)
    assert len(pods_of(made)) == 1
    assert pods_of(made)[0]["metadata"]["name"] in before


def test_a_node_that_is_not_ready_is_unknown_and_takes_no_pods() -> None:
    nodes = [{"name": "a", "ready": False}, {"name": "b"}]
    made = cluster({"name": "web", "replicas": 3}, cluster={"nodes": nodes})
    assert {pod["spec"]["nodeName"] for pod in pods_of(made)} == {"b"}
    rows = table(("", "nodes"), made.snapshot(START).objects[("", "nodes")], START, "None")["rows"]
    assert [row["cells"][:2] for row in rows] == [["a", "NotReady"], ["b", "Ready"]]
    assert "NodeNotReady" in reasons_of(made)


def test_config_maps_and_secrets_come_from_the_file() -> None:
    objects = (
        cluster(
            configmaps=[{"name": "app", "namespace": "shop", "data": {"url": "http://x"}}],
            secrets=[{"name": "db", "data": {"password": "pw"}}],
        )
        .snapshot(START)
        .objects
    )
    assert objects[("", "configmaps")][0]["data"] == {"url": "http://x"}
    assert objects[("", "secrets")][0]["data"] == {"password": "cHc="}
