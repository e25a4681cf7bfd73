"""What approvals are about: the subject documents of runs-api.md 6.1, and what people see of them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rune_common.domain.approval_policy import Gate
from rune_common.domain.approvals import subject_digest
from rune_common.domain.canonical import canonical_json, normalise

_CHANGES = re.compile(
    r"\b(?:delete|drain|evict|rm|apply|patch|replace|scale|rollout|edit|cordon|taint|create|exec)\b"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """An action that somebody has to allow. `document` is its subject as it is, not redacted.

    `call_id`: the open tool call that it is; `tool` what is shown of it.
    """

    gate: Gate
    document: Mapping[str, Any]
    summary: str
    why: str | None = None
    risk: str | None = None
    call_id: str = ""
    tool: Mapping[str, Any] | None = None
    digest_given: str | None = None
    timeout_seconds: int | None = None

    @property
    def digest(self) -> str:
        return self.digest_given or subject_digest(self.document)

    @property
    def alike(self) -> str:
        """Equal for calls of the same tool with the same parameters; "" for everything else."""
        if self.gate is not Gate.TOOL_CALL or self.tool is None:
            return ""
        return alike_digest(str(self.tool.get("tool_name") or ""), self.tool.get("params"))

    @property
    def traffic_light(self) -> str | None:
        return {"low": "green", "medium": "yellow", "high": "red"}.get(self.risk or "")


def tool_call_subject(run_id: str, call: Mapping[str, Any]) -> dict[str, Any]:
    """`call` is an entry of the driver's `pending_approvals`."""
    return {
        "gate": str(Gate.TOOL_CALL),
        "run_id": run_id,
        "tool_call_id": str(call.get("tool_call_id") or ""),
        "tool_name": str(call.get("tool_name") or ""),
        "params": call.get("params") if isinstance(call.get("params"), Mapping) else {},
    }


def asked_tool_call(run_id: str, call: Mapping[str, Any]) -> Asked:
    """The question that an agent's tool call is."""
    document = tool_call_subject(run_id, call)
    name, params = document["tool_name"], document["params"]
    said = params.get("command")
    shown = f"{name}: {said}" if isinstance(said, str) and said else str(call.get("description") or name)
    return Asked(
        Gate.TOOL_CALL,
        document,
        _short(shown or "tool call"),
        why=str(call["description"]) if call.get("description") else None,
        risk="high" if _CHANGES.search(shown) else "medium",
        call_id=document["tool_call_id"],
        tool={
            "tool_call_id": document["tool_call_id"],
            "tool_name": name,
            "description": call.get("description"),
            "params": params,
        },
    )


def asked_command(run_id: str, argv: Sequence[str], cwd: str, env: Mapping[str, str]) -> Asked:
    """The question whether a command run may start."""
    environment = hashlib.sha256(canonical_json(normalise(dict(env), strict=False))).hexdigest()
    document = {
        "gate": str(Gate.COMMAND),
        "run_id": run_id,
        "argv": list(argv),
        "cwd": cwd,
        "env_sha256": environment,
    }
    shown = argv[2] if list(argv[:2]) == ["/bin/sh", "-c"] and len(argv) == 3 else " ".join(argv)
    return Asked(Gate.COMMAND, document, _short(f"run: {shown}"), risk="medium")


def alike_digest(tool_name: str, params: Any) -> str:
    return subject_digest({"tool_name": tool_name, "params": params})


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 300 else line[:299] + "…"
