"""Label and field selectors in the syntax of the API."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from rune.sandbox.kube.parts import Json

Predicate = Callable[[Json], bool]

SET_TERM = re.compile(r"^([^\s!=,()]+)\s+(in|notin)\s*\(([^()]*)\)$")
EQUAL_TERM = re.compile(r"^([^\s!=,()]+)\s*(==|=|!=)\s*([^\s!=,()]*)$")
EXISTS_TERM = re.compile(r"^(!?)\s*([^\s!=,()]+)$")

ALWAYS = ("metadata.name", "metadata.namespace")
FIELDS = {
    ("", "pods"): (
        "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
        "status.phase", "status.podIP", "status.nominatedNodeName",
    ),
    ("", "nodes"): ("spec.unschedulable",),
    ("", "namespaces"): ("status.phase",),
    ("", "secrets"): ("type",),
    ("", "services"): ("spec.clusterIP", "spec.type"),
    ("", "events"): (
        "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
        "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",
        "reportingComponent", "source", "type",
    ),
    ("events.k8s.io", "events"): (
        "regarding.kind", "regarding.namespace", "regarding.name", "regarding.uid", "regarding.apiVersion",
        "regarding.fieldPath", "reason", "reportingController", "type",
    ),
    ("apps", "replicasets"): ("status.replicas",),
    ("batch", "jobs"): ("status.successful",),
}  # fmt: skip


class BadSelector(ValueError):
    """A selector the API would refuse with 400; the text is the message."""


def label_selector(text: str) -> Predicate:
    """A predicate over objects for e.g. `app=web,tier in (a, b),!canary`."""
    return _all([_label_term(term) for term in _terms(text)])


def field_selector(text: str, key: tuple[str, str]) -> Predicate:
    """A predicate for e.g. `status.phase!=Running`; fields the API does not know are an error."""
    return _all([_field_term(term, (*ALWAYS, *FIELDS.get(key, ()))) for term in _terms(text)])


def _terms(text: str) -> list[str]:
    """Split at commas outside of parentheses."""
    return [term for part in re.split(r",(?![^(]*\))", text) if (term := part.strip())]


def _all(predicates: list[Predicate]) -> Predicate:
    return lambda found: all(predicate(found) for predicate in predicates)


def _label_term(term: str) -> Predicate:
    if match := SET_TERM.match(term):
        key, operator, listed = match.groups()
        values = {value.strip() for value in listed.split(",")}
        return lambda found: (_labels(found).get(key) in values) == (operator == "in")
    if match := EQUAL_TERM.match(term):
        key, operator, value = match.groups()
        return lambda found: (_labels(found).get(key) == value) == (operator != "!=")
    if match := EXISTS_TERM.match(term):
        absent, key = match.groups()
        return lambda found: (key in _labels(found)) != bool(absent)
    raise BadSelector(f"unable to parse requirement: {term!r}")


def _labels(found: Json) -> dict[str, str]:
    labels: dict[str, str] = found["metadata"].get("labels", {})
    return labels


def _field_term(term: str, known: tuple[str, ...]) -> Predicate:
    match = re.match(r"^([^\s!=]+)\s*(==|=|!=)\s*(.*)$", term)
    if match is None:
        raise BadSelector(f"invalid selector: {term!r}; can't understand {term!r}")
    name, operator, value = match.groups()
    if name not in known:
        raise BadSelector(f"field label not supported: {name}")
    return lambda found: (_field(found, name) == value) == (operator != "!=")


def _field(found: Json, name: str) -> str:
    value: Any = found
    if name == "source":
        name = "source.component"
    if name == "status.successful":
        name = "status.succeeded"
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "false" if name == "spec.unschedulable" else ""
    return str(value)
