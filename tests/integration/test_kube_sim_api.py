"""The Kubernetes simulator over HTTP: tables, pages, watches, reviews, logs, faults and control routes."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from rune.sandbox.clock import Clock
from rune.sandbox.kube import KubeSim

PODS = "/api/v1/namespaces/shop/pods"
TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
CART: dict[str, Any] = {"name": "cart", "namespace": "shop", "state": "crash_loop"}


def client(sim: KubeSim, token: str | None = "reader", **more: Any) -> httpx.Client:
    verify: Any = ssl.create_default_context(cadata=sim.ca_pem.decode()) if sim.ca_pem else True
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.Client(base_url=sim.url, verify=verify, headers=headers, trust_env=False, timeout=20, **more)


@pytest.fixture(scope="module")
def sim() -> Iterator[KubeSim]:
    with KubeSim("mixed") as running:
        yield running


@pytest.fixture(scope="module")
def api(sim: KubeSim) -> Iterator[httpx.Client]:
    with client(sim) as opened:
        yield opened


@pytest.fixture
def changing() -> Iterator[tuple[KubeSim, httpx.Client]]:
    """A cluster on a manual clock that is repaired after two minutes."""
    change = {"at_seconds": 120, "workload": "cart", "state": "healthy"}
    running = KubeSim({"workloads": [CART], "changes": [change]}, clock=Clock(manual=True))
    with running, client(running) as opened:
        yield running, opened


def status_of(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()
    assert body["kind"] == "Status"
    assert body["code"] == answer.status_code
    return answer.status_code, body["reason"]


def test_discovery_documents_name_groups_and_resources(api: httpx.Client) -> None:
    assert api.get("/api").json()["versions"] == ["v1"]
    groups = {group["name"] for group in api.get("/apis").json()["groups"]}
    assert groups >= {
        "apps", "batch", "events.k8s.io", "networking.k8s.io", "autoscaling", "authorization.k8s.io",
        "metrics.k8s.io",
    }  # fmt: skip
    for group in groups:
        version = api.get(f"/apis/{group}").json()["preferredVersion"]["groupVersion"]
        assert api.get(f"/apis/{version}").json()["groupVersion"] == version
    names = {resource["name"] for resource in api.get("/api/v1").json()["resources"]}
    assert {"pods", "pods/log", "nodes", "events", "secrets"} <= names


def test_health_and_version_need_no_token(sim: KubeSim) -> None:
    with client(sim, None) as anyone:
        assert anyone.get("/readyz").text == "ok"
        assert anyone.get("/version").json()["gitVersion"] == "v1.33.2"
        assert status_of(anyone.get("/api")) == (401, "Unauthorized")


def test_refusals_are_status_objects(api: httpx.Client) -> None:
    assert status_of(api.get("/api/v1/secrets")) == (403, "Forbidden")
    assert status_of(api.get(f"{PODS}/none")) == (404, "NotFound")
    assert status_of(api.get("/apis/none/v1/things")) == (404, "NotFound")
    assert status_of(api.get("/api/v1/pods/none")) == (404, "NotFound")
    assert status_of(api.get(PODS, params={"labelSelector": "a=b=c"})) == (400, "BadRequest")
    assert status_of(api.get(PODS, params={"limit": "many"})) == (400, "BadRequest")
    assert status_of(api.get(PODS, params={"continue": "?"})) == (400, "BadRequest")
    assert status_of(api.options(PODS)) == (405, "MethodNotAllowed")


def test_a_table_has_the_usual_columns_and_object_metadata(api: httpx.Client) -> None:
    table = api.get(PODS, headers=TABLE).json()
    assert table["kind"] == "Table"
    columns = [(c["name"], c["priority"]) for c in table["columnDefinitions"]]
    assert columns[:6] == [("Name", 0), ("Ready", 0), ("Status", 0), ("Restarts", 0), ("Age", 0), ("IP", 1)]
    assert all(len(row["cells"]) == len(columns) for row in table["rows"])
    assert {row["object"]["kind"] for row in table["rows"]} == {"PartialObjectMetadata"}
    whole = api.get(PODS, headers=TABLE, params={"includeObject": "Object"}).json()
    assert {row["object"]["kind"] for row in whole["rows"]} == {"Pod"}


@pytest.mark.parametrize("headers", [{}, TABLE])
def test_pages_neither_repeat_nor_lose_objects(api: httpx.Client, headers: dict[str, str]) -> None:
    def names(body: dict[str, Any]) -> list[str]:
        if body["kind"] == "Table":
            return [row["cells"][0] for row in body["rows"]]
        return [item["metadata"]["name"] for item in body["items"]]

    whole = names(api.get("/api/v1/pods", headers=headers).json())
    collected: list[str] = []
    token = ""
    while True:
        page = api.get("/api/v1/pods", headers=headers, params={"limit": 4, "continue": token}).json()
        collected += names(page)
        token = page["metadata"].get("continue", "")
        if not token:
            break
        assert page["metadata"]["remainingItemCount"] == len(whole) - len(collected)
    assert collected == whole


def test_a_json_review_is_answered_like_a_protobuf_one(api: httpx.Client) -> None:
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    for resource, allowed in (("pods", True), ("secrets", False)):
        spec = {"resourceAttributes": {"verb": "get", "resource": resource, "namespace": "shop"}}
        answer = api.post(path, json={"spec": spec})
        assert (answer.status_code, answer.json()["status"]["allowed"]) == (201, allowed)
    assert status_of(api.post(path, content=b"k8s\x00\x0a\xff")) == (400, "BadRequest")
    assert status_of(api.get(path)) == (405, "MethodNotAllowed")


def read_lines(stream: httpx.Response) -> Iterator[tuple[str, str]]:
    for line in stream.iter_lines():
        event = json.loads(line)
        yield event["type"], event["object"]["metadata"]["name"]


def test_a_watch_sends_current_objects_then_what_changes(changing: tuple[KubeSim, httpx.Client]) -> None:
    sim, api = changing
    (old,) = (item["metadata"]["name"] for item in api.get(PODS).json()["items"])
    with api.stream("GET", PODS, params={"watch": "1"}) as stream:
        events = read_lines(stream)
        assert next(events) == ("ADDED", old)
        sim.clock.advance(121)
        assert next(events) == ("DELETED", old)
        kind, fresh = next(events)
        assert (kind, fresh != old) == ("ADDED", True)


def test_a_watch_from_a_listed_version_does_not_repeat_the_list(
    changing: tuple[KubeSim, httpx.Client],
) -> None:
    sim, api = changing
    listed = api.get(PODS).json()
    version = listed["metadata"]["resourceVersion"]
    with api.stream("GET", PODS, params={"watch": "true", "resourceVersion": version}) as stream:
        sim.clock.advance(121)
        assert next(read_lines(stream))[0] in ("DELETED", "ADDED")


def test_an_open_watch_follows_a_reset(changing: tuple[KubeSim, httpx.Client]) -> None:
    sim, api = changing
    sim.clock.advance(121)
    with api.stream("GET", PODS, params={"watch": "1"}) as stream:
        events = read_lines(stream)
        healed = next(events)[1]
        sim.reset()
        assert next(events) == ("DELETED", healed)
        assert next(events)[0] == "ADDED"


def test_a_watch_ends_after_its_timeout(changing: tuple[KubeSim, httpx.Client]) -> None:
    sim, api = changing
    with api.stream("GET", PODS, params={"watch": "1", "timeoutSeconds": "60"}) as stream:
        events = read_lines(stream)
        assert next(events)[0] == "ADDED"
        sim.clock.advance(61)
        assert list(events) == []


def test_stopping_ends_a_held_watch() -> None:
    sim = KubeSim({"workloads": [CART]}, tls=False)
    sim.start()
    first, ended = threading.Event(), threading.Event()

    def watch() -> None:
        try:
            with client(sim, None) as api, api.stream("GET", PODS, params={"watch": "1"}) as stream:
                for _ in stream.iter_lines():
                    first.set()
        except httpx.HTTPError:
            pass
        ended.set()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    assert first.wait(10)
    sim.stop()
    assert ended.wait(10)


def test_changes_start_over_with_a_reset(changing: tuple[KubeSim, httpx.Client]) -> None:
    sim, api = changing

    def status() -> Any:
        return api.get(PODS, headers=TABLE).json()["rows"][0]["cells"][2]

    assert status() == "CrashLoopBackOff"
    api.post("/_sandbox/clock", json={"advance_seconds": 121})
    assert status() == "Running"
    api.post("/_sandbox/reset")
    assert status() == "CrashLoopBackOff"


def test_slow_discovery_delays_discovery_only(changing: tuple[KubeSim, httpx.Client]) -> None:
    sim, api = changing
    sim.fault(kind="slow_discovery", seconds=300)
    before = sim.clock.time()
    assert api.get(PODS).status_code == 200
    assert sim.clock.time() == before
    answered = threading.Event()

    def discover() -> None:
        with client(sim) as other:
            other.get("/apis")
        answered.set()

    threading.Thread(target=discover, daemon=True).start()
    while not any(r.path == "/apis" for r in sim.requests):
        time.sleep(0.01)
    assert not answered.wait(0.2)
    sim.clock.advance(301)
    assert answered.wait(10)


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ({"kind": "status", "status": 503, "headers": {"Retry-After": "1"}}, 503),
        ({"kind": "expired_token"}, 401),
        ({"kind": "latency", "seconds": 0.01}, 200),
        ({"kind": "hang", "seconds": 0.01}, httpx.RemoteProtocolError),
        ({"kind": "garbage"}, ValueError),
        ({"kind": "truncate"}, httpx.RemoteProtocolError),
        ({"kind": "reset"}, httpx.HTTPError),
        ({"kind": "reset", "after_bytes": 20}, httpx.HTTPError),
    ],
)
def test_every_common_fault_shows(sim: KubeSim, fault: dict[str, Any], seen: int | type[Exception]) -> None:
    sim.fault(**fault, times=1)
    with client(sim) as api:
        if isinstance(seen, int):
            assert api.get(PODS).status_code == seen
        else:
            with pytest.raises(seen):
                api.get(PODS).json()
        assert api.get(PODS).json()["kind"] == "PodList"


def test_a_precondition_for_another_uid_keeps_the_pod() -> None:
    with KubeSim({"workloads": [CART], "writable": True}) as sim, client(sim, "operator") as api:
        (pod,) = api.get(PODS).json()["items"]
        path = f"{PODS}/{pod['metadata']['name']}"
        wrong = {"kind": "DeleteOptions", "preconditions": {"uid": "another"}}
        assert status_of(api.request("DELETE", path, json=wrong)) == (409, "Conflict")
        assert api.get(path).status_code == 200
        assert api.delete(path).json()["metadata"]["deletionTimestamp"]
        assert api.get(path).status_code == 404


def test_writes_the_simulator_does_not_know_are_405_and_bad_ones_400() -> None:
    rules = {"verbs": ["*"], "resources": ["*"]}
    file = {"workloads": [CART], "writable": True, "auth": {"tokens": {"root": rules}}}
    with KubeSim(file) as sim, client(sim, "root") as api:
        assert status_of(api.post(PODS, json={})) == (405, "MethodNotAllowed")
        deployment = "/apis/apps/v1/namespaces/shop/deployments/cart"
        assert status_of(api.patch(deployment, json={"metadata": {}})) == (405, "MethodNotAllowed")
        assert status_of(api.patch(f"{deployment}/scale", content=b"{")) == (400, "BadRequest")
        below_zero = {"spec": {"replicas": -1}}
        assert status_of(api.patch(f"{deployment}/scale", json=below_zero)) == (400, "BadRequest")
        assert sim.writes == []


def test_state_and_request_log_show_no_token(tmp_path: Path) -> None:
    tokens = {"ci": {"verbs": ["get", "list"], "resources": ["pods"], "token": "a-very-secret-text"}}
    with KubeSim({"workloads": [CART], "auth": {"tokens": tokens}}) as sim:
        assert "a-very-secret-text" in sim.write_kubeconfig(tmp_path / "c", token="ci").read_text()
        with client(sim, "a-very-secret-text") as api:
            refused = api.get("/api/v1/nodes").text
            assert 'User \\"ci\\" cannot list' in refused
            shown = api.get("/_sandbox/state").text + api.get("/_sandbox/requests").text + refused
        assert "a-very-secret-text" not in shown
        assert "crash_loop" in shown


def test_a_kubeconfig_needs_a_running_simulator() -> None:
    with pytest.raises(RuntimeError, match="before it is started"):
        KubeSim("healthy", tls=False).kubeconfig()
