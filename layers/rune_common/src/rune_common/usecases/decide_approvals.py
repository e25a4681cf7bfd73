"""Who decides about pending approvals, and what they decide (runs-api.md 6.5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rune_common.domain.access import Principal
from rune_common.domain.approval_errors import ApprovalAmbiguous, ApprovalNotFound, ApproverNotPermitted
from rune_common.domain.approval_policy import Gate
from rune_common.domain.approvals import Approval, ApprovalStatus, Decision, DecisionRules, settle_approval
from rune_common.domain.errors import FieldProblem, InvalidRequest, RuneError
from rune_common.domain.events import EventDraft, Redacting
from rune_common.domain.pauses import decision_event
from rune_common.domain.ports import Clock, IdempotencyClaim, RunChange, RunStore
from rune_common.domain.runs import Run
from rune_common.usecases.change_run import Proposal, change_run
from rune_common.usecases.find_run import find_run
from rune_common.usecases.keyed_answers import Answer, KeyedAnswers
from rune_common.usecases.run_status import run_status, status_with
from rune_common.usecases.settle_approvals import settled_proposal

OK = 200


@dataclass(frozen=True, slots=True)
class NamedDecision:
    """A decision and what it is about; without an id or a digest, about the only pending approval."""

    decision: Decision
    approval_id: str | None = None


@dataclass(frozen=True, slots=True)
class DecisionPorts:
    """`allow_self`: whoever asked for a run may also approve what it does."""

    runs: RunStore
    clock: Clock
    redactor: Redacting
    allow_self: bool = False


ErrorOf = Callable[[RuneError], Mapping[str, Any]]
"""How an error looks in the answer to several decisions."""


def list_approvals(
    run_id: str, caller: Principal, *, runs: RunStore, statuses: Sequence[ApprovalStatus] = ()
) -> list[Approval]:
    """The run's approvals, oldest first. Raises RunNotFound."""
    run = find_run(run_id, caller, runs=runs)
    found = runs.approvals(run.tenant, run.run_id)
    return [each for each in found if not statuses or each.status in statuses]


def decide_approval(
    run_id: str,
    asked: NamedDecision,
    caller: Principal,
    answers: KeyedAnswers | None,
    *,
    ports: DecisionPorts,
) -> Answer:
    """`{approval, run}`. Raises RunNotFound, InvalidRequest, and the refusals of `settle_approval`."""
    return _Deciding(run_id, [asked], caller, answers, ports, None).answer()


def decide_approvals(
    run_id: str,
    asked: Sequence[NamedDecision],
    caller: Principal,
    answers: KeyedAnswers,
    error_of: ErrorOf,
    *,
    ports: DecisionPorts,
) -> Answer:
    """`{results, run}`: each decision for itself, all that hold in one transaction. Raises RunNotFound."""
    return _Deciding(run_id, asked, caller, answers, ports, error_of).answer()


@dataclass(slots=True)
class _Deciding:
    """One request over its readings of the run."""

    run_id: str
    asked: Sequence[NamedDecision]
    caller: Principal
    answers: KeyedAnswers | None
    ports: DecisionPorts
    error_of: ErrorOf | None
    results: list[Approval | RuneError] = field(default_factory=list)
    told: list[Answer] = field(default_factory=list)

    def answer(self) -> Answer:
        return self._act() if self.answers is None else self.answers.once(self._act)

    def _act(self) -> Answer:
        ports = self.ports
        find_run(self.run_id, self.caller, runs=ports.runs)
        run = change_run(
            self.caller.tenant,
            self.run_id,
            self._decide,
            runs=ports.runs,
            clock=ports.clock,
            redactor=ports.redactor,
        )
        if self.told:
            return self.told[-1]
        answer = self._answered(run_status(run, runs=ports.runs).document())
        return answer if self.answers is None else self.answers.keep(self.run_id, answer)

    def _decide(self, run: Run) -> Proposal | None:
        now, ports = self.ports.clock(), self.ports
        self.told.clear()
        self.results.clear()
        before = list(ports.runs.approvals(run.tenant, run.run_id))
        known, drafts, changed = list(before), list[EventDraft](), dict[str, Approval]()
        for each in self.asked:
            try:
                found = _found(known, each, self.caller)
                after = self._settled(run, found, each, now)
            except RuneError as exc:
                if self.error_of is None:
                    raise
                self.results.append(exc)
                continue
            self.results.append(after)
            if after is not found:
                changed[after.approval_id] = after
                drafts.append(decision_event(after))
                known = [after if one.approval_id == after.approval_id else one for one in known]
        if not changed:
            return None
        proposal = settled_proposal(run, before, list(changed.values()), drafts, now)

        def claim(change: RunChange) -> IdempotencyClaim | None:
            status = status_with(run_status(run, runs=ports.runs), change.events)
            self.told.append(self._answered(status.document()))
            return None if self.answers is None else self.answers.claim(run.run_id, self.told[-1])

        return replace(proposal, claim=claim)

    def _settled(self, run: Run, approval: Approval, asked: NamedDecision, now_ms: int) -> Approval:
        if asked.decision.scope == "run" and approval.gate is not Gate.TOOL_CALL:
            raise InvalidRequest(FieldProblem("scope", "conflict", "run is for tool calls only"))
        reason, _ = self.ports.redactor.value(asked.decision.reason)
        rules = DecisionRules(frozenset({run.created_by}), self.ports.allow_self, run.terminal)
        return settle_approval(approval, replace(asked.decision, reason=reason), self.caller, rules, now_ms)

    def _answered(self, status: Mapping[str, Any]) -> Answer:
        if self.error_of is None:
            (only,) = self.results
            assert isinstance(only, Approval)
            return Answer(OK, {"approval": only.document(), "run": status})
        results = [self._result(each, asked) for each, asked in zip(self.results, self.asked, strict=True)]
        return Answer(OK, {"results": results, "run": status})

    def _result(self, found: Approval | RuneError, asked: NamedDecision) -> dict[str, Any]:
        if isinstance(found, Approval):
            return {"approval_id": found.approval_id, "ok": True, "approval": found.document()}
        assert self.error_of is not None
        return {"approval_id": asked.approval_id, "ok": False, "error": self.error_of(found)}


def _found(approvals: Sequence[Approval], asked: NamedDecision, caller: Principal) -> Approval:
    """Raises ApproverNotPermitted, ApprovalNotFound, ApprovalAmbiguous."""
    if caller.kind != "human":
        raise ApproverNotPermitted
    digest = asked.decision.subject_digest
    if asked.approval_id is not None:
        named = [each for each in approvals if each.approval_id == asked.approval_id]
    elif digest is not None:
        named = [each for each in approvals if each.subject_digest == digest]
        # The same action may have been asked about before: what is pending is meant, else the last answer.
        named = [each for each in named if each.pending] or named[-1:]
    else:
        named = [each for each in approvals if each.pending]
        if len(named) > 1:
            raise ApprovalAmbiguous
    if not named:
        raise ApprovalNotFound(asked.approval_id or "")
    return named[0]
