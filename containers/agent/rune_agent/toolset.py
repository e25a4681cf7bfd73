"""
The agent's tools: built one by one, so that nothing is on that is not named here (holmes-driver.md 1.6).

Imported in the child only.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

ALLOWED_COMMANDS = (
    "kubectl get",
    "kubectl describe",
    "kubectl logs",
    "kubectl events",
    "kubectl top",
    "kubectl api-resources",
    "kubectl version",
    "kubectl explain",
    "kubectl auth can-i",
    "kubectl rollout history",
)
KUBERNETES = "kubernetes/core"


def build(*, cluster: bool, plans: bool, operator_config: dict[str, Any] | None = None) -> list[Any]:
    """
    The library's toolsets for one request, checked and ready.

    `cluster`: kubectl has somewhere to go. `plans`: offer the planning tool. `operator_config`: the
    parsed file of the operator (`toolsets`, `mcp_servers`), which may add but not replace.
    """
    toolsets: list[Any] = []
    if plans:
        investigator = importlib.import_module("holmes.plugins.toolsets.investigator.core_investigation")
        toolsets.append(investigator.CoreInvestigationToolset())
    if cluster:
        toolsets += [_kubernetes(), _logs(), _bash()]
    own = {toolset.name for toolset in toolsets}
    toolsets += [toolset for toolset in _added(operator_config or {}) if toolset.name not in own]
    for toolset in toolsets:
        toolset.enabled = True
    manager = importlib.import_module("holmes.core.toolset_manager").ToolsetManager
    manager.check_toolset_prerequisites(toolsets, silent=True)
    return toolsets


def _kubernetes() -> Any:
    library = importlib.import_module("holmes.plugins.toolsets")
    path = Path(library.THIS_DIR) / "kubernetes.yaml"
    return next(ts for ts in library.load_toolsets_from_file(str(path)) if ts.name == KUBERNETES)


def _logs() -> Any:
    return importlib.import_module("holmes.plugins.toolsets.kubernetes_logs").KubernetesLogsToolset()


def _bash() -> Any:
    bash = importlib.import_module("holmes.plugins.toolsets.bash.bash_toolset")
    toolset = bash.BashExecutorToolset()
    # A mapping, as from the library's own config file: the prerequisite check turns it into its class.
    toolset.config = {"builtin_allowlist": "none", "allow": list(ALLOWED_COMMANDS)}
    # Its second tool reads image files from disk, which nothing here ever writes.
    toolset.tools = [tool for tool in toolset.tools if tool.name == "bash"]
    return toolset


def _added(config: dict[str, Any]) -> list[Any]:
    named = {**(config.get("toolsets") or {}), **(config.get("mcp_servers") or {})}
    if not named:
        return []
    manager = importlib.import_module("holmes.core.toolset_manager").ToolsetManager(
        toolsets=dict(config.get("toolsets") or {}), mcp_servers=dict(config.get("mcp_servers") or {})
    )
    listed = manager._list_all_toolsets(check_prerequisites=False)
    return [toolset for toolset in listed if toolset.name in named and toolset.enabled]
