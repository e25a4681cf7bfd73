"""The address policy as the agent uses it (holmes-driver.md 3.5)."""

from __future__ import annotations

from rune_agent.problems import AgentProblem
from rune_common.domain.addresses import AddressNotAllowed, AddressPolicy, AddressUnresolved, CheckedUrl


def check_backend(policy: AddressPolicy, url: str) -> CheckedUrl:
    """Raises AgentProblem `backend_not_allowed`; a name that does not resolve is `backend_unreachable`."""
    return _check(policy, url, "backend_not_allowed", "backend_unreachable", "the model server")


def check_cluster(policy: AddressPolicy, url: str) -> CheckedUrl:
    """Raises AgentProblem `kubeconfig_not_allowed`; a name that does not resolve is `cluster_unreachable`."""
    return _check(policy, url, "kubeconfig_not_allowed", "cluster_unreachable", "the cluster")


def _check(policy: AddressPolicy, url: str, refused: str, unknown: str, what: str) -> CheckedUrl:
    try:
        return policy.check_url(url)
    except AddressNotAllowed as exc:
        raise AgentProblem(refused, f"the address of {what} is not allowed") from exc
    except AddressUnresolved as exc:
        raise AgentProblem(unknown, f"the name of {what} is unknown") from exc
