"""What a run waits for, and the answer to it (jobs-api.md 9.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rune_common.domain.access import Principal
from rune_common.domain.approvals import Decision as Settling
from rune_common.domain.errors import NoPendingInteraction
from rune_common.domain.interaction import DENIED, Approvals, Decision, PendingApproval
from rune_common.domain.ports import RunStore
from rune_common.domain.runs import Run
from rune_common.usecases.decide_approvals import DecisionPorts, NamedDecision, decide_approval
from rune_common.usecases.read_job import find_job


def read_interaction(
    run_id: str, caller: Principal, *, runs: RunStore, approvals: Approvals
) -> PendingApproval | None:
    """The oldest thing that the run waits for. Raises RunNotFound."""
    pending = approvals.pending(find_job(run_id, caller, runs=runs))
    return pending[0] if pending else None


def answer_interaction(
    run_id: str,
    decision: Decision,
    approval_id: str | None,
    caller: Principal,
    *,
    runs: RunStore,
    approvals: Approvals,
) -> None:
    """Decide the named approval, else the oldest pending one.

    Raises RunNotFound, NoPendingInteraction, and what refuses the decision.
    """
    run = find_job(run_id, caller, runs=runs)
    if approval_id is None:
        pending = approvals.pending(run)
        if not pending:
            raise NoPendingInteraction(run_id)
        approval_id = pending[0].approval_id
    reason = DENIED if decision is Decision.DENY else ""
    approvals.decide(run, approval_id, decision, reason=reason, caller=caller)


@dataclass(frozen=True, slots=True)
class StoredApprovals:
    """The approvals that runs wait for, answered in one word."""

    ports: DecisionPorts

    def pending(self, run: Run) -> Sequence[PendingApproval]:
        """Oldest first."""
        if not run.waits:
            return ()
        found = self.ports.runs.approvals(run.tenant, run.run_id)
        return [
            PendingApproval(each.approval_id, each.summary, each.expires_at) for each in found if each.pending
        ]

    def decide(
        self, run: Run, approval_id: str, decision: Decision, *, reason: str, caller: Principal
    ) -> None:
        """Raises the refusals of `decide_approval`."""
        named = NamedDecision(Settling(decision is Decision.APPROVE, reason or None), approval_id)
        decide_approval(run.run_id, named, caller, None, ports=self.ports)
