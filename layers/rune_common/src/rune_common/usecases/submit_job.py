"""Accept a job of any kind (jobs-api.md 4.2 to 4.4). What a kind needs is its planner's affair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rune_common.domain.access import Principal
from rune_common.domain.actors import actor_of
from rune_common.domain.addresses import Resolve
from rune_common.domain.chain import genesis
from rune_common.domain.errors import IdempotencyKeyReused, IdempotencyKeyTaken, Unavailable
from rune_common.domain.events import Event, EventDraft, Redacting, append_event
from rune_common.domain.jobs import KIND_WORDS
from rune_common.domain.ports import BlobStore, Clock, IdempotencyClaim, NewId, RunRequest, RunStore
from rune_common.domain.runs import LogHead, Run, RunKind, RunState
from rune_common.domain.spend import SpendLedger, spend_day
from rune_common.usecases.plan_chain import plan_chain
from rune_common.usecases.plan_command import plan_command
from rune_common.usecases.plan_estimate import plan_estimate
from rune_common.usecases.plan_job import JobRules, Plan, Planner, Planning
from rune_common.usecases.plan_work import plan_work
from rune_common.usecases.queued_event import fit_queued
from rune_common.usecases.resolve_kubeconfig import Kubeconfigs

REDACTED = "[REDACTED]"
DAY_MS = 24 * 60 * 60 * 1000

PLANNERS: Mapping[RunKind, Planner] = {
    RunKind.AGENT: plan_work,
    RunKind.BENCHMARK: plan_work,
    RunKind.LLM_INSTANCE: plan_work,
    RunKind.COST_ESTIMATE: plan_estimate,
    RunKind.CHAIN: plan_chain,
    RunKind.COMMAND: plan_command,
}


@dataclass(frozen=True, slots=True)
class Submission:
    """A valid request of a kind, the hash of its body and the key under which it may be repeated."""

    kind: RunKind
    request: Any
    body_sha256: str
    idempotency_key: str | None = None

    @property
    def operation(self) -> str:
        """Older names of a kind's path are the same operation (jobs-api.md 4.4)."""
        return f"submit_job:{KIND_WORDS[self.kind]}"


@dataclass(frozen=True, slots=True)
class Submitted:
    run_id: str
    replayed: bool = False


def submit_job(
    submission: Submission,
    caller: Principal,
    *,
    rules: JobRules,
    defaults: Mapping[str, Any],
    runs: RunStore,
    blobs: BlobStore,
    spend: SpendLedger,
    kubeconfigs: Kubeconfigs,
    clock: Clock,
    new_id: NewId,
    redactor: Redacting,
    resolve: Resolve | None = None,
) -> Submitted:
    """Store a queued job, its first events and its idempotency key in one transaction.

    `defaults` is what applies for the tenant, by setting key. A repeat of the key with the same body is
    answered with the first job. Raises InvalidRequest and its kinds, IdempotencyKeyReused, TooManyActiveRuns,
    Unavailable; then no job exists.
    """
    now = clock()
    earlier = _replay(submission, caller, runs, now)
    if earlier is not None:
        return earlier
    planning = Planning(
        rules=rules,
        defaults=defaults,
        kubeconfigs=kubeconfigs,
        spent_today=lambda: spend.spent(caller.tenant, spend_day(now)),
        resolve=resolve,
    )
    plan = PLANNERS[submission.kind](submission.request, planning)
    run = _queued(new_id(), submission.kind, plan, caller, now)
    drafts = [
        _run_queued(run, plan, caller, rules, redactor, blobs),
        *map(_warning, run.warnings),
    ]
    run, events = _logged(run, drafts, now, redactor)
    claim = _claim(submission, run, rules.retention_days)
    request = RunRequest(plan.document, plan.secrets)
    try:
        runs.create(run, request, events, claim=claim, max_active=rules.max_active, chain=plan.chain)
    except IdempotencyKeyTaken:
        earlier = _replay(submission, caller, runs, now)
        if earlier is None:
            raise Unavailable("an idempotency key was taken and is gone") from None
        return earlier
    return Submitted(run.run_id)


def _replay(submission: Submission, caller: Principal, runs: RunStore, now_ms: int) -> Submitted | None:
    if submission.idempotency_key is None:
        return None
    claim = runs.claimed(caller.tenant, submission.operation, submission.idempotency_key)
    if claim is None or claim.expires_at <= now_ms:
        return None
    if claim.body_sha256 != submission.body_sha256:
        raise IdempotencyKeyReused
    return Submitted(claim.run_id, replayed=True)


def _claim(submission: Submission, run: Run, retention_days: int) -> IdempotencyClaim | None:
    if submission.idempotency_key is None:
        return None
    return IdempotencyClaim(
        tenant=run.tenant,
        operation=submission.operation,
        key=submission.idempotency_key,
        body_sha256=submission.body_sha256,
        run_id=run.run_id,
        # The record is kept for that long after its end, which is at most hours away.
        expires_at=run.created_at + (retention_days + 1) * DAY_MS,
    )


def _queued(run_id: str, kind: RunKind, plan: Plan, caller: Principal, now_ms: int) -> Run:
    return Run(
        tenant=caller.tenant,
        run_id=run_id,
        kind=kind,
        state=RunState.QUEUED,
        created_at=now_ms,
        updated_at=now_ms,
        created_by=caller.subject,
        head=LogHead(caller.tenant, run_id, 0, genesis(caller.tenant, run_id)),
        model=plan.model,
        agent=plan.agent,
        backend_type=plan.backend_type,
        timeout_seconds=plan.timeout_seconds,
        warnings=plan.warnings,
    )


def _run_queued(
    run: Run,
    plan: Plan,
    caller: Principal,
    rules: JobRules,
    redactor: Redacting,
    blobs: BlobStore,
) -> EventDraft:
    payload = {
        "summary": "accepted",
        "request": {**plan.document, **plan.shown, **dict.fromkeys(plan.concealed, REDACTED)},
        "product_version": rules.product_version,
        "span": {"name": "job.queued", "status": "ok", "labels": {"kind": KIND_WORDS[run.kind]}},
    }
    return fit_queued(
        EventDraft("run_queued", payload, actor_detail=actor_of(caller)),
        run.tenant,
        run.run_id,
        blobs=blobs,
        redactor=redactor,
    )


def _warning(code: str) -> EventDraft:
    payload = {
        "summary": f"warning: {code}",
        "detail": {"code": code},
        "span": {"name": "job.warning", "status": "ok", "labels": {"code": code}},
    }
    return EventDraft("run_progress", payload)


def _logged(run: Run, drafts: list[EventDraft], now_ms: int, redactor: Redacting) -> tuple[Run, list[Event]]:
    head, events = run.head, []
    for draft in drafts:
        event, head = append_event(head, draft, now_ms=now_ms, redactor=redactor)
        events.append(event)
    return replace(run, head=head, redactions=sum(event.redactions for event in events)), events
