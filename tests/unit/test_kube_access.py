"""What tokens may do, and what the self reviews say about it."""

from __future__ import annotations

import pytest

from rune.sandbox.kube.access import (
    OPERATOR,
    READER,
    Attributes,
    access_review,
    allows,
    forbidden,
    identify,
    rules_review,
    tokens_of,
)
from rune.sandbox.kube.refusal import Refused
from rune.sandbox.kube.resources import Catalog
from rune.sandbox.kube.shapes import ClusterSpec, Rule, TokenSpec


def may(caller: TokenSpec, verb: str, resource: str, namespace: str = "", subresource: str = "") -> bool:
    return allows(caller, Attributes(verb, "", resource, subresource, namespace))


def only(*rules: Rule) -> TokenSpec:
    return TokenSpec("someone", rules, "text")


def test_the_built_in_reader_reads_all_but_secrets_and_writes_nothing() -> None:
    assert may(READER, "list", "pods")
    assert may(READER, "get", "pods", subresource="log")
    assert not may(READER, "get", "secrets")
    assert not may(READER, "delete", "pods")


def test_the_built_in_operator_repairs_but_sees_no_secrets() -> None:
    assert may(OPERATOR, "delete", "pods")
    assert may(OPERATOR, "patch", "deployments", subresource="scale")
    assert not may(OPERATOR, "list", "secrets")
    assert not may(OPERATOR, "delete", "deployments")


def test_a_rule_for_pods_does_not_cover_their_logs() -> None:
    assert not may(only(Rule(("get",), ("pods",))), "get", "pods", subresource="log")
    assert may(only(Rule(("get",), ("pods/log",))), "get", "pods", subresource="log")
    assert may(only(Rule(("get",), ("pods/*",))), "get", "pods", subresource="log")


def test_a_rule_with_namespaces_does_not_hold_elsewhere_nor_across_all() -> None:
    caller = only(Rule(("list",), ("pods",), ("shop",)))
    assert may(caller, "list", "pods", "shop")
    assert not may(caller, "list", "pods", "default")
    assert not may(caller, "list", "pods")


def test_a_forbidden_answer_reads_like_the_api_servers() -> None:
    refused = forbidden(READER, Attributes("delete", "apps", "deployments", "", "shop", "web"))
    assert str(refused) == (
        'deployments.apps "web" is forbidden: User "reader" cannot delete resource "deployments" '
        'in API group "apps" in the namespace "shop"'
    )


def test_unknown_and_missing_tokens_are_unauthorized() -> None:
    for bearer in (None, "wrong"):
        with pytest.raises(Refused) as caught:
            identify((READER,), bearer, anonymous=False)
        assert caught.value.code == 401


def test_without_tls_no_token_is_needed_but_a_wrong_one_is_refused() -> None:
    assert identify((READER,), None, anonymous=True) is None
    with pytest.raises(Refused):
        identify((READER,), "wrong", anonymous=True)


def test_a_files_tokens_replace_the_built_in_ones() -> None:
    mine = only(Rule(("get",), ("pods",)))
    assert tokens_of(ClusterSpec(tokens=(mine,)), writable=True) == (mine,)
    assert tokens_of(ClusterSpec(), writable=False)[0] is READER
    assert tokens_of(ClusterSpec(), writable=True)[0] is OPERATOR


def test_an_access_review_agrees_with_the_rules() -> None:
    spec = {"resourceAttributes": {"verb": "get", "resource": "secrets", "namespace": "shop"}}
    assert access_review(spec, READER)["status"]["allowed"] is False
    spec["resourceAttributes"]["resource"] = "pods"
    assert access_review(spec, READER)["status"]["allowed"] is True


def test_a_rules_review_spells_out_what_an_exception_leaves() -> None:
    status = rules_review({"namespace": "shop"}, READER, Catalog(metrics=True))["status"]
    named = {name for rule in status["resourceRules"] for name in rule["resources"]}
    assert {"pods", "pods/log", "deployments"} <= named
    assert not {"secrets", "*"} & named


def test_a_rules_review_leaves_out_other_namespaces() -> None:
    caller = only(Rule(("list",), ("pods",), ("shop",)), Rule(("*",), ("*",), ("ops",)))
    status = rules_review({"namespace": "shop"}, caller, Catalog(metrics=False))["status"]
    assert [rule["resources"] for rule in status["resourceRules"][1:]] == [["pods"]]
