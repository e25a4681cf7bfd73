"""From a valid request to what its run is to do: defaults, and the rules of what can never run (jobs-api.md 4.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rune_common.domain.addresses import AddressNotAllowed, AddressPolicy, AddressUnresolved, Resolve
from rune_common.domain.chains import ChainState
from rune_common.domain.errors import BackendNotAllowed
from rune_common.usecases.resolve_kubeconfig import ClusterAccess, Kubeconfigs, resolve_kubeconfig


@dataclass(frozen=True, slots=True)
class JobRules:
    """What the operator decided for jobs. `rents_gpus`: the provider's key is configured."""

    max_active: int
    retention_days: int
    product_version: str
    backends: AddressPolicy
    clusters: AddressPolicy
    allow_insecure_tls: bool = False
    rents_gpus: bool = False
    attests: bool = False


@dataclass(frozen=True, slots=True)
class Planning:
    """What a plan may look at. `defaults` is what applies for the tenant, by setting key (jobs-api.md 12).

    `spent_today` reads what the tenant has spent and set aside today, in micro-USD.
    """

    rules: JobRules
    defaults: Mapping[str, Any]
    kubeconfigs: Kubeconfigs
    spent_today: Callable[[], int]
    resolve: Resolve | None = None

    def backend_url(self, given: str | None) -> str:
        """The model server: the request's, else the tenant's, else the operator's; "" without any.

        Nothing is connected to; a name that does not resolve is no error yet. Raises BackendNotAllowed.
        """
        url = given or self.defaults.get("backend_url") or ""
        if not url:
            return ""
        policy = self.rules.backends
        try:
            return policy.check_url(url, self.resolve).url
        except AddressUnresolved:
            return policy.check_text(url).url
        except AddressNotAllowed:
            raise BackendNotAllowed from None

    def cluster(self, given: str | None) -> ClusterAccess:
        """Raises InvalidRequest."""
        return resolve_kubeconfig(
            given,
            kubeconfigs=self.kubeconfigs,
            policy=self.rules.clusters,
            allow_insecure_tls=self.rules.allow_insecure_tls,
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """What is stored of a job: the validated request as JSON, its secrets, and the fields of its run.

    `concealed`: fields that the caller sent and that are shown to nobody. `shown`: what the log has instead of
    fields of the document. `chain`: the steps of a chain.
    """

    document: Mapping[str, Any]
    model: str = ""
    agent: str = ""
    backend_type: str = ""
    timeout_seconds: int = 3600
    secrets: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    concealed: tuple[str, ...] = ()
    shown: Mapping[str, Any] = field(default_factory=dict)
    chain: ChainState | None = None


Planner = Callable[[Any, Planning], Plan]
"""One per kind; raises InvalidRequest and its kinds for what can never run."""
