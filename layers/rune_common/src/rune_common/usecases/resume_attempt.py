"""What an attempt goes on from after a pause, and what it leaves for the next one (runs-api.md 6.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rune_common.domain.approval_policy import Gate, Verdict, policy_of
from rune_common.domain.approval_subjects import asked_tool_call, tool_call_subject
from rune_common.domain.approvals import MAX_PENDING, Approval, subject_digest
from rune_common.domain.driver_protocol import DriverSuccess
from rune_common.domain.pauses import tool_decision
from rune_common.domain.ports import RunRequest, RunStore
from rune_common.domain.runs import PhaseRecord, Run
from rune_common.usecases.attempt_leg import LegEnd, Resumption
from rune_common.usecases.change_run import Proposal
from rune_common.usecases.phase import ended
from rune_common.usecases.settle_approvals import AskingPorts, ask_approvals

CHANGED = "what would be done is not what was approved"


def may_pause(request: RunRequest) -> bool:
    """Whether the agent's calls may wait for people; otherwise they are refused (holmes-driver.md 2.8)."""
    return policy_of(request.document).verdict(Gate.TOOL_CALL) is not Verdict.DENY


def resumption_of(run: Run, runs: RunStore) -> Resumption | None:
    """The paused conversation with what was decided, None for a run that has not been paused.

    The digest of each call is taken again from what would really be done: a call that is not the one which was
    approved is refused.
    """
    if run.pause is None:
        return None
    state = runs.conversation(run.tenant, run.run_id)
    if state is None:
        return None
    approvals = {
        each.call_id: each
        for each in runs.approvals(run.tenant, run.run_id)
        if each.pause_id == run.pause.pause_id
    }
    decisions = [
        _checked(run.run_id, call, approvals.get(str(call.get("tool_call_id")))) for call in _calls(state)
    ]
    return Resumption(state, decisions)


def open_calls(resumption: Resumption | None) -> dict[str, str]:
    """The calls that wait, by id, with their tools' names."""
    calls = _calls(resumption.state) if resumption is not None else ()
    return {str(call.get("tool_call_id")): str(call.get("tool_name") or "tool") for call in calls}


def carried_usage(resumption: Resumption | None) -> Mapping[str, Any]:
    """What the driver counted in earlier legs and adds to its figures."""
    carry = resumption.state.get("carry") if resumption is not None else None
    usage = carry.get("usage") if isinstance(carry, Mapping) else None
    return usage if isinstance(usage, Mapping) else {}


def pause_proposal(run: Run, request: RunRequest, end: LegEnd, ports: AskingPorts) -> Proposal:
    """The run, waiting for decisions about the agent's calls. Calls beyond the limit are refused on resuming."""
    assert isinstance(end.ended, DriverSuccess)
    over = ended(run, PhaseRecord("ask", "ok", end.duration_ms))
    state = end.ended.result.get("resume_state")
    calls = end.pending[:MAX_PENDING]
    return ask_approvals(
        replace(over, model_call_begun=True),
        [asked_tool_call(run.run_id, call) for call in calls],
        policy_of(request.document),
        ports,
        requested_by=f"agent:{run.agent}",
        conversation=state if isinstance(state, Mapping) else {"pending_approvals": list(end.pending)},
        before=end.drafts,
    )


def _calls(state: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    found = state.get("pending_approvals")
    return [call for call in found if isinstance(call, Mapping)] if isinstance(found, list) else ()


def _checked(run_id: str, call: Mapping[str, Any], approval: Approval | None) -> dict[str, Any]:
    call_id = str(call.get("tool_call_id"))
    decision = tool_decision(approval, call_id)
    if decision["approved"] and approval is not None:
        now = subject_digest(tool_call_subject(run_id, call))
        if now != approval.subject_digest:
            return {"tool_call_id": call_id, "approved": False, "feedback": CHANGED}
    return decision
