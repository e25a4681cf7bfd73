"""Settling approvals: one outcome, in the order of checks, never too late (runs-api.md 6.5, 16)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rune_common.domain.access import Principal
from rune_common.domain.approval_errors import (
    ApprovalAlreadyDecided,
    ApprovalExpired,
    ApproverNotPermitted,
    SelfApprovalForbidden,
    SubjectChanged,
)
from rune_common.domain.approval_policy import ApprovalPolicy, Gate, Verdict, policy_of
from rune_common.domain.approval_subjects import asked_command, asked_tool_call
from rune_common.domain.approvals import (
    Approval,
    ApprovalStatus,
    Decision,
    DecisionRules,
    cancelled,
    expired,
    inherited,
    settle_approval,
    subject_digest,
)
from rune_common.domain.errors import RuneError, RunTerminal
from rune_common.domain.run_requests import Mode

DIGEST, OTHER = "a" * 64, "b" * 64
ASKED, ENDS = 1_000, 61_000
RULES = DecisionRules(frozenset({"maker"}))
B = Principal("b", "human", "t")
C = Principal("c", "human", "t")
MAKER = Principal("maker", "human", "t")
APPROVE, DENY = Decision(True), Decision(False, "no")


def approval(**fields: Any) -> Approval:
    base = Approval("r-a1", "r", "r-p1", Gate.TOOL_CALL, DIGEST, ASKED, ENDS, "agent:holmes", "delete a pod")
    return replace(base, **fields)


def refusal(
    found: Approval, decision: Decision, who: Principal, rules: DecisionRules = RULES, now: int = 2_000
) -> type:
    with pytest.raises(RuneError) as caught:
        settle_approval(found, decision, who, rules, now)
    return caught.type


actors = st.sampled_from([B, C, MAKER, Principal("s", "service", "t"), Principal("run:r", "run", "t")])
decisions = st.builds(
    Decision,
    st.booleans(),
    st.just("because"),
    st.sampled_from(["once", "run"]),
    st.sampled_from([None, DIGEST, OTHER]),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("decide"), decisions, actors, st.integers(0, 120_000)),
        st.tuples(st.just("expire"), st.just(APPROVE), st.just(B), st.integers(0, 120_000)),
        st.tuples(st.just("cancel"), st.just(APPROVE), st.just(B), st.integers(0, 120_000)),
    ),
    max_size=12,
)


@given(steps, st.integers(1, 3), st.booleans())
def test_an_approval_has_one_settling_outcome_and_is_never_approved_too_late(
    taken: list[Any], required: int, allow_self: bool
) -> None:
    found = approval(required_approvals=required)
    rules = replace(RULES, allow_self=allow_self)
    outcomes = []
    for kind, decision, who, now in taken:
        before = found
        try:
            if kind == "decide":
                found = settle_approval(found, decision, who, rules, now)
            else:
                found = expired(found, now) if kind == "expire" else cancelled(found, now)
        except RuneError:
            assert found is before
            continue
        if before.pending and not found.pending:
            outcomes.append(found.status)
        if not before.pending:
            assert found == before
        if found.status is ApprovalStatus.APPROVED:
            agreed = {each.actor for each in found.decisions}
            assert found.settled_at is not None
            assert found.settled_at < ENDS
            assert len(agreed) >= required
            assert allow_self or "maker" not in agreed
            assert agreed <= {"b", "c", "maker"}
    assert len(outcomes) <= 1


@given(st.dictionaries(st.text(max_size=5), st.integers(0, 9), min_size=1, max_size=5), st.randoms())
def test_a_digest_knows_every_member_and_no_order(document: dict[str, int], random: Any) -> None:
    names = list(document)
    random.shuffle(names)
    assert subject_digest({name: document[name] for name in names}) == subject_digest(document)
    for name in names:
        assert subject_digest({**document, name: document[name] + 1}) != subject_digest(document)
        assert subject_digest({each: document[each] for each in names if each != name}) != subject_digest(
            document
        )


def test_only_people_who_may_and_did_not_ask_approve() -> None:
    assert refusal(approval(), APPROVE, Principal("s", "service", "t")) is ApproverNotPermitted
    assert refusal(approval(), DENY, Principal("run:r", "run", "t")) is ApproverNotPermitted
    assert refusal(approval(approvers=("x",)), APPROVE, B) is ApproverNotPermitted
    assert refusal(approval(), APPROVE, MAKER) is SelfApprovalForbidden
    denied = settle_approval(approval(), DENY, MAKER, RULES, 2_000)
    assert denied.status is ApprovalStatus.DENIED
    allowed = settle_approval(approval(), APPROVE, MAKER, replace(RULES, allow_self=True), 2_000)
    assert allowed.status is ApprovalStatus.APPROVED


def test_the_first_check_that_fails_is_the_one_that_is_told() -> None:
    gone = approval(status=ApprovalStatus.APPROVED, approvers=("x",))
    rules = replace(RULES, run_terminal=True)
    wrong = replace(APPROVE, subject_digest=OTHER)
    assert refusal(gone, wrong, B, rules, ENDS) is ApproverNotPermitted
    assert refusal(replace(gone, approvers=()), wrong, B, rules, ENDS) is ApprovalAlreadyDecided
    assert refusal(approval(), wrong, B, rules, ENDS) is ApprovalExpired
    assert refusal(approval(), wrong, B, rules) is RunTerminal
    assert refusal(approval(), wrong, B) is SubjectChanged
    assert refusal(approval(status=ApprovalStatus.EXPIRED), APPROVE, B) is ApprovalExpired
    assert refusal(approval(status=ApprovalStatus.CANCELLED), DENY, B) is ApprovalAlreadyDecided
    assert (
        refusal(approval(status=ApprovalStatus.SUPERSEDED, superseded_by="r-a2"), APPROVE, B)
        is SubjectChanged
    )


def test_repeating_a_decision_changes_nothing_and_the_contrary_is_refused() -> None:
    once = settle_approval(approval(), replace(APPROVE, subject_digest=DIGEST), B, RULES, 2_000)
    assert settle_approval(once, APPROVE, B, RULES, ENDS + 1) is once
    assert refusal(once, DENY, B) is ApprovalAlreadyDecided
    assert refusal(once, APPROVE, C) is ApprovalAlreadyDecided


def test_several_approvers_are_several_people_and_one_denial_is_enough() -> None:
    one = settle_approval(approval(required_approvals=2), APPROVE, B, RULES, 2_000)
    assert (one.status, one.decisions[-1].decision) == (ApprovalStatus.PENDING, "partial")
    assert settle_approval(one, APPROVE, B, RULES, 3_000) is one
    both = settle_approval(one, APPROVE, C, RULES, 3_000)
    assert (both.status, both.settled_at) == (ApprovalStatus.APPROVED, 3_000)
    denied = settle_approval(one, DENY, B, RULES, 3_000)
    assert (denied.status, denied.reason) == (ApprovalStatus.DENIED, "no")


def test_later_calls_that_are_alike_inherit_what_was_approved_for_the_run() -> None:
    call = {"tool_call_id": "c1", "tool_name": "bash", "params": {"command": "kubectl delete pod x"}}
    asked = asked_tool_call("r", call)
    source = settle_approval(approval(alike=asked.alike), Decision(True, scope="run"), B, RULES, 2_000)
    later = asked_tool_call("r", {**call, "tool_call_id": "c2"})
    assert later.digest != asked.digest
    found = inherited(
        approval(approval_id="r-a2", alike=later.alike, subject_digest=later.digest), [source], 3_000
    )
    assert (found.status, found.decisions[0].inherited_from) == (ApprovalStatus.APPROVED, "r-a1")
    other = asked_tool_call("r", {**call, "params": {"command": "kubectl delete pod y"}})
    assert inherited(approval(alike=other.alike, subject_digest=other.digest), [source], 3_000).pending
    once = settle_approval(approval(alike=asked.alike), APPROVE, B, RULES, 2_000)
    assert inherited(approval(alike=later.alike, subject_digest=later.digest), [once], 3_000).pending


def test_a_denied_digest_stays_denied() -> None:
    denied = settle_approval(approval(), DENY, B, RULES, 2_000)
    again = inherited(approval(approval_id="r-a2"), [denied], 3_000)
    assert (again.status, again.reason) == (ApprovalStatus.DENIED, "no")


EXPECTED = {
    Gate.TOOL_CALL: "deny ask ask ask",
    Gate.COMMAND: "deny allow ask allow",
    Gate.EDIT: "deny deny ask allow",
    Gate.GIT_COMMIT: "deny deny ask allow",
    Gate.GIT_PUSH: "deny deny ask ask",
    Gate.GIT_PR: "deny deny ask ask",
    Gate.CONTINUE_LOOP: "deny deny ask ask",
}


@pytest.mark.parametrize("gate", Gate)
def test_policy_follows_the_table_required_asks_and_none_denies(gate: Gate) -> None:
    for mode, expected in zip(Mode, EXPECTED[gate].split(), strict=True):
        policy = ApprovalPolicy("policy", mode)
        assert policy.verdict(gate) == expected
        asking = "ask" if expected == "allow" else expected
        assert replace(policy, mode="required").verdict(gate) == asking
        assert replace(policy, pack="strict").verdict(gate) == asking
        assert replace(policy, mode="none").verdict(gate) == ("deny" if expected == "ask" else expected)


@pytest.mark.parametrize(
    "request_document",
    [
        {},
        {"approval": None},
        {"approval": {"mode": "maybe"}},
        {"approval": {"mode": "policy"}, "mode": "root"},
    ],
)
def test_a_missing_or_malformed_policy_refuses(request_document: dict[str, Any]) -> None:
    assert {policy_of(request_document).verdict(gate) for gate in Gate} == {Verdict.DENY}


def test_a_job_has_the_readonly_mode_and_asks_only_when_it_says_so() -> None:
    assert policy_of({"approval": {"mode": "none"}}).verdict(Gate.TOOL_CALL) is Verdict.DENY
    assert (
        policy_of({"approval": {"mode": "policy", "on_deny": "stop"}}).verdict(Gate.TOOL_CALL) is Verdict.ASK
    )
    assert policy_of({"approval": {"mode": "policy", "on_deny": "stop"}}).stops


def test_a_command_is_bound_to_its_arguments_folder_and_environment() -> None:
    asked = asked_command("r", ["/bin/sh", "-c", "make deploy"], "app", {"A": "1"})
    assert asked.summary == "run: make deploy"
    others = [
        asked_command("r", ["/bin/sh", "-c", "make deploy "], "app", {"A": "1"}),
        asked_command("r", ["/bin/sh", "-c", "make deploy"], "", {"A": "1"}),
        asked_command("r", ["/bin/sh", "-c", "make deploy"], "app", {"A": "2"}),
        asked_command("q", ["/bin/sh", "-c", "make deploy"], "app", {"A": "1"}),
    ]
    assert len({each.digest for each in (asked, *others)}) == 5
