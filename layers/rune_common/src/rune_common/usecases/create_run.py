"""Create a run of any kind that may be asked for (runs-api.md 2.2). What a kind needs is its planner's affair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rune_common.domain.access import Principal
from rune_common.domain.actors import actor_of
from rune_common.domain.addresses import Resolve
from rune_common.domain.chain import genesis
from rune_common.domain.errors import FieldProblem, InvalidRequest, RunNotFound
from rune_common.domain.events import EventDraft, Redacting, append_event
from rune_common.domain.fold import RunStatus
from rune_common.domain.jobs import KIND_WORDS
from rune_common.domain.ports import BlobStore, Clock, NewId, RunRequest, RunStore
from rune_common.domain.run_requests import NewRun
from rune_common.domain.runs import LogHead, Run, RunKind, RunState
from rune_common.domain.spend import SpendLedger, spend_day
from rune_common.usecases.find_run import find_run
from rune_common.usecases.keyed_answers import Answer, KeyedAnswers
from rune_common.usecases.plan_job import JobRules, Plan, Planning
from rune_common.usecases.queued_event import fit_queued
from rune_common.usecases.resolve_kubeconfig import Kubeconfigs
from rune_common.usecases.run_status import status_with
from rune_common.usecases.submit_job import PLANNERS, REDACTED

CREATED = 201


@dataclass(frozen=True, slots=True)
class CreationPorts:
    """What creating a run needs. `defaults` is what applies for the tenant, by setting key."""

    rules: JobRules
    defaults: Mapping[str, Any]
    runs: RunStore
    blobs: BlobStore
    spend: SpendLedger
    kubeconfigs: Kubeconfigs
    clock: Clock
    new_id: NewId
    redactor: Redacting
    resolve: Resolve | None = None


def create_run(asked: NewRun, caller: Principal, answers: KeyedAnswers, *, ports: CreationPorts) -> Answer:
    """Store a queued run, or an external one that runs at once, with its first events and its key.

    The answer is its status. Raises InvalidRequest and its kinds, IdempotencyKeyReused, TooManyActiveRuns,
    Unavailable; then no run exists.
    """

    def act() -> Answer:
        _check_parent(asked, caller, ports.runs)
        plan = _plan(asked, caller, ports)
        run, drafts = _new(asked, plan, caller, ports)
        head, events = run.head, []
        for draft in drafts:
            event, head = append_event(head, draft, now_ms=run.created_at, redactor=ports.redactor)
            events.append(event)
        run = replace(run, head=head, redactions=sum(event.redactions for event in events))
        answer = Answer(CREATED, status_with(RunStatus(), events).document())
        ports.runs.create(
            run,
            RunRequest(plan.document, plan.secrets),
            events,
            claim=answers.claim(run.run_id, answer),
            max_active=ports.rules.max_active,
            chain=plan.chain,
        )
        return answer

    return answers.once(act)


def _check_parent(asked: NewRun, caller: Principal, runs: RunStore) -> None:
    if asked.parent_run_id is not None:
        try:
            find_run(asked.parent_run_id, caller, runs=runs)
        except RunNotFound:
            raise InvalidRequest(
                FieldProblem("parent_run_id", "unknown", "is no run of this tenant")
            ) from None


def _plan(asked: NewRun, caller: Principal, ports: CreationPorts) -> Plan:
    """The kind's plan, with what every run has added to its request. Raises InvalidRequest and its kinds."""
    if asked.kind is RunKind.EXTERNAL:
        model = str(asked.document.get("orchestrator_model") or "")
        return Plan(asked.document, model, timeout_seconds=asked.timeout_seconds)
    now = ports.clock()
    planning = Planning(
        rules=ports.rules,
        defaults=ports.defaults,
        kubeconfigs=ports.kubeconfigs,
        spent_today=lambda: ports.spend.spent(caller.tenant, spend_day(now)),
        resolve=ports.resolve,
    )
    plan = PLANNERS[asked.kind](asked.work, planning)
    shown = {**asked.document, **plan.document, "orchestrator_model": plan.model or None}
    # The approval that the run was asked to have goes before the one that its job's form implies.
    return replace(plan, document={**shown, "approval": asked.document["approval"]})


def _new(asked: NewRun, plan: Plan, caller: Principal, ports: CreationPorts) -> tuple[Run, list[EventDraft]]:
    run_id, now = ports.new_id(), ports.clock()
    external = asked.kind is RunKind.EXTERNAL
    run = Run(
        tenant=caller.tenant,
        run_id=run_id,
        kind=asked.kind,
        state=RunState.RUNNING if external else RunState.QUEUED,
        created_at=now,
        updated_at=now,
        started_at=now if external else None,
        created_by=caller.subject,
        head=LogHead(caller.tenant, run_id, 0, genesis(caller.tenant, run_id)),
        model=plan.model,
        agent=plan.agent,
        backend_type=plan.backend_type,
        timeout_seconds=plan.timeout_seconds,
        warnings=plan.warnings,
        mode=asked.document["mode"],
        repo=asked.document["repo"],
        parent_run_id=asked.parent_run_id,
    )
    drafts = [_queued(run, asked, plan, caller, ports)]
    drafts += [_warning(code) for code in plan.warnings]
    return run, [*drafts, _started(asked)] if external else drafts


def _queued(run: Run, asked: NewRun, plan: Plan, caller: Principal, ports: CreationPorts) -> EventDraft:
    payload = {
        "summary": "accepted",
        "kind": str(run.kind),
        "request": {**plan.document, **plan.shown, **dict.fromkeys(plan.concealed, REDACTED)},
        "product_version": ports.rules.product_version,
        "span": {"name": "job.queued", "status": "ok", "labels": {"kind": KIND_WORDS[run.kind]}},
    }
    draft = EventDraft("run_queued", payload, actor_detail=actor_of(caller))
    return fit_queued(draft, run.tenant, run.run_id, blobs=ports.blobs, redactor=ports.redactor)


def _started(asked: NewRun) -> EventDraft:
    files = [
        {"path": each["path"], "loaded": False, "reason": "external"}
        for each in asked.document["context_files"]
    ]
    payload = {
        "summary": "run started",
        "runtime_profile": asked.document["runtime_profile"],
        "context_files": files,
    }
    return EventDraft("run_started", payload)


def _warning(code: str) -> EventDraft:
    payload = {
        "summary": f"warning: {code}",
        "detail": {"code": code},
        "span": {"name": "job.warning", "status": "ok", "labels": {"code": code}},
    }
    return EventDraft("run_progress", payload)
