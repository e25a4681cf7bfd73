"""Whether a command may start: the gate `command` (runs-api.md 6.1, 6.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rune_common.domain.approval_policy import ApprovalPolicy, Gate, Verdict, policy_of
from rune_common.domain.approval_subjects import Asked, asked_command
from rune_common.domain.approvals import Approval, ApprovalStatus
from rune_common.domain.commands import CommandSpec
from rune_common.domain.events import EventDraft
from rune_common.domain.ports import RunRequest
from rune_common.domain.runs import Outcome, Run, RunState
from rune_common.usecases.change_run import Proposal
from rune_common.usecases.settle_approvals import AskingPorts, ask_approvals

REQUESTED_BY = "runtime"
REFUSED = Outcome(RunState.FAILED, "POLICY_DENIED", "the policy does not allow the command")


def gate_proposal(run: Run, request: RunRequest, spec: CommandSpec, ports: AskingPorts) -> Proposal | None:
    """What becomes of a run whose command may not start now; None when it may.

    The digest is taken from what would really be started, so an approval of something else allows nothing.
    """
    policy = policy_of(request.document)
    asked = asked_command(run.run_id, spec.argv, spec.cwd, spec.env)
    verdict = policy.verdict(Gate.COMMAND)
    if verdict is Verdict.ALLOW:
        return None
    if verdict is Verdict.ASK:
        if _is_approved(asked, ports.runs.approvals(run.tenant, run.run_id)):
            return None
        waiting = replace(run, pause=None)
        return ask_approvals(waiting, [asked], policy, ports, requested_by=REQUESTED_BY)
    return Proposal(replace(run, outcome=REFUSED), [_denied(asked, policy)])


def _is_approved(asked: Asked, approvals: Sequence[Approval]) -> bool:
    return any(
        each.gate is Gate.COMMAND
        and each.status is ApprovalStatus.APPROVED
        and each.subject_digest == asked.digest
        for each in approvals
    )


def _denied(asked: Asked, policy: ApprovalPolicy) -> EventDraft:
    payload = {
        "summary": "the policy does not allow the command",
        "gate": str(Gate.COMMAND),
        "rule_id": policy.rule_id(Gate.COMMAND),
        "code": "POLICY_RULE",
        "subject_digest": asked.digest,
    }
    return EventDraft("policy_denied", payload)
