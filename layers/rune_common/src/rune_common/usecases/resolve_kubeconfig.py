"""From a request's `kubeconfig` to access to a cluster, or to none (jobs-api.md 5.2)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from rune_common.domain.addresses import AddressPolicy
from rune_common.domain.errors import FieldProblem, InvalidRequest
from rune_common.domain.jobs import KUBECONFIG_PATH_IGNORED, NO_CLUSTER_ACCESS
from rune_common.domain.kubeconfig_rules import (
    MAX_KUBECONFIG_BYTES,
    MAX_PATH_CHARS,
    KubeconfigInvalid,
    KubeconfigNotAllowed,
    check_kubeconfig,
    classify_kubeconfig,
)


class Kubeconfigs(Protocol):
    """Reads kubeconfig documents."""

    def parse(self, text: str) -> Mapping[str, Any]:
        """The document in YAML or JSON text. Raises KubeconfigInvalid."""
        ...

    def read(self, path: str) -> str | None:
        """The text of a file inside the operator's folders; None for other paths, which are not touched."""
        ...


@dataclass(frozen=True, slots=True)
class ClusterAccess:
    """`kubeconfig` is the checked document, None without access; `warnings` say why there is none."""

    kubeconfig: str | None = None
    warnings: tuple[str, ...] = ()


def resolve_kubeconfig(
    value: str | None, *, kubeconfigs: Kubeconfigs, policy: AddressPolicy, allow_insecure_tls: bool
) -> ClusterAccess:
    """Raises InvalidRequest for a document that is refused and for an unknown reference."""
    form = classify_kubeconfig(value)
    if value is None or form == "absent":
        return ClusterAccess(warnings=(NO_CLUSTER_ACCESS,))
    if form == "reference":
        raise _refused("unknown", "names no stored kubeconfig")
    if form == "inline":
        return _checked(value, kubeconfigs, policy, allow_insecure_tls)
    if len(value) > MAX_PATH_CHARS:
        raise _refused("too_long", f"must have at most {MAX_PATH_CHARS} characters")
    text = kubeconfigs.read(value)
    if text is None:
        return ClusterAccess(warnings=(KUBECONFIG_PATH_IGNORED, NO_CLUSTER_ACCESS))
    return _checked(text, kubeconfigs, policy, allow_insecure_tls)


def _checked(
    text: str, kubeconfigs: Kubeconfigs, policy: AddressPolicy, allow_insecure_tls: bool
) -> ClusterAccess:
    _require_fit(text)
    try:
        document = kubeconfigs.parse(text)
        check_kubeconfig(document, policy, allow_insecure_tls=allow_insecure_tls)
    except (KubeconfigInvalid, KubeconfigNotAllowed) as exc:
        raise _refused(exc.code, str(exc)) from None
    # Written anew from what was checked: another parser may read the submitted text differently.
    written = json.dumps(document, indent=0, ensure_ascii=False)
    _require_fit(written)
    return ClusterAccess(written)


def _require_fit(text: str) -> None:
    if len(text.encode()) > MAX_KUBECONFIG_BYTES:
        raise _refused("too_long", f"must have at most {MAX_KUBECONFIG_BYTES} bytes")


def _refused(code: str, message: str) -> InvalidRequest:
    return InvalidRequest(FieldProblem("kubeconfig", code, message))
