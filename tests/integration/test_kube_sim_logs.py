"""Logs of the Kubernetes simulator over HTTP: parameters, containers, refusals."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from rune.sandbox.kube import KubeSim

PODS = "/api/v1/namespaces/shop/pods"
WEB = {"name": "web", "namespace": "shop", "sidecars": ["proxy"]}
SEARCH = {"name": "search", "namespace": "shop", "state": "not_ready"}
ML = {"name": "ml", "namespace": "shop", "state": "pending"}


@pytest.fixture(scope="module")
def api() -> Iterator[httpx.Client]:
    sim = KubeSim({"workloads": [WEB, SEARCH, ML]}, tls=False)
    with sim, httpx.Client(base_url=sim.url, trust_env=False) as opened:
        yield opened


def log_of(api: httpx.Client, app: str, **params: str) -> httpx.Response:
    (pod,) = api.get(PODS, params={"labelSelector": f"app={app}"}).json()["items"]
    return api.get(f"{PODS}/{pod['metadata']['name']}/log", params=params)


def test_a_sidecar_has_its_own_log_and_must_be_named(api: httpx.Client) -> None:
    assert "proxy ready" in log_of(api, "web", container="proxy").text
    assert "listening on :8080" in log_of(api, "web", container="web").text
    unnamed = log_of(api, "web")
    assert unnamed.status_code == 400
    assert "choose one of: [web proxy]" in unnamed.json()["message"]
    assert "is not valid for pod" in log_of(api, "web", container="none").json()["message"]


def test_log_parameters_select_lines(api: httpx.Client) -> None:
    stamped = log_of(api, "search", timestamps="true").text.splitlines()
    since, last = stamped[-1].split(" ", 1)
    assert log_of(api, "search", sinceTime=since).text == f"{last}\n"
    assert log_of(api, "search", tailLines="0").text == ""
    assert log_of(api, "search", tailLines="1000").text.count("\n") == len(stamped)
    assert len(log_of(api, "search", limitBytes="7").content) == 7


@pytest.mark.parametrize("params", [{"sinceTime": "yesterday"}, {"tailLines": "-1"}, {"previous": "true"}])
def test_parameters_that_make_no_sense_are_bad_requests(api: httpx.Client, params: dict[str, str]) -> None:
    refused = log_of(api, "search", **params)
    assert (refused.status_code, refused.json()["reason"]) == (400, "BadRequest")


def test_an_unscheduled_pod_has_an_empty_log(api: httpx.Client) -> None:
    answer = log_of(api, "ml")
    assert (answer.status_code, answer.text) == (200, "")
