"""When a gated action is asked about, allowed or refused (runs-api.md 6.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rune_common.domain.run_requests import Mode

APPROVAL_SECONDS = 86_400
"""How long a decision is waited for when the request does not say (runs-api.md 6.5)."""

LEAST_SECONDS, MOST_SECONDS = 5, 2_592_000
MOST_APPROVALS = 5


class Gate(StrEnum):
    TOOL_CALL = "tool_call"
    COMMAND = "command"
    EDIT = "edit"
    GIT_COMMIT = "git_commit"
    GIT_PUSH = "git_push"
    GIT_PR = "git_pr"
    CONTINUE_LOOP = "continue_loop"


class Verdict(StrEnum):
    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


_ALLOW, _ASK, _DENY = Verdict.ALLOW, Verdict.ASK, Verdict.DENY
_MODES = (Mode.ADVICE, Mode.AUDIT_READONLY, Mode.EDIT_GATED, Mode.AUTONOMOUS_GATED)
_TABLE: Mapping[Gate, tuple[Verdict, Verdict, Verdict, Verdict]] = {
    Gate.TOOL_CALL: (_DENY, _ASK, _ASK, _ASK),
    Gate.COMMAND: (_DENY, _ALLOW, _ASK, _ALLOW),
    Gate.EDIT: (_DENY, _DENY, _ASK, _ALLOW),
    Gate.GIT_COMMIT: (_DENY, _DENY, _ASK, _ALLOW),
    Gate.GIT_PUSH: (_DENY, _DENY, _ASK, _ASK),
    Gate.GIT_PR: (_DENY, _DENY, _ASK, _ASK),
    Gate.CONTINUE_LOOP: (_DENY, _DENY, _ASK, _ASK),
}
"""By mode, in the order of `_MODES`. What the contract's table leaves out can not come up and is refused."""


@dataclass(frozen=True, slots=True)
class ApprovalPolicy:
    """A run's own rules about asking. `mode` is `policy`, `required` or `none`; `run_mode` None: malformed."""

    mode: str = "none"
    run_mode: Mode | None = Mode.AUDIT_READONLY
    pack: str = "community"
    timeout_seconds: int = APPROVAL_SECONDS
    approvers: tuple[str, ...] = ()
    required_approvals: int = 1
    stops: bool = False

    def verdict(self, gate: Gate) -> Verdict:
        """Whatever is missing or malformed refuses."""
        if self.run_mode is None or self.mode not in ("policy", "required", "none"):
            return Verdict.DENY
        found = _TABLE[gate][_MODES.index(self.run_mode)]
        if found is Verdict.ALLOW and (self.mode == "required" or self.pack == "strict"):
            return Verdict.ASK
        return Verdict.DENY if found is Verdict.ASK and self.mode == "none" else found

    def rule_id(self, gate: Gate) -> str:
        """Names the rule that decided, for the approval and for `policy_denied`."""
        return f"{self.pack}/{self.mode}/{self.run_mode or 'unknown'}/{gate}"


REFUSING = ApprovalPolicy(run_mode=None)
"""What applies where nothing usable was asked for."""


def policy_of(request: Mapping[str, Any]) -> ApprovalPolicy:
    """The policy that a stored request asks for. A job's form names no mode: it has `audit_readonly`."""
    asked = request.get("approval")
    if not isinstance(asked, Mapping):
        return REFUSING
    try:
        return ApprovalPolicy(
            mode=str(asked.get("mode")),
            run_mode=Mode(request.get("mode") or Mode.AUDIT_READONLY),
            pack=str(request.get("policy_pack") or "community"),
            timeout_seconds=bounded_seconds(asked.get("timeout_seconds")),
            approvers=tuple(str(each) for each in asked.get("approvers") or ()),
            required_approvals=min(max(int(asked.get("required_approvals") or 1), 1), MOST_APPROVALS),
            stops=asked.get("on_deny") == "stop",
        )
    except (TypeError, ValueError):
        return REFUSING


def bounded_seconds(asked: Any) -> int:
    """A waiting time within the limits; the usual one where none was asked for."""
    seconds = APPROVAL_SECONDS if asked is None else int(asked)
    return min(max(seconds, LEAST_SECONDS), MOST_SECONDS)
