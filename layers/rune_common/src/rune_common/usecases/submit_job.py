"""Accept a question for the agent (jobs-api.md 4.2 to 4.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rune_common.domain.access import Principal
from rune_common.domain.addresses import AddressNotAllowed, AddressPolicy, AddressUnresolved, Resolve
from rune_common.domain.chain import genesis
from rune_common.domain.errors import (
    BackendNotAllowed,
    IdempotencyKeyReused,
    IdempotencyKeyTaken,
    ProviderNotConfigured,
    Unavailable,
)
from rune_common.domain.events import Event, EventDraft, Redacting, append_event
from rune_common.domain.jobs import AgentJobRequest
from rune_common.domain.ports import BlobStore, Clock, IdempotencyClaim, NewId, RunRequest, RunStore
from rune_common.domain.runs import LogHead, Run, RunKind, RunState
from rune_common.usecases.fit_draft import fit_draft
from rune_common.usecases.resolve_kubeconfig import ClusterAccess, Kubeconfigs, resolve_kubeconfig

OPERATION = "submit_job:agentic-agent"
REDACTED = "[REDACTED]"
DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Submission:
    """A valid request, the hash of its body and the key under which it may be repeated."""

    request: AgentJobRequest
    body_sha256: str
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Submitted:
    run_id: str
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class JobRules:
    """What the operator decided for jobs. `backend_url` "" means that there is no default model server."""

    model: str
    backend_url: str
    max_active: int
    retention_days: int
    product_version: str
    backends: AddressPolicy
    clusters: AddressPolicy
    allow_insecure_tls: bool = False


def submit_job(
    submission: Submission,
    caller: Principal,
    *,
    rules: JobRules,
    runs: RunStore,
    blobs: BlobStore,
    kubeconfigs: Kubeconfigs,
    clock: Clock,
    new_id: NewId,
    redactor: Redacting,
    resolve: Resolve | None = None,
) -> Submitted:
    """Store a queued job, its first events and its idempotency key in one transaction.

    A repeat of the key with the same body is answered with the first job. Raises InvalidRequest and its
    kinds, IdempotencyKeyReused, TooManyActiveRuns, Unavailable; then no job exists.
    """
    now = clock()
    earlier = _replay(submission, caller, runs, now)
    if earlier is not None:
        return earlier
    asked = submission.request
    cluster = resolve_kubeconfig(
        asked.kubeconfig,
        kubeconfigs=kubeconfigs,
        policy=rules.clusters,
        allow_insecure_tls=rules.allow_insecure_tls,
    )
    document = _document(asked, rules, cluster, _backend_url(asked, rules, resolve))
    run = _queued(new_id(), asked, document, cluster, caller, now)
    drafts = [_run_queued(run, document, submission, rules, redactor, blobs), *map(_warning, run.warnings)]
    run, events = _logged(run, drafts, now, redactor)
    request = RunRequest(document, {"kubeconfig": cluster.kubeconfig} if cluster.kubeconfig else {})
    claim = _claim(submission, run, rules.retention_days)
    try:
        runs.create(run, request, events, claim=claim, max_active=rules.max_active)
    except IdempotencyKeyTaken:
        earlier = _replay(submission, caller, runs, now)
        if earlier is None:
            raise Unavailable("an idempotency key was taken and is gone") from None
        return earlier
    return Submitted(run.run_id)


def _replay(submission: Submission, caller: Principal, runs: RunStore, now_ms: int) -> Submitted | None:
    if submission.idempotency_key is None:
        return None
    claim = runs.claimed(caller.tenant, OPERATION, submission.idempotency_key)
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
        operation=OPERATION,
        key=submission.idempotency_key,
        body_sha256=submission.body_sha256,
        run_id=run.run_id,
        # The record is kept for that long after its end, which is at most hours away.
        expires_at=run.created_at + (retention_days + 1) * DAY_MS,
    )


def _backend_url(asked: AgentJobRequest, rules: JobRules, resolve: Resolve | None) -> str:
    """The model server: the request's, else the operator's. Nothing is connected to."""
    url = asked.backend_url or rules.backend_url
    if not url:
        raise ProviderNotConfigured
    try:
        return rules.backends.check_url(url, resolve).url
    except AddressUnresolved:
        return rules.backends.check_text(url).url
    except AddressNotAllowed:
        raise BackendNotAllowed from None


def _document(
    asked: AgentJobRequest, rules: JobRules, cluster: ClusterAccess, backend_url: str
) -> dict[str, Any]:
    return {
        "question": asked.question,
        "model": asked.model or rules.model,
        "backend_type": asked.backend_type,
        "backend_url": backend_url,
        "backend_warmup": asked.backend_warmup,
        "backend_warmup_timeout": asked.backend_warmup_timeout,
        "agent": asked.agent,
        "requested_agent": asked.requested_agent,
        "timeout_seconds": asked.timeout_seconds,
        "max_cost_usd": asked.max_cost_usd,
        "approval": dict(asked.approval),
        "require_cluster": cluster.kubeconfig is not None,
    }


def _queued(
    run_id: str,
    asked: AgentJobRequest,
    document: Mapping[str, Any],
    cluster: ClusterAccess,
    caller: Principal,
    now_ms: int,
) -> Run:
    return Run(
        tenant=caller.tenant,
        run_id=run_id,
        kind=RunKind.AGENT,
        state=RunState.QUEUED,
        created_at=now_ms,
        updated_at=now_ms,
        created_by=caller.subject,
        head=LogHead(caller.tenant, run_id, 0, genesis(caller.tenant, run_id)),
        model=document["model"],
        agent=asked.agent,
        backend_type=asked.backend_type,
        timeout_seconds=asked.timeout_seconds,
        warnings=(*asked.warnings, *cluster.warnings),
    )


def _run_queued(
    run: Run,
    document: Mapping[str, Any],
    submission: Submission,
    rules: JobRules,
    redactor: Redacting,
    blobs: BlobStore,
) -> EventDraft:
    shown = {**document, "kubeconfig": REDACTED} if submission.request.kubeconfig else document
    payload = {
        "summary": "accepted",
        "request": shown,
        "request_sha256": submission.body_sha256,
        "product_version": rules.product_version,
        "span": {"name": "job.queued", "status": "ok", "labels": {"kind": "agentic-agent"}},
    }
    return fit_draft(
        EventDraft("run_queued", payload), run.tenant, run.run_id, blobs=blobs, redactor=redactor
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
