"""Everything the supervisor reads from its environment (holmes-driver.md 1)."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rune_agent.modelmap import DEFAULT_NUM_CTX

TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
LOOPBACK = ("localhost", "127.0.0.0/8", "[::1]")


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """
    `python`: the interpreter of the child. `kubectl`: the real binary, None when there is none.
    """

    python: str = sys.executable
    kubectl: str | None = None
    temporary: str | None = None
    num_ctx: int = DEFAULT_NUM_CTX
    default_timeout: float = 900.0
    backend_allowlist: tuple[str, ...] = LOOPBACK
    backend_allow_public: bool = True
    cluster_allowlist: tuple[str, ...] = LOOPBACK
    allow_insecure_cluster_tls: bool = False
    operator_toolsets: dict[str, Any] = field(default_factory=dict)


def read(environment: Mapping[str, str]) -> AgentSettings:
    """Raises ValueError for a number or a file that cannot be read."""
    path = environment.get("PATH", os.defpath)
    return AgentSettings(
        python=environment.get("RUNE_AGENT_PYTHON") or sys.executable,
        kubectl=environment.get("RUNE_KUBECTL") or shutil.which("kubectl", path=path),
        temporary=environment.get("TMPDIR"),
        num_ctx=int(environment.get("RUNE_OLLAMA_NUM_CTX") or DEFAULT_NUM_CTX),
        default_timeout=float(environment.get("RUNE_DRIVER_INVOCATION_TIMEOUT") or 900),
        backend_allowlist=_listed(environment, "RUNE_BACKEND_ALLOWLIST"),
        backend_allow_public=_flag(environment, "RUNE_BACKEND_ALLOW_PUBLIC", True),
        cluster_allowlist=_listed(environment, "RUNE_CLUSTER_ALLOWLIST"),
        allow_insecure_cluster_tls=_flag(environment, "RUNE_ALLOW_INSECURE_CLUSTER_TLS", False),
        operator_toolsets=_operator_file(environment.get("RUNE_AGENT_TOOLSETS_FILE")),
    )


def _listed(environment: Mapping[str, str], name: str) -> tuple[str, ...]:
    """A comma-separated list; unset it means loopback on one's own machine, and nothing on AWS."""
    value = environment.get(name)
    if value is None:
        return () if _on_aws(environment) else LOOPBACK
    return tuple(item.strip() for item in value.split(",") if item.strip())


def _on_aws(environment: Mapping[str, str]) -> bool:
    return any(
        environment.get(name) for name in ("AWS_LAMBDA_FUNCTION_NAME", "ECS_CONTAINER_METADATA_URI_V4")
    )


def _flag(environment: Mapping[str, str], name: str, default: bool) -> bool:
    value = environment.get(name)
    return default if value is None or value == "" else value.strip().lower() in TRUE_WORDS


def _operator_file(path: str | None) -> dict[str, Any]:
    if not path:
        return {}
    document = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    if not isinstance(document, dict):
        raise ValueError("the operator's toolsets file is not a mapping")
    # It goes to the child as JSON: dates and the like would fail there, so they fail here.
    json.dumps(document)
    return document
