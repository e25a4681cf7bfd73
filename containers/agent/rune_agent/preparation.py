"""From the parameters of `ask` to what preflight and the child need (holmes-driver.md 1.4, 1.7, 3.1, 3.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rune_agent import addresses, cluster_check, kubeconfig, modelmap
from rune_agent.backend_http import BackendClient
from rune_agent.order import Order
from rune_agent.params import AskParams
from rune_agent.preflight import Preflight, Readiness
from rune_agent.problems import AgentProblem
from rune_agent.settings import AgentSettings
from rune_agent.workspace import SYSTEM_PATH, Workspace
from rune_common.domain.addresses import AddressPolicy, CheckedUrl


@dataclass(slots=True)
class Preparation:
    """
    Addresses are checked here, before any connection. `safe_kubeconfig` is None when no cluster was
    named; `kubectl_environment` is filled once the workspace exists.
    """

    asked: AskParams
    settings: AgentSettings
    backend: CheckedUrl | None
    base: str | None
    safe_kubeconfig: kubeconfig.SafeKubeconfig | None
    kubectl_environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, asked: AskParams, settings: AgentSettings) -> Preparation:
        """Raises AgentProblem: an address or a kubeconfig that is not allowed."""
        policy = AddressPolicy(settings.backend_allowlist, settings.backend_allow_public)
        url = asked.backend_url if asked.backend_type in modelmap.BACKENDS_WITH_URL else None
        backend = addresses.check_backend(policy, url) if url else None
        base = _base(asked.backend_type, backend.url) if backend else None
        safe = None
        if asked.kubeconfig is not None:
            clusters = AddressPolicy(settings.cluster_allowlist)
            rules = kubeconfig.ClusterRules(
                lambda server: addresses.check_cluster(clusters, server).addresses[0],
                settings.allow_insecure_cluster_tls,
            )
            safe = kubeconfig.rewrite(asked.kubeconfig, rules)
        elif asked.require_cluster:
            raise AgentProblem("cluster_not_configured", "the request named no cluster")
        return cls(asked, settings, backend, base, safe)

    @property
    def ollama_base(self) -> str | None:
        return self.base if self.asked.backend_type == "ollama" else None

    @property
    def kubectl_mode(self) -> str:
        approved = any(decision.get("approved") is True for decision in self.asked.tool_decisions)
        return "approved" if approved else "read"

    def fill(self, workspace: Workspace) -> None:
        if self.safe_kubeconfig is None:
            return
        workspace.write_kubeconfig(self.safe_kubeconfig.text)
        kubectl = self.settings.kubectl
        if kubectl is not None:
            workspace.install_guard(self.settings.python, kubectl, self.kubectl_mode)
        self.kubectl_environment = {
            "PATH": SYSTEM_PATH,
            "HOME": str(workspace.root),
            "KUBECONFIG": str(workspace.kubeconfig),
        }

    def preflight(self, emit: Callable[[str, dict[str, Any]], None]) -> Preflight:
        cluster = self._check_cluster if self.safe_kubeconfig is not None else None
        return Preflight(self.asked, self.settings.num_ctx, emit, self._client(), cluster)

    def _check_cluster(self) -> cluster_check.ClusterAccess:
        return cluster_check.check(self.settings.kubectl, self.kubectl_environment)

    def preflight_seconds(self, plain: float) -> float:
        """How long preflight may take; loading a model has its own limits."""
        asked = self.asked
        if asked.pull:
            return asked.timeout_seconds
        return plain + (asked.backend_warmup_timeout if asked.backend_warmup else 0.0)

    def _client(self) -> BackendClient | None:
        if self.backend is None or self.base is None:
            return None
        key = (self.asked.llm_args or {}).get("api_key")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return BackendClient(self.base, self.backend.addresses[0], headers)


def _base(kind: str, url: str) -> str:
    return modelmap.ollama_base(url) if kind == "ollama" else modelmap.openai_base(url)


def order_for(
    asked: AskParams,
    preparation: Preparation,
    readiness: Readiness,
    settings: AgentSettings,
    remaining: float,
) -> Order:
    """What the child is told. Raises AgentProblem `context_too_small`."""
    if 0 < readiness.window < modelmap.MIN_CONTEXT:
        raise AgentProblem("context_too_small", "the model's context window is too small")
    model = modelmap.library_model(
        asked.backend_type,
        asked.model,
        preparation.base,
        readiness.window,
        asked.llm_args or {},
        readiness.listed,
    )
    backend = preparation.backend
    safe = preparation.safe_kubeconfig
    return Order(
        question=asked.question,
        model=model.model,
        shown_model=modelmap.ollama_name(asked.model) if asked.backend_type == "ollama" else asked.model,
        api_base=model.api_base,
        api_key=model.api_key,
        llm_args=model.args,
        backend_type=asked.backend_type,
        context_window=readiness.window,
        max_output_tokens=asked.max_output_tokens or 0,
        llm_timeout_seconds=asked.llm_timeout_seconds,
        timeout_seconds=max(1.0, remaining),
        max_steps=asked.max_steps,
        cluster=readiness.cluster,
        cluster_name=safe.cluster_name if safe else None,
        pins={backend.host: list(backend.addresses)} if backend else {},
        tool_approval=asked.tool_approval,
        behavior_controls=asked.behavior_controls or {},
        additional_system_prompt=asked.additional_system_prompt,
        conversation_history=list(asked.conversation_history),
        images=list(asked.images),
        response_format=asked.response_format,
        resume_state=asked.resume_state,
        tool_decisions=list(asked.tool_decisions),
        carry=asked.carry or (asked.resume_state or {}).get("carry") or {},
        approval_key=asked.approval_key,
        operator_toolsets=settings.operator_toolsets,
    )
