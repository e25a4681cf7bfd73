"""Label and field selectors, and ages."""

from __future__ import annotations

from typing import Any

import pytest

from rune.sandbox.kube.selectors import BadSelector, field_selector, label_selector
from rune.sandbox.kube.tables import human

POD: dict[str, Any] = {
    "metadata": {"name": "web-1", "namespace": "shop", "labels": {"app": "web", "tier": "front"}},
    "spec": {"nodeName": "node-1"},
    "status": {"phase": "Running"},
}


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        ("", True),
        ("app=web", True),
        ("app==web,tier=front", True),
        ("app=cart", False),
        ("app!=cart", True),
        ("owner!=me", True),
        ("tier in (front, back)", True),
        ("tier in (back),app=web", False),
        ("tier notin (back,middle)", True),
        ("owner notin (me)", True),
        ("tier", True),
        ("!tier", False),
        ("!owner", True),
    ],
)
def test_a_label_selector_chooses(selector: str, chosen: bool) -> None:
    assert label_selector(selector)(POD) is chosen


@pytest.mark.parametrize("selector", ["app in front", "a=b=c", "tier in (a,b", "=x"])
def test_a_malformed_label_selector_is_refused(selector: str) -> None:
    with pytest.raises(BadSelector):
        label_selector(selector)


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        ("metadata.name=web-1", True),
        ("spec.nodeName=node-1,status.phase!=Failed", True),
        ("spec.nodeName=node-2", False),
        ("status.podIP=", True),
    ],
)
def test_a_field_selector_chooses(selector: str, chosen: bool) -> None:
    assert field_selector(selector, ("", "pods"))(POD) is chosen


def test_only_fields_of_the_type_may_be_selected() -> None:
    with pytest.raises(BadSelector, match="field label not supported: spec.replicas"):
        field_selector("spec.replicas=1", ("", "pods"))
    with pytest.raises(BadSelector, match="not supported: status.phase"):
        field_selector("status.phase=Running", ("apps", "deployments"))


def test_a_node_without_the_field_counts_as_schedulable() -> None:
    node: dict[str, Any] = {"metadata": {"name": "n"}, "spec": {}}
    assert field_selector("spec.unschedulable=false", ("", "nodes"))(node)
    node["spec"]["unschedulable"] = True
    assert field_selector("spec.unschedulable=true", ("", "nodes"))(node)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0s"), (-2, "<invalid>"), (-60, "<invalid>"), (0, "0s"), (119, "119s"), (120, "2m"),
        (170, "2m50s"), (599, "9m59s"), (600, "10m"), (10_799, "179m"), (10_800, "3h"), (11_100, "3h5m"),
        (28_800, "8h"), (93_600, "26h"), (172_800, "2d"), (180_000, "2d2h"), (2_592_000, "30d"),
        (63_072_000, "2y"), (70_000_000, "2y80d"),
    ],
)  # fmt: skip
def test_ages_read_as_in_kubectl(seconds: float, text: str) -> None:
    assert human(seconds) == text
