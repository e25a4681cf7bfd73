"""What a run waits for, and the answer to it (jobs-api.md 9.3)."""

from __future__ import annotations

from rune_common.domain.access import Principal
from rune_common.domain.errors import NoPendingInteraction
from rune_common.domain.interaction import DENIED, Approvals, Decision, PendingApproval
from rune_common.domain.ports import RunStore
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
    """Decide the named pending approval, else the oldest. Raises RunNotFound, NoPendingInteraction."""
    run = find_job(run_id, caller, runs=runs)
    asked = [each for each in approvals.pending(run) if approval_id in (None, each.approval_id)]
    if not asked:
        raise NoPendingInteraction(run_id)
    reason = DENIED if decision is Decision.DENY else ""
    approvals.decide(run, asked[0].approval_id, decision, reason=reason, caller=caller)
