"""What a submitted kubeconfig may hold (jobs-api.md 5.2, holmes-driver.md 1.7). YAML is parsed elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from rune_common.domain.addresses import AddressNotAllowed, AddressPolicy

MAX_KUBECONFIG_BYTES = 256 * 1024
MAX_PATH_CHARS = 4096
REFERENCE_PREFIX = "ref:"
_MAX_NODES = 50_000

# Lower-case: a parser that takes member names in any case must not read what was not checked.
_REFUSED_MEMBERS = {
    "exec": "holds a command to run (exec)",
    "auth-provider": "holds an auth-provider",
    "proxy-url": "holds a proxy-url",
    "client-certificate": "holds a file path (client-certificate)",
    "client-key": "holds a file path (client-key)",
    "certificate-authority": "holds a file path (certificate-authority)",
    "tokenfile": "holds a file path (tokenFile)",
    "as": "asks to act as somebody else (as)",
    "as-uid": "asks to act as somebody else (as-uid)",
    "as-groups": "asks to act as somebody else (as-groups)",
    "as-user-extra": "asks to act as somebody else (as-user-extra)",
}

KubeconfigForm = Literal["absent", "reference", "inline", "path"]


class KubeconfigNotAllowed(ValueError):
    """The document holds something that is refused. The text names the rule, never a submitted value."""

    code: ClassVar[str] = "kubeconfig_not_allowed"


class KubeconfigInvalid(ValueError):
    """The document is no kubeconfig. The text names the rule, never a submitted value."""

    code: ClassVar[str] = "kubeconfig_invalid"


def classify_kubeconfig(text: str | None) -> KubeconfigForm:
    """Which row of jobs-api.md 5.2 a value belongs to.

    `path` means every text that is neither empty, a `ref:` nor a document: whether it may be read is decided
    elsewhere, and nothing has been opened.
    """
    if text is None or not text.strip():
        return "absent"
    if "\n" in text or "\r" in text or text.lstrip().startswith("{"):
        return "inline"
    return "reference" if text.startswith(REFERENCE_PREFIX) else "path"


def check_kubeconfig(document: object, policy: AddressPolicy, *, allow_insecure_tls: bool = False) -> None:
    """Check a parsed inline document: its shape, its members and the `server` of every cluster.

    Servers are checked as text; the worker checks their addresses when it connects (`cluster_servers`).
    `allow_insecure_tls` is the operator's RUNE_ALLOW_INSECURE_CLUSTER_TLS. Raises KubeconfigInvalid or
    KubeconfigNotAllowed.
    """
    if not isinstance(document, Mapping):
        raise KubeconfigInvalid("is not a mapping")
    for name, member in _members(document):
        rule = _REFUSED_MEMBERS.get(name.lower())
        if rule:
            raise KubeconfigNotAllowed(rule)
        insecure = name.lower() == "insecure-skip-tls-verify" and member not in (False, None)
        if insecure and not allow_insecure_tls:
            raise KubeconfigNotAllowed("turns off TLS verification (insecure-skip-tls-verify)")
    if document.get("kind", "Config") != "Config" or document.get("apiVersion", "v1") != "v1":
        raise KubeconfigInvalid("is not of kind Config and version v1")
    servers = cluster_servers(document)
    _entries(document, "users")
    contexts = [entry["name"] for entry in _entries(document, "contexts")]
    current = document.get("current-context")
    if current and current not in contexts:
        raise KubeconfigInvalid("has a current-context that is not among its contexts")
    for server in servers:
        try:
            policy.check_text(server)
        except AddressNotAllowed:
            raise KubeconfigNotAllowed("has a server that the address policy does not allow") from None


def cluster_servers(document: Mapping[str, Any]) -> tuple[str, ...]:
    """The `server` of every cluster, in order. Raises KubeconfigInvalid if there is none.

    A cluster without a server is refused, because clients would then try one on their own machine.
    """
    servers = []
    for entry in _entries(document, "clusters"):
        cluster = entry.get("cluster")
        server = cluster.get("server") if isinstance(cluster, Mapping) else None
        if not isinstance(server, str) or not server:
            raise KubeconfigInvalid("has a cluster without a server")
        servers.append(server)
    if not servers:
        raise KubeconfigInvalid("has no clusters")
    return tuple(servers)


def _entries(document: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    entries = document.get(kind)
    if entries is None:
        return []
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise KubeconfigInvalid(f"has {kind} that are not a list of mappings")
    if not all(isinstance(entry.get("name"), str) and entry["name"] for entry in entries):
        raise KubeconfigInvalid(f"has {kind} without a name")
    return entries


def _members(document: Any) -> Iterator[tuple[str, Any]]:
    """Every member at every depth, each container once: YAML aliases can repeat one a billion times."""
    seen: set[int] = set()
    waiting: list[Any] = [document]
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if len(seen) > _MAX_NODES:
            raise KubeconfigInvalid("holds too many parts")
        if isinstance(item, Mapping):
            for name, member in item.items():
                if not isinstance(name, str):
                    raise KubeconfigInvalid("has a member whose name is not text")
                yield name, member
                waiting.append(member)
        elif isinstance(item, Sequence) and not isinstance(item, (str, bytes)):
            waiting.extend(item)
