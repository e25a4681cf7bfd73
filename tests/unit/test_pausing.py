"""A run pauses for what has to be allowed, and goes on with the decision (runs-api.md 6.4, 2.6 rows 6 to 11)."""

from __future__ import annotations

import pytest
from tests.unit.pausing_agent import DELETE, ME, PausingDriver, Story, call

from rune_common.domain.access import Principal
from rune_common.domain.approval_errors import SelfApprovalForbidden
from rune_common.domain.approvals import ApprovalStatus, subject_digest
from rune_common.domain.errors import RunCancelled, RunFailure, WaitOver
from rune_common.domain.runs import RunState
from rune_common.usecases.cancel_job import cancel_job
from rune_common.usecases.change_run import Proposal, change_run

HOUR = 3_600_000


def test_a_call_that_needs_approval_pauses_the_run_bound_to_what_would_be_done() -> None:
    story = Story()
    story.ask()
    assert story.run.state is RunState.AWAITING_APPROVAL
    assert story.answers.given == [("ask1", {"outcome": "approval_required", "attempt_id": "leg1"})]
    (found,) = story.approvals
    subject = {
        "gate": "tool_call",
        "run_id": "r",
        "tool_call_id": "c1",
        "tool_name": "bash",
        "params": {"command": DELETE},
    }
    assert found.subject_digest == subject_digest(subject)
    shown = found.document()
    assert shown["subject"]["document"] == subject
    assert shown["tool"] == call(1)
    assert (shown["requested_by"], shown["risk"], shown["traffic_light"]) == ("agent:holmes", "high", "red")
    assert found.expires_at == story.time.now + 24 * HOUR
    events = story.log()
    assert [event["type"] for event in events][-2:] == ["run_progress", "approval_requested"]
    assert "tool_result" not in [event["type"] for event in events]
    assert story.driver.asked[0]["tool_approval"] == "pause"
    assert story.driver.asked[0]["approval_key"] == "a-key"
    assert story.store.conversation("t", "r")["messages"] == ["signed"]


def test_a_job_that_asks_nobody_refuses_such_calls() -> None:
    story = Story(mode="none")
    story.ask()
    assert story.driver.asked[0]["tool_approval"] == "deny"
    assert "approval_key" not in story.driver.asked[0]
    assert story.record().state is RunState.SUCCEEDED


def test_an_approved_call_is_done_once_and_the_agent_answers() -> None:
    story = Story()
    story.ask()
    story.wait()
    story.time.now += HOUR
    body = story.decide()
    assert body["approval"]["status"] == "approved"
    assert body["run"]["status"] == "running"
    assert story.wake()
    assert story.answers.given[-1] == ("waiting", {"pause_id": "r-p1"})
    story.ask()
    resumed = story.driver.asked[1]
    assert resumed["question"] == ""
    assert resumed["tool_decisions"] == [{"tool_call_id": "c1", "approved": True}]
    assert story.driver.done == [DELETE]
    run = story.record()
    assert (run.state, run.pause, run.waited_ms) == (RunState.SUCCEEDED, None, HOUR)
    assert story.store.conversation("t", "r") is None
    events = story.log()
    kinds = [event["type"] for event in events]
    assert kinds[kinds.index("approval_approved") + 1] == "run_resumed"
    results = [event for event in events if event["type"] == "tool_result"]
    assert [(each["call_id"], each["payload"]["status"]) for each in results] == [("c1", "success")]
    decided = events[kinds.index("approval_approved")]
    assert (decided["actor"], decided["actor_detail"]) == ("b", {"kind": "human", "id": "b"})


def test_usage_of_both_legs_is_counted_once() -> None:
    story = Story([call(1)], [call(2, "kubectl delete pod web")])
    for number in (1, 2):
        story.ask()
        story.decide(number)
    story.ask()
    usage = story.record().usage
    assert (usage.input_tokens, usage.output_tokens, usage.llm_calls) == (300, 30, 3)
    assert len({each.pause_id for each in story.approvals}) == 2


def test_a_denied_call_is_not_done_and_its_reason_reaches_the_agent() -> None:
    story = Story()
    story.ask()
    assert story.decide(approve=False, who=ME)["approval"]["status"] == "denied"
    story.ask()
    assert story.driver.done == []
    assert story.driver.asked[1]["tool_decisions"] == [
        {"tool_call_id": "c1", "approved": False, "feedback": "not today"}
    ]
    assert story.record().state is RunState.SUCCEEDED
    results = [event["payload"]["status"] for event in story.log() if event["type"] == "tool_result"]
    assert results == ["denied"]


def test_the_creator_may_not_approve() -> None:
    story = Story()
    story.ask()
    with pytest.raises(SelfApprovalForbidden):
        story.decide(who=ME)
    assert story.run.waits


def test_a_run_resumes_only_after_the_last_of_its_calls_was_decided() -> None:
    story = Story([call(1), call(2, "kubectl delete pod web")])
    story.ask()
    story.wait()
    story.decide(2, approve=False)
    assert story.run.waits
    assert not story.wake()
    story.decide(1)
    assert not story.run.waits
    story.ask()
    assert story.driver.done == [DELETE]


def test_time_does_not_run_while_a_decision_is_waited_for() -> None:
    story = Story()
    deadline = story.run.deadline_at
    story.ask()
    assert story.run.deadline_at is None
    story.time.now += 23 * HOUR
    story.decide()
    assert story.run.deadline_at == deadline + 23 * HOUR
    story.ask()
    assert story.record().state is RunState.SUCCEEDED


def test_what_nobody_decides_expires_and_counts_as_denied() -> None:
    story = Story(timeout_seconds=5)
    story.ask()
    story.time.now += 4_999
    story.sweep()
    assert story.run.waits
    story.time.now += 1
    story.sweep()
    assert story.approvals[0].status is ApprovalStatus.EXPIRED
    assert story.types()[-2:] == ["approval_expired", "run_resumed"]
    story.ask()
    assert story.driver.asked[1]["tool_decisions"][0]["feedback"] == "approval expired"
    assert story.driver.done == []


@pytest.mark.parametrize("how", ["denied", "expired"])
def test_a_refusal_ends_the_run_that_is_to_stop_then(how: str) -> None:
    story = Story([call(1), call(2)], on_deny="stop", timeout_seconds=60)
    story.ask()
    if how == "denied":
        story.decide(2, approve=False)
    else:
        story.time.now += 60_000
        story.sweep()
    with pytest.raises(RunFailure):
        story.ask()
    run = story.record("RunFailure")
    code = {"denied": "APPROVAL_DENIED", "expired": "APPROVAL_EXPIRED"}[how]
    assert (run.state, run.error_code) == (RunState.FAILED, code)
    events = story.log()
    end = events[-1]["payload"]
    stop_class = {"denied": "blocked_by_policy", "expired": "awaiting_hitl"}[how]
    assert (end["exit_reason"], end["stop_class"], end["stop_code"]) == (f"approval_{how}", stop_class, code)
    settled = {each.status for each in story.approvals}
    assert settled == (
        {ApprovalStatus.DENIED, ApprovalStatus.CANCELLED} if how == "denied" else {ApprovalStatus.EXPIRED}
    )
    statuses = {e["call_id"]: e["payload"]["status"] for e in events if e["type"] == "tool_result"}
    assert statuses == (
        {"c1": "aborted", "c2": "denied"} if how == "denied" else {"c1": "denied", "c2": "denied"}
    )
    assert story.driver.done == []


def test_a_cancelled_run_cancels_what_is_pending() -> None:
    story = Story()
    story.ask()
    story.wait()
    run = cancel_job("r", Principal("me", "human", "t"), **story.ports())
    assert (run.state, run.waits) == (RunState.CANCELLING, False)
    assert story.types()[-2:] == ["cancel_requested", "approval_cancelled"]
    assert story.wake()
    with pytest.raises(RunCancelled):
        story.ask()
    assert story.record("RunCancelled").state is RunState.CANCELLED
    assert story.approvals[0].status is ApprovalStatus.CANCELLED
    assert [e["payload"]["status"] for e in story.log() if e["type"] == "tool_result"] == ["aborted"]


def test_a_run_that_fails_while_it_waits_cancels_what_is_pending() -> None:
    story = Story()
    story.ask()
    assert story.record("States.Runtime").state is RunState.FAILED
    assert story.approvals[0].status is ApprovalStatus.CANCELLED
    kinds = story.types()
    assert kinds.index("approval_cancelled") < kinds.index("run_failed") == len(kinds) - 1


def test_what_was_approved_for_the_run_is_not_asked_again() -> None:
    story = Story([call(1)], [call(2)], [call(3, "kubectl delete pod web")])
    story.ask()
    story.decide(scope="run")
    story.ask()
    assert not story.run.waits
    assert story.run.state is RunState.RUNNING
    assert story.types()[-3:] == ["approval_requested", "approval_approved", "run_resumed"]
    with pytest.raises(WaitOver):
        story.wait()
    story.ask()
    assert story.driver.done == [DELETE, DELETE]
    assert story.run.waits
    assert story.approvals[1].decisions[0].inherited_from == story.approvals[0].approval_id


def test_a_call_that_is_not_the_one_that_was_approved_is_refused() -> None:
    story = Story()
    story.ask()
    story.decide()
    kept = story.store.conversation("t", "r")
    forged = {**kept, "pending_approvals": [call(1, "kubectl delete pod web")]}
    change_run("t", "r", lambda run: Proposal(run, conversation=forged), **story.ports())
    story.ask()
    assert story.driver.done == []
    assert story.driver.asked[1]["tool_decisions"][0]["approved"] is False


def test_secrets_of_a_call_are_not_shown_but_bound() -> None:
    token = "ghp_" + "a1B2" * 9
    story = Story([call(1, f"kubectl create secret generic x --from-literal=t={token}")])
    story.ask()
    (found,) = story.approvals
    assert token not in str(found)
    assert found.document()["subject"]["redacted"] is True
    story.decide()
    story.ask()
    assert story.driver.done == [f"kubectl create secret generic x --from-literal=t={token}"]


def test_more_calls_than_may_be_pending_are_refused_beyond_the_limit() -> None:
    calls = [call(n, f"kubectl delete pod p{n}") for n in range(35)]
    story = Story(driver=PausingDriver([calls]))
    story.ask()
    assert len(story.approvals) == 30
    for number in range(1, 31):
        story.decide(number)
    story.ask()
    assert len(story.driver.done) == 30
