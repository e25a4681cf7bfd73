"""Real kubectl against every scenario of the Kubernetes simulator (holmes-driver.md 6.2, acceptance 26)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from rune.sandbox.kube import KubeSim, scenario_names

FAILING = {
    "crash_loop": ("cart", "CrashLoopBackOff", ("CrashLoopBackOff", "Exit Code:    1", "BackOff")),
    "oom_killed": ("batch", "CrashLoopBackOff", ("OOMKilled", "Exit Code:    137", "memory:  128Mi")),
    "image_pull_error": ("api", "ImagePullBackOff", ("ErrImagePull", "registry.test/api:9.9: not found")),
    "pending": ("ml", "Pending", ("FailedScheduling", "2 Insufficient memory")),
    "bad_config": ("auth", "CreateContainerConfigError", ('configmap "auth-config" not found',)),
    "not_ready": ("search", "0/1", ("Readiness probe failed", "statuscode: 503")),
    "evicted": ("reports", "Evicted", ("low on resource: ephemeral-storage",)),
}


@dataclass(frozen=True)
class Cluster:
    """A running simulator, a home for kubectl's cache and the kubeconfig in it."""

    sim: KubeSim
    home: Path

    def run(self, kubectl: object, *args: str, config: str = "config") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(kubectl), *args],
            env={"KUBECONFIG": str(self.home / config), "HOME": str(self.home), "PATH": "/usr/bin:/bin"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def out(self, kubectl: object, *args: str) -> str:
        done = self.run(kubectl, *args)
        assert done.returncode == 0, f"kubectl {' '.join(args)}: {done.stderr}"
        return done.stdout


def started(sim: KubeSim, home: Path) -> Cluster:
    sim.write_kubeconfig(home / "config")
    return Cluster(sim, home)


@pytest.fixture(scope="module", params=scenario_names())
def scenario(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with KubeSim(request.param) as sim:
        yield started(sim, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with KubeSim("mixed") as sim:
        yield started(sim, tmp_path_factory.mktemp("kube"))


@pytest.fixture
def writable(tmp_path: Path) -> Iterator[Cluster]:
    with KubeSim("crash_loop", writable=True) as sim:
        yield started(sim, tmp_path)


MATRIX: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "version": (("version",), ("Server Version: v1.33.2",)),
    "api-resources": (("api-resources", "--no-headers"), ("deployments", "apps/v1", "networkpolicies")),
    "get wide": (("get", "pods", "-A", "-o", "wide"), ("NAMESPACE", "NODE", "coredns", "shop", "web-")),
    "get all": (
        ("get", "all", "-n", "shop"),
        ("pod/web-", "service/web", "deployment.apps/web", "replicaset.apps/"),
    ),
    "get yaml": (("get", "deployments", "-n", "shop", "-o", "yaml"), ("kind: Deployment", "name: web")),
    "get name": (("get", "pods", "-n", "shop", "-o", "name"), ("pod/web-",)),
    "get jsonpath": (
        ("get", "pods", "-A", "-o", "jsonpath={.items[*].metadata.namespace}"),
        ("kube-system shop",),
    ),
    "get columns": (("get", "pods", "-n", "shop", "-o", "custom-columns=N:.metadata.name"), ("N\n", "web-")),
    "get sorted": (("get", "pods", "-n", "shop", "--sort-by=.metadata.name"), ("NAME", "web-")),
    "get labelled": (("get", "pods", "-n", "shop", "-l", "app=web", "-L", "app"), ("APP\n", "web-")),
    "get nodes": (("get", "nodes", "-o", "wide"), ("node-1", "node-2", "Ready", "containerd")),
    "describe deployment": (("describe", "deployment", "web", "-n", "shop"), ("2 desired", "2 available")),
    "describe node": (("describe", "node", "node-1"), ("Ready ", "Allocated resources", "coredns")),
    "describe service": (("describe", "service", "web", "-n", "shop"), ("TargetPort:", ":8080")),
    "describe pods": (("describe", "pods", "-n", "shop"), ("Controlled By:", "Conditions:")),
    "logs": (
        ("logs", "-n", "shop", "-l", "app=web", "--tail=3", "--prefix", "--all-containers"),
        ("[pod/web-",),
    ),
    "events": (("events", "-n", "shop"), ()),
    "top nodes": (("top", "nodes"), ("node-1", "MEMORY")),
    "top pods": (("top", "pods", "-A"), ("web-", "coredns")),
    "history": (("rollout", "history", "deployment/web", "-n", "shop"), ("REVISION",)),
    "can-i": (("auth", "can-i", "list", "pods", "-A"), ("yes",)),
    "can-i --list": (("auth", "can-i", "--list"), ("pods/log", "deployments.apps")),
    "raw": (
        ("get", "--raw", "/apis/apps/v1/namespaces/shop/deployments?limit=1"),
        ('"kind":"DeploymentList"',),
    ),
}


@pytest.mark.parametrize("command", MATRIX)
def test_kubectl_understands_every_scenario(scenario: Cluster, kubectl: object, command: str) -> None:
    args, expected = MATRIX[command]
    out = scenario.out(kubectl, *args)
    for text in expected:
        assert text in out


@pytest.mark.parametrize("scenario", FAILING, indirect=True)
def test_the_unhealthy_pod_of_a_scenario_and_its_cause_are_visible(
    scenario: Cluster, kubectl: object
) -> None:
    name, status, causes = FAILING[scenario.sim.cluster_spec.source]
    rows = scenario.out(kubectl, "get", "pods", "-n", "shop", "--no-headers").splitlines()
    assert [row for row in rows if row.startswith(name) and status in row]
    described = scenario.out(kubectl, "describe", "pods", "-n", "shop", "-l", f"app={name}")
    for cause in causes:
        assert cause in described


@pytest.mark.parametrize("state", ["healthy", "completed"])
def test_a_scenario_without_trouble_shows_none(tmp_path: Path, kubectl: object, state: str) -> None:
    with KubeSim(state) as sim:
        cluster = started(sim, tmp_path)
        pods = json.loads(cluster.out(kubectl, "get", "pods", "-A", "-o", "json"))["items"]
        assert {pod["status"]["phase"] for pod in pods} <= {"Running", "Succeeded"}
        assert cluster.out(kubectl, "events", "-A", "--types=Warning") == ""


def pod_of(cluster: Cluster, kubectl: object, app: str) -> str:
    return cluster.out(kubectl, "get", "pod", "-n", "shop", "-l", f"app={app}", "-o", "name").strip()


def test_previous_logs_end_in_the_fatal_line_and_current_ones_differ(mixed: Cluster, kubectl: object) -> None:
    pod = pod_of(mixed, kubectl, "cart")
    previous = mixed.out(kubectl, "logs", "-n", "shop", pod, "--previous")
    current = mixed.out(kubectl, "logs", "-n", "shop", pod)
    assert previous.splitlines()[-1] == "FATAL could not resolve host db.internal"
    assert current
    assert "FATAL" not in current


def test_log_options_narrow_what_is_shown(mixed: Cluster, kubectl: object) -> None:
    pod = pod_of(mixed, kubectl, "cart")
    whole = mixed.out(kubectl, "logs", "-n", "shop", pod).splitlines()
    assert mixed.out(kubectl, "logs", "-n", "shop", pod, "--tail=2").splitlines() == whole[-2:]
    assert mixed.out(kubectl, "logs", "-n", "shop", pod, "--since=1m") == ""
    assert mixed.out(kubectl, "logs", "-n", "shop", pod, "--since=10m").splitlines() == whole
    stamped = mixed.out(kubectl, "logs", "-n", "shop", pod, "--timestamps").splitlines()
    assert [line.split(" ", 1)[1] for line in stamped] == whole


@pytest.mark.parametrize("app", ["api", "auth"])
def test_a_container_that_never_started_has_no_log(mixed: Cluster, kubectl: object, app: str) -> None:
    done = mixed.run(kubectl, "logs", "-n", "shop", f"deployment/{app}")
    assert done.returncode == 1
    assert "is waiting to start" in done.stderr


def test_events_for_one_pod_leave_out_the_others(mixed: Cluster, kubectl: object) -> None:
    pod = pod_of(mixed, kubectl, "search")
    out = mixed.out(kubectl, "events", "-n", "shop", "--for", pod)
    assert "Readiness probe failed" in out
    assert len(out.splitlines()) == 2


def test_field_selectors_work_and_unknown_fields_are_refused(mixed: Cluster, kubectl: object) -> None:
    out = mixed.out(kubectl, "get", "pods", "-A", "--field-selector=status.phase=Pending", "-o", "name")
    assert sorted(line.split("/")[1].split("-")[0] for line in out.splitlines()) == ["api", "auth", "ml"]
    done = mixed.run(kubectl, "get", "pods", "-A", "--field-selector=no.such=field")
    assert "field label not supported" in done.stderr


def test_chunks_add_up_to_the_whole_list(mixed: Cluster, kubectl: object) -> None:
    mixed.sim.reset()
    whole = mixed.out(kubectl, "get", "pods", "-A", "-o", "name")
    chunked = mixed.out(kubectl, "get", "pods", "-A", "-o", "name", "--chunk-size=3")
    assert chunked == whole
    assert [r for r in mixed.sim.requests if "continue" in r.query]


def test_can_i_gets_the_right_answer_in_json_and_protobuf(mixed: Cluster, kubectl: object) -> None:
    mixed.sim.reset()
    refused = mixed.run(kubectl, "auth", "can-i", "get", "secrets", "-n", "shop")
    assert (refused.returncode, refused.stdout.strip()) == (1, "no")
    (review,) = [r for r in mixed.sim.requests if r.path.endswith("/selfsubjectaccessreviews")]
    kinds = ("application/json", "application/vnd.kubernetes.protobuf")
    assert review.headers["content-type"] in kinds, "kubectl from 1.32 on sends protobuf"
    assert mixed.out(kubectl, "auth", "can-i", "get", "pods", "--subresource=log").strip() == "yes"


def test_secrets_are_forbidden_and_unknown_things_not_found(mixed: Cluster, kubectl: object) -> None:
    assert "(Forbidden): secrets is forbidden" in mixed.run(kubectl, "get", "secrets", "-A").stderr
    assert '(NotFound): pods "nope" not found' in mixed.run(kubectl, "get", "pod", "nope").stderr
    assert "doesn't have a resource type" in mixed.run(kubectl, "get", "gateways").stderr


def test_a_wrong_token_is_unauthorized(mixed: Cluster, kubectl: object) -> None:
    mixed.sim.write_kubeconfig(mixed.home / "wrong", token="wrong")
    done = mixed.run(kubectl, "get", "pods", "-A", config="wrong")
    assert "You must be logged in to the server" in done.stderr


def test_a_token_for_one_namespace_sees_only_that(tmp_path: Path, kubectl: object) -> None:
    rule = {"verbs": ["get", "list"], "resources": ["pods", "pods/log"], "namespaces": ["shop"]}
    file = {"auth": {"tokens": {"dev": rule}}, "workloads": [{"name": "web", "namespace": "shop"}]}
    with KubeSim(file) as sim:
        cluster = started(sim, tmp_path)
        assert "pod/web-" in cluster.out(kubectl, "get", "pods", "-n", "shop", "-o", "name")
        assert "Forbidden" in cluster.run(kubectl, "get", "pods", "-A").stderr
        assert "Forbidden" in cluster.run(kubectl, "get", "deployments", "-n", "shop").stderr


def test_a_read_only_cluster_changes_nothing(mixed: Cluster, kubectl: object) -> None:
    mixed.sim.write_kubeconfig(mixed.home / "operator", token="operator")
    pod = pod_of(mixed, kubectl, "cart")
    done = mixed.run(kubectl, "delete", "-n", "shop", pod, config="operator")
    assert "is forbidden: this cluster is read-only" in done.stderr
    assert pod_of(mixed, kubectl, "cart") == pod
    assert mixed.sim.writes == []


def test_a_deleted_pod_is_made_anew_once(writable: Cluster, kubectl: object) -> None:
    pod = pod_of(writable, kubectl, "cart")
    writable.out(kubectl, "delete", "-n", "shop", pod)
    fresh = pod_of(writable, kubectl, "cart")
    assert fresh not in ("", pod)
    name = pod.removeprefix("pod/")
    assert writable.sim.writes == [
        {"verb": "delete", "resource": "pods", "namespace": "shop", "name": name, "user": "operator"}
    ]


def test_a_dry_run_deletes_nothing(writable: Cluster, kubectl: object) -> None:
    pod = pod_of(writable, kubectl, "cart")
    writable.out(kubectl, "delete", "-n", "shop", pod, "--dry-run=server")
    assert pod_of(writable, kubectl, "cart") == pod
    assert writable.sim.writes == []


def test_scale_cordon_and_restart_take_effect(writable: Cluster, kubectl: object) -> None:
    writable.out(kubectl, "scale", "deployment/web", "-n", "shop", "--replicas=4")
    assert "4/4" in writable.out(kubectl, "get", "deployment", "web", "-n", "shop")
    writable.out(kubectl, "cordon", "node-1")
    assert "Ready,SchedulingDisabled" in writable.out(kubectl, "get", "node", "node-1")
    writable.out(kubectl, "uncordon", "node-1")
    assert "SchedulingDisabled" not in writable.out(kubectl, "get", "node", "node-1")
    before = pod_of(writable, kubectl, "web").splitlines()
    writable.out(kubectl, "rollout", "restart", "deployment/web", "-n", "shop")
    writable.out(kubectl, "rollout", "status", "deployment/web", "-n", "shop")
    assert not set(before) & set(pod_of(writable, kubectl, "web").splitlines())
    assert [w["verb"] for w in writable.sim.writes] == ["patch"] * 4


def test_an_unknown_write_is_refused(writable: Cluster, kubectl: object) -> None:
    done = writable.run(kubectl, "delete", "deployment", "web", "-n", "shop")
    assert "Forbidden" in done.stderr
    assert "deployment.apps/web" in writable.out(
        kubectl, "get", "deployment", "web", "-n", "shop", "-o", "name"
    )


def test_a_cluster_without_metrics_has_no_top(tmp_path: Path, kubectl: object) -> None:
    with KubeSim({"metrics": False, "workloads": [{"name": "web"}]}) as sim:
        done = started(sim, tmp_path).run(kubectl, "top", "pods")
    assert "Metrics API not available" in done.stderr


def test_kubectl_reads_over_plain_http_without_a_token(tmp_path: Path, kubectl: object) -> None:
    with KubeSim("healthy", tls=False) as sim:
        cluster = started(sim, tmp_path)
        assert sim.url.startswith("http://")
        assert "web-" in cluster.out(kubectl, "get", "pods", "-n", "shop")


def test_the_kubeconfig_is_private_and_complete(mixed: Cluster) -> None:
    path = mixed.home / "config"
    assert path.stat().st_mode & 0o777 == 0o600
    document = yaml.safe_load(path.read_text())
    assert document["clusters"][0]["cluster"].keys() == {"server", "certificate-authority-data"}
    assert document["users"][0]["user"] == {"token": "reader"}


def test_an_expired_token_is_unauthorized_as_often_as_told(mixed: Cluster, kubectl: object) -> None:
    mixed.sim.fault(kind="expired_token", match={"path": "/api/v1/*"}, times=1)
    assert "You must be logged in" in mixed.run(kubectl, "get", "--raw", "/api/v1/nodes").stderr
    assert "NodeList" in mixed.out(kubectl, "get", "--raw", "/api/v1/nodes")
