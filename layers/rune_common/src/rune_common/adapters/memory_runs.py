"""Runs and their logs in this process: the run store's contract in its plainest form."""

from __future__ import annotations

import builtins
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rune_common.domain.approvals import Approval
from rune_common.domain.artifacts import Artifact, oldest_first
from rune_common.domain.chains import ChainState
from rune_common.domain.errors import (
    AttemptSuperseded,
    IdempotencyKeyTaken,
    RunChanged,
    RunNotFound,
    TooManyActiveRuns,
)
from rune_common.domain.events import Event
from rune_common.domain.kpi_row_of import UNCOUNTED
from rune_common.domain.ports import (
    LARGEST_SNAPSHOT,
    EventPage,
    FoldSnapshot,
    IdempotencyClaim,
    Producer,
    RunChange,
    RunFilter,
    RunPage,
    RunRequest,
)
from rune_common.domain.runs import Run, RunState

OnChange = Callable[[Run | None, Run], None]
"""Called after each write with the record before (None: a new run) and after it, as a table's stream is."""


@dataclass(slots=True)
class _Stored:
    run: Run
    request: RunRequest | None
    events: list[Event]
    producers: dict[str, Producer] = field(default_factory=dict)
    result: Mapping[str, Any] | None = None
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    chain: ChainState | None = None
    snapshot: FoldSnapshot | None = None
    approvals: dict[str, Approval] = field(default_factory=dict)
    conversation: Mapping[str, Any] | None = None


class MemoryRunStore:
    """Every write is atomic and every read is consistent. `on_change` is called outside the lock."""

    def __init__(self, on_change: OnChange | None = None) -> None:
        self.on_change = on_change
        self._stored: dict[tuple[str, str], _Stored] = {}
        self._claims: dict[tuple[str, str, str], IdempotencyClaim] = {}
        self._lock = threading.RLock()

    def create(
        self,
        run: Run,
        request: RunRequest,
        events: Sequence[Event],
        *,
        claim: IdempotencyClaim | None = None,
        max_active: int | None = None,
        chain: ChainState | None = None,
    ) -> None:
        """Raises IdempotencyKeyTaken, TooManyActiveRuns, and RunChanged for an id that exists."""
        with self._lock:
            if claim and self._taken(claim, run.created_at):
                raise IdempotencyKeyTaken(claim.operation)
            if max_active is not None and self._active(run.tenant) >= max_active:
                raise TooManyActiveRuns
            if (run.tenant, run.run_id) in self._stored:
                raise RunChanged(run.run_id)
            self._stored[run.tenant, run.run_id] = _Stored(run, request, list(events), chain=chain)
            if claim:
                self._claims[claim.tenant, claim.operation, claim.key] = claim
        self._tell(None, run)

    def claimed(self, tenant: str, operation: str, key: str) -> IdempotencyClaim | None:
        return self._claims.get((tenant, operation, key))

    def get(self, tenant: str, run_id: str) -> Run | None:
        stored = self._stored.get((tenant, run_id))
        return stored.run if stored else None

    def request(self, tenant: str, run_id: str) -> RunRequest | None:
        stored = self._stored.get((tenant, run_id))
        return stored.request if stored else None

    def request_document(self, tenant: str, run_id: str) -> Mapping[str, Any] | None:
        request = self.request(tenant, run_id)
        return request.document if request else None

    def result(self, tenant: str, run_id: str) -> Mapping[str, Any] | None:
        stored = self._stored.get((tenant, run_id))
        return stored.result if stored else None

    def results(self, tenant: str, run_ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        found = ((run_id, self.result(tenant, run_id)) for run_id in run_ids)
        return {run_id: result for run_id, result in found if result is not None}

    def chain(self, tenant: str, run_id: str) -> ChainState | None:
        stored = self._stored.get((tenant, run_id))
        return stored.chain if stored else None

    def commit(self, change: RunChange) -> None:
        """Raises RunChanged when somebody else wrote first, also for a producer key; IdempotencyKeyTaken."""
        before, after = change.before, change.after
        with self._lock:
            stored = self._stored.get((before.tenant, before.run_id))
            if stored is None or stored.run.revision != before.revision:
                raise RunChanged(before.run_id)
            if any(each.key in stored.producers for each in change.producers):
                raise RunChanged(before.run_id)
            if change.claim is not None:
                self._keep(change.claim, after.updated_at)
            previous, stored.run = stored.run, after
            stored.events.extend(change.events)
            stored.producers.update({each.key: each for each in change.producers})
            if change.result is not None:
                stored.result = change.result
            if change.chain is not None:
                stored.chain = change.chain
            if change.conversation is not None:
                stored.conversation = change.conversation
            stored.approvals.update({each.approval_id: each for each in change.approvals})
            if change.forget_request:
                stored.request = stored.conversation = None
            for artifact in change.artifacts:
                stored.artifacts.setdefault(artifact.artifact_id, artifact)
        self._tell(previous, after)

    def keep_claim(self, claim: IdempotencyClaim, *, now_ms: int) -> None:
        """Raises IdempotencyKeyTaken."""
        with self._lock:
            self._keep(claim, now_ms)

    def producers(self, tenant: str, run_id: str, keys: Sequence[str]) -> Mapping[str, Producer]:
        stored = self._stored.get((tenant, run_id))
        return {key: stored.producers[key] for key in keys if key in stored.producers} if stored else {}

    def snapshots(self, tenant: str, run_ids: Sequence[str]) -> Mapping[str, FoldSnapshot]:
        found = {run_id: self._stored.get((tenant, run_id)) for run_id in run_ids}
        return {run_id: stored.snapshot for run_id, stored in found.items() if stored and stored.snapshot}

    def keep_snapshot(self, run: Run, snapshot: FoldSnapshot) -> None:
        with self._lock:
            stored = self._stored[run.tenant, run.run_id]
            newer = stored.snapshot is None or stored.snapshot.sequence < snapshot.sequence
            if newer and len(snapshot.data) <= LARGEST_SNAPSHOT:
                stored.snapshot = snapshot

    def claim_slot(self, run: Run, *, owner: str, max_running: int, now_ms: int) -> Run | None:
        """Count a queued run as running; None when no slot is free or the run is no longer waiting."""
        with self._lock:
            stored = self._stored.get((run.tenant, run.run_id))
            if stored is None or not _waits(stored.run) or self._running(run.tenant) >= max_running:
                return None
            before = stored.run
            updated_at = max(now_ms, before.updated_at)
            after = replace(
                before, holds_slot=True, owner=owner, updated_at=updated_at, revision=before.revision + 1
            )
            stored.run = after
        self._tell(before, after)
        return after

    def beat(self, tenant: str, run_id: str, attempt_id: str, *, now_ms: int) -> Run:
        """The run with its new heartbeat; an ended run is returned as it is.

        Raises AttemptSuperseded, RunNotFound.
        """
        with self._lock:
            stored = self._stored.get((tenant, run_id))
            if stored is None:
                raise RunNotFound(run_id)
            before = stored.run
            if before.attempt_id != attempt_id:
                raise AttemptSuperseded(run_id)
            if before.terminal:
                return before
            after = stored.run = replace(before, heartbeat_at=now_ms)
        self._tell(before, after)
        return after

    def list(self, tenant: str, where: RunFilter, *, limit: int, after: str | None = None) -> RunPage:
        """A page in order of the run ids, which is the order of creation."""
        downwards = where.order == "desc"
        found = sorted(
            filter(where.takes, self._runs(tenant)),
            key=lambda run: run.run_id,
            reverse=downwards,
        )
        if after is not None:
            found = [run for run in found if (run.run_id < after if downwards else run.run_id > after)]
        page = tuple(found[:limit])
        return RunPage(page, page[-1].run_id if len(found) > limit else None)

    def waiting(self, tenant: str, *, limit: int) -> Sequence[Run]:
        """Queued runs of a tenant without a slot, oldest first."""
        return sorted(filter(_waits, self._runs(tenant)), key=lambda run: run.run_id)[:limit]

    def due(self, *, now_ms: int, limit: int) -> Sequence[Run]:
        """Unfinished runs of all tenants whose `due_at` has passed, longest first."""
        dated = ((run.due_at(), run) for run in self._runs())
        late = [(due_at, run) for due_at, run in dated if due_at is not None and due_at <= now_ms]
        return [run for _, run in sorted(late, key=lambda pair: pair[0])[:limit]]

    def unfinished(self, owner: str, *, limit: int) -> Sequence[Run]:
        """Unfinished runs that an engine owns."""
        return [run for run in self._runs() if run.owner == owner and not run.terminal][:limit]

    def events(self, tenant: str, run_id: str, *, after: int = 0, limit: int = 1000) -> EventPage:
        stored = self._stored.get((tenant, run_id))
        with self._lock:
            rest = [event for event in stored.events if event.sequence > after] if stored else []
        return EventPage(tuple(rest[:limit]), more=len(rest) > limit)

    def artifacts(self, tenant: str, run_id: str) -> Sequence[Artifact]:
        """The run's artifacts, oldest first."""
        stored = self._stored.get((tenant, run_id))
        return oldest_first(builtins.list(stored.artifacts.values())) if stored else []

    def artifact(self, tenant: str, run_id: str, artifact_id: str) -> Artifact | None:
        stored = self._stored.get((tenant, run_id))
        return stored.artifacts.get(artifact_id) if stored else None

    def approvals(self, tenant: str, run_id: str) -> Sequence[Approval]:
        """The run's approvals, oldest first."""
        stored = self._stored.get((tenant, run_id))
        return sorted(stored.approvals.values(), key=lambda each: each.number) if stored else []

    def conversation(self, tenant: str, run_id: str) -> Mapping[str, Any] | None:
        stored = self._stored.get((tenant, run_id))
        return stored.conversation if stored else None

    def open_runs(self, tenant: str) -> int:
        """How many runs of a tenant have not ended, of the kinds that the KPI counts."""
        return _count(not run.terminal and run.kind not in UNCOUNTED for run in self._runs(tenant))

    def _runs(self, tenant: str | None = None) -> builtins.list[Run]:
        with self._lock:
            return [stored.run for (owner, _), stored in self._stored.items() if tenant in (None, owner)]

    def _keep(self, claim: IdempotencyClaim, now_ms: int) -> None:
        if self._taken(claim, now_ms):
            raise IdempotencyKeyTaken(claim.operation)
        self._claims[claim.tenant, claim.operation, claim.key] = claim

    def _taken(self, claim: IdempotencyClaim, now_ms: int) -> bool:
        earlier = self.claimed(claim.tenant, claim.operation, claim.key)
        return earlier is not None and earlier.expires_at > now_ms

    def _active(self, tenant: str) -> int:
        return _count(not run.terminal for run in self._runs(tenant))

    def _running(self, tenant: str) -> int:
        return _count(run.holds_slot and not run.terminal for run in self._runs(tenant))

    def _tell(self, before: Run | None, after: Run) -> None:
        if self.on_change:
            self.on_change(before, after)


def _count(facts: Iterable[bool]) -> int:
    return sum(1 for fact in facts if fact)


def _waits(run: Run) -> bool:
    return run.state is RunState.QUEUED and not run.holds_slot
