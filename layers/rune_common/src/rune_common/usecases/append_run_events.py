"""Append what a client tells to a run's log: all of it or nothing, and each draft once (runs-api.md 2.7, 13)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rune_common.domain.access import Principal
from rune_common.domain.approval_policy import policy_of
from rune_common.domain.approvals import Approval
from rune_common.domain.errors import FieldProblem, InvalidRequest, RunTerminal
from rune_common.domain.events import MAX_EVENTS_PER_APPEND, EventDraft, Redacting
from rune_common.domain.external_events import ExternalDraft, accepted, closing_events
from rune_common.domain.ports import BlobStore, Clock, Producer, RunChange, RunStore
from rune_common.domain.run_cursors import event_id
from rune_common.domain.run_endings import end_run
from rune_common.domain.run_errors import EventTypeNotAllowed, ProducerKeyConflict
from rune_common.domain.run_locks import RunLocks
from rune_common.domain.runs import Outcome, ReportedWork, Run, RunKind, RunState, Trigger
from rune_common.usecases.change_run import Proposal, Seal, change_run, unsealed
from rune_common.usecases.external_approvals import APPROVAL, approval_ids, external_approval
from rune_common.usecases.find_run import find_run, reportable
from rune_common.usecases.fit_draft import fit_draft
from rune_common.usecases.keyed_answers import Answer, KeyedAnswers
from rune_common.usecases.settle_approvals import stop_waiting, waiting_proposal

APPENDED, NOTHING_NEW = 201, 200
MAX_EVENTS = 100_000
"""Events of one run (runs-api.md 15); so many places at its end are kept for what closes the log."""

MAX_LARGE_PARTS = 16
"""Strings of one append that may leave it as artifacts: a transaction has room for so many."""

LOG_FULL = Outcome(RunState.FAILED, "LOG_FULL", "the log is full")


@dataclass(frozen=True, slots=True)
class AppendPorts:
    runs: RunStore
    blobs: BlobStore
    clock: Clock
    redactor: Redacting
    locks: RunLocks
    seal: Seal = unsealed
    max_events: int = MAX_EVENTS


def append_run_events(
    run_id: str,
    drafts: Sequence[ExternalDraft],
    caller: Principal,
    answers: KeyedAnswers,
    *,
    ports: AppendPorts,
) -> Answer:
    """201 with the places of the events, 200 if all were there already.

    Raises RunNotFound, RunNotExternallyOwned, RunTerminal, ProducerKeyConflict, InvalidRequest,
    IdempotencyKeyReused.
    """

    def act() -> Answer:
        reportable(find_run(run_id, caller, runs=ports.runs), caller)
        append = _Append(caller, drafts, answers, ports)
        with ports.locks.of(caller.tenant, run_id):
            run = change_run(
                caller.tenant,
                run_id,
                append.decide,
                runs=ports.runs,
                clock=ports.clock,
                redactor=ports.redactor,
            )
        if append.filled:
            raise RunTerminal(run_id)
        return append.answer or answers.keep(run_id, append.answered(run, append.known))

    return answers.once(act)


class _Append:
    """One request over its readings of the run."""

    def __init__(
        self, caller: Principal, drafts: Sequence[ExternalDraft], answers: KeyedAnswers, ports: AppendPorts
    ) -> None:
        self._caller, self._answers, self._ports = caller, answers, ports
        self._drafts = _distinct(drafts)
        self._asked = [draft.producer_key for draft in drafts]
        self._looked = False
        self.known: Mapping[str, Producer] = {}
        self.answer: Answer | None = None
        self.filled = False
        self._asks = any(draft.type == APPROVAL for draft in drafts)
        self._approvals: list[Approval] = []

    def decide(self, run: Run) -> Proposal | None:
        self.answer, self.filled = None, False
        self._approvals = []
        if self._asks:
            self._approvals = list(self._ports.runs.approvals(run.tenant, run.run_id))
        # Most keys are new, and a transaction that meets one which is not is refused: so the first try looks none
        # up. Once it was refused, or the run has ended, they have to be known.
        if self._looked or run.terminal:
            keys = list(self._drafts)
            self.known = self._ports.runs.producers(run.tenant, run.run_id, keys)
        self._looked = True
        self._check_known()
        new = [draft for key, draft in self._drafts.items() if key not in self.known]
        if not new:
            return None
        if run.terminal:
            raise RunTerminal(run.run_id)
        if run.head.sequence + len(new) > self._ports.max_events - MAX_EVENTS_PER_APPEND:
            self.filled = True
            return self._full(run)
        return self._appended(run, new)

    def answered(self, run: Run, places: Mapping[str, Producer]) -> Answer:
        """The answer, given the places of all drafts; `known` tells which were there before."""
        seen: set[str] = set()
        events: list[dict[str, Any]] = []
        appended, ids = 0, approval_ids(self._approvals)
        for key in self._asked:
            duplicate = key in self.known or key in seen
            seen.add(key)
            appended += not duplicate
            place = places[key].sequence
            events.append(
                {
                    "producer_key": key,
                    "event_id": event_id(run.run_id, place),
                    "sequence": place,
                    "duplicate": duplicate,
                    **({"approval_id": ids[key]} if key in ids else {}),
                }
            )
        sequences = [each["sequence"] for each in events]
        return Answer(
            APPENDED if appended else NOTHING_NEW,
            {
                "run_id": run.run_id,
                "appended": appended,
                "duplicates": len(events) - appended,
                "first_sequence": min(sequences),
                "last_sequence": max(sequences),
                "head_hash": run.head.last_hash,
                "events": events,
            },
        )

    def _check_known(self) -> None:
        for key, place in self.known.items():
            if place.digest != self._drafts[key].digest:
                raise ProducerKeyConflict(key)

    def _appended(self, run: Run, new: Sequence[ExternalDraft]) -> Proposal:
        ports, work, events = self._ports, run.reported, list[EventDraft]()
        earlier, now = list(self._approvals), ports.clock()
        for number, draft in enumerate(new):
            if draft.type == APPROVAL:
                events += self._approval_events(run, draft, now)
                continue
            event, work = accepted(
                draft,
                work,
                subject=self._caller.subject,
                now_ms=ports.clock(),
                redactor=ports.redactor,
                path=f"events.{number}",
            )
            events.append(
                fit_draft(event, run.tenant, run.run_id, blobs=ports.blobs, redactor=ports.redactor)
            )
        if sum(len(event.artifacts) for event in events) > MAX_LARGE_PARTS:
            raise InvalidRequest(
                FieldProblem("events", "too_large", "has too many large parts for one append")
            )

        def claim(change: RunChange) -> Any:
            written = {each.key: each for each in change.producers}
            self.answer = self.answered(change.after, {**self.known, **written})
            return self._answers.claim(run.run_id, self.answer)

        after = replace(run, reported=work)
        made = self._approvals[len(earlier) :]
        if not made:
            return Proposal(after, events, claim=claim)
        proposal = waiting_proposal(after, earlier, made, events, now)
        if len(proposal.drafts) > MAX_EVENTS_PER_APPEND:
            raise InvalidRequest(FieldProblem("events", "too_many", "mean too many events for one append"))
        return replace(proposal, claim=claim)

    def _approval_events(self, run: Run, draft: ExternalDraft, now_ms: int) -> list[EventDraft]:
        """The events of an approval that the client asks for, which is noted.

        Raises TooManyPendingApprovals, and EventTypeNotAllowed where the client does not do the work.
        """
        if run.kind is not RunKind.EXTERNAL:
            raise EventTypeNotAllowed("type")
        ports = self._ports
        request = ports.runs.request_document(run.tenant, run.run_id) or {}
        approval, events = external_approval(
            run,
            draft,
            policy_of(request),
            self._approvals,
            subject=self._caller.subject,
            now_ms=now_ms,
            blobs=ports.blobs,
            redactor=ports.redactor,
        )
        self._approvals.append(approval)
        return events

    def _full(self, run: Run) -> Proposal:
        """The end of a run whose log has no more room."""
        ports = self._ports
        if run.waits:
            # This reading is stale after it, so the whole decision is made once more on a fresh one.
            stop_waiting(run.tenant, run.run_id, runs=ports.runs, clock=ports.clock, redactor=ports.redactor)
        trigger = Trigger.STOPPED if run.state is RunState.CANCELLING else Trigger.FAIL
        ended, drafts = end_run(run, trigger, LOG_FULL, now_ms=ports.clock())
        ended = replace(ended, reported=ReportedWork(run.reported.terminal_seq), stop_by=None)
        proposal = Proposal(ended, [*closing_events(run.reported), *drafts], forget_request=True)
        return ports.seal(run, proposal)


def _distinct(drafts: Sequence[ExternalDraft]) -> dict[str, ExternalDraft]:
    """Each draft once, by its key. Raises ProducerKeyConflict for two drafts under one key."""
    found: dict[str, ExternalDraft] = {}
    for draft in drafts:
        earlier = found.setdefault(draft.producer_key, draft)
        if earlier.digest != draft.digest:
            raise ProducerKeyConflict(draft.producer_key)
    return found
