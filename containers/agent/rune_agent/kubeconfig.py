"""
Reads a caller's kubeconfig and writes the one that kubectl gets (holmes-driver.md 1.7).

The result has one context, cluster and user, and only fields that neither run a program nor read a file.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import yaml

from rune_agent.problems import AgentProblem

MAX_BYTES = 256 * 1024

# The name reaches the prompt, so it must not be a sentence.
CLUSTER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}")

USER_FIELDS = frozenset({"token", "client-certificate-data", "client-key-data", "username", "password"})
CLUSTER_FIELDS = frozenset(
    {"server", "certificate-authority-data", "tls-server-name", "insecure-skip-tls-verify"}
)
# Harmless and without effect on where kubectl connects or what it reads.
IGNORED_FIELDS = frozenset({"extensions", "disable-compression"})
EMPTY: tuple[object, ...] = (None, "", [], {}, False)


@dataclass(frozen=True, slots=True)
class ClusterRules:
    """
    `check_server` returns the address checked for a server URL, or raises AgentProblem.
    `allow_insecure_tls`: whether a config may ask not to verify the server.
    """

    check_server: Callable[[str], str]
    allow_insecure_tls: bool = False


@dataclass(frozen=True, slots=True)
class SafeKubeconfig:
    """`text`: YAML for kubectl. `cluster_name`: what the caller calls the cluster, if it is a plain word."""

    text: str
    cluster_name: str | None


def rewrite(text: str, rules: ClusterRules) -> SafeKubeconfig:
    """
    The safe form of `text`. Raises AgentProblem `kubeconfig_invalid` when it cannot be used as a
    kubeconfig, `kubeconfig_not_allowed` when it asks for something that a caller may not have.
    """
    document = _parse(text)
    context = _named(document, "contexts", "context", document.get("current-context"))
    cluster = _named(document, "clusters", "cluster", context.get("cluster"))
    user = _named(document, "users", "user", context["user"]) if context.get("user") else {}
    safe_context = {"cluster": "cluster", "user": "user"}
    namespace = context.get("namespace")
    if isinstance(namespace, str) and namespace:
        safe_context["namespace"] = namespace
    safe = yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "rune",
            "contexts": [{"name": "rune", "context": safe_context}],
            "clusters": [{"name": "cluster", "cluster": _safe_cluster(cluster, rules)}],
            "users": [{"name": "user", "user": _only(user, USER_FIELDS, "user")}],
        },
        sort_keys=False,
    )
    name = context.get("cluster")
    return SafeKubeconfig(safe, name if isinstance(name, str) and CLUSTER_NAME.fullmatch(name) else None)


def _parse(text: str) -> dict[str, Any]:
    if len(text.encode("utf-8", errors="replace")) > MAX_BYTES:
        raise AgentProblem("kubeconfig_invalid", "the kubeconfig is too large")
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as exc:
        raise AgentProblem("kubeconfig_invalid", "the kubeconfig is not valid YAML") from exc
    if not isinstance(document, dict):
        raise AgentProblem("kubeconfig_invalid", "the kubeconfig is not a mapping")
    return document


def _named(document: Mapping[str, Any], section: str, inner: str, name: object) -> dict[str, Any]:
    """The entry called `name`; without a name the only one there is."""
    entries = document.get(section)
    entries = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    if name:
        entries = [entry for entry in entries if entry.get("name") == name]
    value = entries[0].get(inner) if len(entries) == 1 else None
    if not isinstance(value, dict):
        raise AgentProblem("kubeconfig_invalid", f"the kubeconfig names no usable {inner}")
    return value


def _safe_cluster(cluster: Mapping[str, Any], rules: ClusterRules) -> dict[str, Any]:
    if cluster.get("insecure-skip-tls-verify") and not rules.allow_insecure_tls:
        raise AgentProblem("kubeconfig_not_allowed", "the kubeconfig turns off TLS verification")
    safe = _only(cluster, CLUSTER_FIELDS, "cluster")
    server = safe.get("server")
    if not isinstance(server, str):
        raise AgentProblem("kubeconfig_invalid", "the kubeconfig names no server")
    address = rules.check_server(server)
    return {**safe, "server": pinned(server, address)}


def pinned(server: str, address: str) -> str:
    """
    A plain-HTTP server is addressed by the checked address, so that its name cannot move in between.
    Over HTTPS the certificate already ties the name to the server.
    """
    parts = urlsplit(server)
    if parts.scheme != "http":
        return server
    host = f"[{address}]" if ipaddress.ip_address(address).version == 6 else address
    return urlunsplit(parts._replace(netloc=f"{host}:{parts.port or 80}"))


def _only(entry: Mapping[str, Any], allowed: frozenset[str], what: str) -> dict[str, Any]:
    refused = sorted(
        str(key)
        for key, value in entry.items()
        if key not in allowed | IGNORED_FIELDS
        and not any(value == e and type(value) is type(e) for e in EMPTY)
    )
    if refused:
        raise AgentProblem(
            "kubeconfig_not_allowed",
            f"the kubeconfig's {what} has fields that are not allowed",
            {"fields": [name[:64] for name in refused[:10]]},
        )
    return {key: value for key, value in entry.items() if key in allowed}
