from __future__ import annotations

import copy
from typing import Any

import pytest

from rune_common.domain.addresses import AddressPolicy
from rune_common.domain.kubeconfig_rules import (
    KubeconfigInvalid,
    KubeconfigNotAllowed,
    check_kubeconfig,
    classify_kubeconfig,
    cluster_servers,
)

POLICY = AddressPolicy()


def document() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "main",
        "clusters": [
            {
                "name": "c",
                "cluster": {"server": "https://k8s.example:6443", "certificate-authority-data": "LS0t"},
            }
        ],
        "contexts": [{"name": "main", "context": {"cluster": "c", "user": "u", "namespace": "demo"}}],
        "users": [{"name": "u", "user": {"token": "opaque-planted-value"}}],
    }


def test_a_document_with_data_and_a_public_server_is_allowed():
    check_kubeconfig(document(), POLICY)
    assert cluster_servers(document()) == ("https://k8s.example:6443",)


@pytest.mark.parametrize(
    "member",
    [
        {"exec": {"command": "planted-value"}},
        {"auth-provider": {"name": "planted-value"}},
        {"client-certificate": "/planted-value"},
        {"client-key": "/planted-value"},
        {"tokenFile": "/planted-value"},
        {"TOKENFILE": "/planted-value"},
        {"as": "planted-value"},
        {"as-groups": ["planted-value"]},
        {"as-uid": "planted-value"},
        {"as-user-extra": {"planted-value": []}},
        {"extensions": [{"name": "x", "extension": {"deep": [{"Exec": "planted-value"}]}}]},
    ],
)
def test_a_user_that_runs_reads_or_poses_is_refused(member):
    found = document()
    found["users"][0]["user"] |= member
    with pytest.raises(KubeconfigNotAllowed) as caught:
        check_kubeconfig(found, POLICY)
    assert "planted-value" not in str(caught.value)


@pytest.mark.parametrize("member", ["proxy-url", "certificate-authority"])
def test_a_cluster_with_a_proxy_or_a_file_is_refused(member):
    found = document()
    found["clusters"][0]["cluster"][member] = "planted-value"
    with pytest.raises(KubeconfigNotAllowed, match=member) as caught:
        check_kubeconfig(found, POLICY)
    assert "planted-value" not in str(caught.value)


@pytest.mark.parametrize(
    "server",
    [
        *(
            "https://127.0.0.1:6443",
            "https://169.254.169.254",
            "https://[::1]",
            "https://10.0.0.1",
            "file:///etc",
        ),
        *("https://user:planted@k8s.example", "https://2130706433"),
    ],
)
def test_every_server_must_pass_the_address_policy(server):
    found = document()
    found["clusters"].append({"name": "second", "cluster": {"server": server}})
    with pytest.raises(KubeconfigNotAllowed, match="address policy") as caught:
        check_kubeconfig(found, POLICY)
    assert server not in str(caught.value)


def test_the_clusters_own_allow_list_opens_an_address():
    found = document()
    found["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:6443"
    check_kubeconfig(found, AddressPolicy(("127.0.0.0/8",)))


def test_tls_is_verified_unless_the_operator_says_otherwise():
    found = document()
    found["clusters"][0]["cluster"]["insecure-skip-tls-verify"] = True
    with pytest.raises(KubeconfigNotAllowed, match="TLS"):
        check_kubeconfig(found, POLICY)
    check_kubeconfig(found, POLICY, allow_insecure_tls=True)
    found["clusters"][0]["cluster"]["insecure-skip-tls-verify"] = False
    check_kubeconfig(found, POLICY)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "Secret"},
        {"apiVersion": "v2"},
        {"clusters": None},
        {"clusters": []},
        {"clusters": {}},
        {"clusters": ["planted-value"]},
        {"clusters": [{"name": "c"}]},
        {"clusters": [{"name": "c", "cluster": {}}]},
        {"clusters": [{"name": "c", "cluster": {"server": 5}}]},
        {"clusters": [{"cluster": {"server": "https://k8s.example"}}]},
        {"contexts": "planted-value"},
        {"users": [{"name": ["planted-value"]}]},
        {"current-context": "planted-value"},
        {"current-context": ["planted-value"]},
        {5: "planted-value"},
        {"preferences": [[number] for number in range(60_000)]},
    ],
)
def test_what_is_no_kubeconfig_is_invalid(change):
    with pytest.raises(KubeconfigInvalid) as caught:
        check_kubeconfig(document() | change, POLICY)
    assert "planted-value" not in str(caught.value)


@pytest.mark.parametrize("found", [None, [], "planted-value", 5])
def test_a_document_that_is_no_mapping_is_invalid(found):
    with pytest.raises(KubeconfigInvalid):
        check_kubeconfig(found, POLICY)


def test_aliases_that_multiply_are_walked_once():
    found = document()
    bomb: list[Any] = ["x"]
    for _ in range(64):
        bomb = [bomb, bomb]
    found["preferences"] = bomb
    check_kubeconfig(found, POLICY)
    bomb.append({"exec": "x"})
    with pytest.raises(KubeconfigNotAllowed):
        check_kubeconfig(found, POLICY)


def test_a_document_that_holds_itself_is_walked_once():
    found = document()
    found["preferences"] = found
    check_kubeconfig(found, POLICY)


def test_the_document_is_not_changed():
    found = document()
    before = copy.deepcopy(found)
    check_kubeconfig(found, POLICY)
    assert found == before


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (None, "absent"),
        ("", "absent"),
        (" \n", "absent"),
        ("ref:prod", "reference"),
        ("ref:", "reference"),
        ("apiVersion: v1\nkind: Config\n", "inline"),
        ('{"kind":"Config"}', "inline"),
        ("ref:prod\nx", "inline"),
        ("a\rb", "inline"),
        ("/etc/passwd", "path"),
        ("~/.kube/config", "path"),
        ("C:\\Users\\x\\.kube\\config", "path"),
        ("REF:prod", "path"),
    ],
)
def test_a_value_is_classified_by_its_text_alone(text, form):
    assert classify_kubeconfig(text) == form
