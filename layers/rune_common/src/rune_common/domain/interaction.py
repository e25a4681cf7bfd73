"""Answers to what a run waits for, in one word (jobs-api.md 9.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from rune_common.domain.access import Principal
from rune_common.domain.errors import FieldProblem, InvalidRequest
from rune_common.domain.runs import Run

DENIED = "denied by interaction"
"""The reason that a denial by interaction has."""


class Decision(StrEnum):
    APPROVE = "approve"
    DENY = "deny"


_WORDS = {
    **dict.fromkeys(("approve", "approved", "yes", "y"), Decision.APPROVE),
    **dict.fromkeys(("deny", "denied", "no", "n"), Decision.DENY),
}


def decision_of(text: str) -> Decision:
    """Raises InvalidRequest for any other word."""
    try:
        return _WORDS[text.strip().lower()]
    except KeyError:
        raise InvalidRequest(FieldProblem("response", "unknown", "must be one of approve, deny")) from None


@dataclass(frozen=True, slots=True)
class PendingApproval:
    """What a run waits for. `expires_at` in epoch ms."""

    approval_id: str
    prompt: str
    expires_at: int


class Approvals(Protocol):
    """The approvals of runs (runs-api.md 6)."""

    def pending(self, run: Run) -> Sequence[PendingApproval]:
        """Oldest first."""
        ...

    def decide(
        self, run: Run, approval_id: str, decision: Decision, *, reason: str, caller: Principal
    ) -> None:
        """Raises what refuses the decision."""
        ...
