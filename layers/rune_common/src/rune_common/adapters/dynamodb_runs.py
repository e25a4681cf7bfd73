"""Runs and their logs in a DynamoDB table: every change is one transaction (runs-api.md 13)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from rune_common.adapters import dynamodb_keys as keys
from rune_common.adapters.dynamodb_approvals import Conversations, approval_from, approval_write
from rune_common.adapters.dynamodb_artifacts import artifact_from, artifact_write
from rune_common.adapters.dynamodb_chains import chain_from, chain_item
from rune_common.adapters.dynamodb_client import ConditionFailed, TableClient, TransactionRefused, Write
from rune_common.adapters.dynamodb_counts import count_writes
from rune_common.adapters.dynamodb_documents import RunDocuments
from rune_common.adapters.dynamodb_index import RunIndex
from rune_common.adapters.dynamodb_items import (
    claim_from,
    event_from,
    event_item,
    run_from,
    run_item,
    ttl_after,
)
from rune_common.adapters.dynamodb_records import (
    claim_write,
    producer_from,
    producer_write,
    snapshot_from,
    snapshot_item,
)
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
from rune_common.domain.ports import (
    LARGEST_SNAPSHOT,
    BlobStore,
    EventPage,
    FoldSnapshot,
    IdempotencyClaim,
    Producer,
    RunChange,
    RunFilter,
    RunPage,
    RunRequest,
    Sealer,
)
from rune_common.domain.runs import HEARTBEAT_PATIENCE_MS, Run, RunState

PAGE_BYTES = 4 * 1024 * 1024
"""A page of events ends here even when more were asked for (runs-api.md 4.2)."""

CLAIM_ATTEMPTS = 20
ARTIFACT_PAGE = 500
APPROVAL_PAGE = 100


class DynamoRunStore:
    """The run store on one table, `retention_days` being how long an ended run is kept.

    Each head carries the random id of the write that stored it. So a write whose answer was lost, and which
    then meets its own result, is known to have succeeded; nothing rests on the service's request tokens.
    """

    def __init__(
        self, table: str, client: TableClient, *, sealer: Sealer, blobs: BlobStore, retention_days: int
    ) -> None:
        self._table = table
        self._client = client
        self._retention_days = retention_days
        self._documents = RunDocuments(table, client, sealer, blobs)
        self._conversations = Conversations(table, client, sealer, blobs)
        self._index = RunIndex(table, client)

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
        write_id = _new_write_id()
        request_item = self._documents.request_item(run.tenant, run.run_id, request)
        writes = [
            Write("put", item=self._item(run, write_id), condition=keys.ABSENT),
            *(_event_write(run, event) for event in events),
            Write("put", item=request_item),
        ]
        if chain:
            writes.append(Write("put", item=chain_item(run.tenant, run.run_id, chain)))
        claim_at = len(writes)
        if claim:
            writes.append(claim_write(claim, now_ms=run.created_at))
        counts_at = len(writes)
        writes += count_writes(run.tenant, None, run, max_active=max_active)
        try:
            self._client.transact(self._table, writes)
        except TransactionRefused as exc:
            if 0 in exc.failed and self._stored_by(write_id, run):
                return
            self._documents.discard(request_item)
            if claim and claim_at in exc.failed:
                raise IdempotencyKeyTaken(claim.operation) from exc
            if counts_at in exc.failed:
                raise TooManyActiveRuns from exc
            raise RunChanged(run.run_id) from exc

    def claimed(self, tenant: str, operation: str, key: str) -> IdempotencyClaim | None:
        """The claim, even one that has expired but is not deleted yet: its `expires_at` tells."""
        item = self._client.get(self._table, keys.claim_key(tenant, operation, key))
        return None if item is None else claim_from(item, tenant, operation, key)

    def get(self, tenant: str, run_id: str) -> Run | None:
        item = self._client.get(self._table, keys.head_key(tenant, run_id))
        return None if item is None else run_from(item)

    def request(self, tenant: str, run_id: str) -> RunRequest | None:
        return self._documents.request(tenant, run_id)

    def request_document(self, tenant: str, run_id: str) -> Mapping[str, Any] | None:
        return self._documents.request_document(tenant, run_id)

    def result(self, tenant: str, run_id: str) -> Mapping[str, Any] | None:
        return self._documents.result(tenant, run_id)

    def results(self, tenant: str, run_ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        return self._documents.results(tenant, run_ids)

    def chain(self, tenant: str, run_id: str) -> ChainState | None:
        item = self._client.get(self._table, keys.chain_key(tenant, run_id))
        return None if item is None else chain_from(item)

    def commit(self, change: RunChange) -> None:
        """Raises RunChanged when somebody else wrote first, also for a producer key; IdempotencyKeyTaken."""
        after, write_id = change.after, _new_write_id()
        tenant, run_id = after.tenant, after.run_id
        stored_request = self._documents.stored_request(tenant, run_id) if change.forget_request else None
        told = self._conversation_write(change)
        replaced = self._conversations.stored(tenant, run_id) if told is not None else None
        writes = [
            self._head_write(change.before, after, write_id),
            *(_event_write(after, event) for event in change.events),
            *(producer_write(after, each) for each in change.producers),
            *(artifact_write(tenant, run_id, artifact) for artifact in change.artifacts),
            *count_writes(tenant, change.before, after),
            *(approval_write(tenant, run_id, each) for each in change.approvals),
            *([] if told is None else [told]),
        ]
        if change.chain is not None:
            writes.append(Write("put", item=self._chain_item(after, change.chain)))
        if change.result is not None:
            item = self._documents.result_item(tenant, run_id, change.result)
            if after.terminal:
                item["ttl"] = ttl_after(after.finished_at or after.updated_at, self._retention_days)
            writes.append(Write("put", item=item))
        if change.forget_request:
            writes.append(Write("delete", key=keys.request_key(tenant, run_id)))
        claim_at = len(writes)
        if change.claim is not None:
            writes.append(claim_write(change.claim, now_ms=after.updated_at))
        try:
            self._client.transact(self._table, writes)
        except TransactionRefused as exc:
            if not self._stored_by(write_id, after):
                self._conversations.discard(told.item if told is not None else None)
                if change.claim is not None and claim_at in exc.failed:
                    raise IdempotencyKeyTaken(change.claim.operation) from exc
                raise RunChanged(run_id) from exc
        if stored_request is not None:
            self._documents.discard(stored_request)
        self._conversations.discard(replaced)

    def keep_claim(self, claim: IdempotencyClaim, *, now_ms: int) -> None:
        """Raises IdempotencyKeyTaken."""
        try:
            self._client.transact(self._table, [claim_write(claim, now_ms=now_ms)])
        except TransactionRefused as exc:
            raise IdempotencyKeyTaken(claim.operation) from exc

    def producers(self, tenant: str, run_id: str, keys_: Sequence[str]) -> Mapping[str, Producer]:
        places = [keys.producer_key(tenant, run_id, key) for key in dict.fromkeys(keys_)]
        found = self._client.get_many(self._table, places, consistent=True) if places else ()
        return {each.key: each for each in map(producer_from, found)}

    def snapshots(self, tenant: str, run_ids: Sequence[str]) -> Mapping[str, FoldSnapshot]:
        places = [keys.fold_key(tenant, run_id) for run_id in dict.fromkeys(run_ids)]
        found = self._client.get_many(self._table, places, consistent=True) if places else ()
        return {keys.run_of_partition(item["pk"])[1]: snapshot_from(item) for item in found}

    def keep_snapshot(self, run: Run, snapshot: FoldSnapshot) -> None:
        item = snapshot_item(run, snapshot, retention_days=self._retention_days)
        if len(snapshot.data) > LARGEST_SNAPSHOT:
            return
        older = f"{keys.ABSENT} OR upto < :upto"
        with suppress(TransactionRefused):
            self._client.transact(
                self._table, [Write("put", item=item, condition=older, values={":upto": snapshot.sequence})]
            )

    def claim_slot(self, run: Run, *, owner: str, max_running: int, now_ms: int) -> Run | None:
        """Count a queued run as running; None when no slot is free or the run is no longer waiting."""
        for _ in range(CLAIM_ATTEMPTS):
            if run.state is not RunState.QUEUED or run.holds_slot:
                return None
            write_id = _new_write_id()
            after = replace(
                run,
                holds_slot=True,
                owner=owner,
                updated_at=max(now_ms, run.updated_at),
                revision=run.revision + 1,
            )
            writes = [
                self._head_write(run, after, write_id),
                *count_writes(run.tenant, run, after, max_running=max_running),
            ]
            try:
                self._client.transact(self._table, writes)
            except TransactionRefused as exc:
                if self._stored_by(write_id, after):
                    return after
                fresh = self.get(run.tenant, run.run_id)
                if 0 not in exc.failed or fresh is None:
                    return None
                run = fresh
            else:
                return after
        raise RunChanged(run.run_id)

    def beat(self, tenant: str, run_id: str, attempt_id: str, *, now_ms: int) -> Run:
        """The run with its new heartbeat; an ended run is returned as it is.

        Raises AttemptSuperseded, RunNotFound.
        """
        try:
            item = self._client.update(
                self._table,
                keys.head_key(tenant, run_id),
                "SET heartbeat_at = :now, gsi3sk = :due",
                {
                    ":now": now_ms,
                    ":due": keys.due_place(now_ms + HEARTBEAT_PATIENCE_MS),
                    ":attempt": attempt_id,
                },
                condition="attempt_id = :attempt AND attribute_exists(gsi3pk)",
            )
        except ConditionFailed as exc:
            if exc.item is None:
                raise RunNotFound(run_id) from exc
            run = run_from(exc.item)
            if run.attempt_id != attempt_id:
                raise AttemptSuperseded(run_id) from exc
            return run
        return run_from(item)

    def list(self, tenant: str, where: RunFilter, *, limit: int, after: str | None = None) -> RunPage:
        """A page in order of creation (eventually consistent)."""
        return self._index.list(tenant, where, limit=limit, after=after)

    def waiting(self, tenant: str, *, limit: int) -> Sequence[Run]:
        """Queued runs of a tenant without a slot, oldest first (eventually consistent)."""
        return self._index.waiting(tenant, limit=limit)

    def due(self, *, now_ms: int, limit: int) -> Sequence[Run]:
        """Unfinished runs of all tenants that are due, up to two minutes after they became so."""
        return self._index.due(now_ms=now_ms, limit=limit)

    def unfinished(self, owner: str, *, limit: int) -> Sequence[Run]:
        """Unfinished runs that an engine owns; reads all unfinished runs, so for its start only."""
        return self._index.unfinished(owner, limit=limit)

    def events(self, tenant: str, run_id: str, *, after: int = 0, limit: int = 1000) -> EventPage:
        """At most `limit` events, or 4 MiB of them."""
        found = self._client.query(
            self._table,
            keys.EVENTS_AFTER,
            {
                ":of": keys.run_partition(tenant, run_id),
                ":low": keys.event_place(after + 1),
                ":high": keys.LAST_EVENT_PLACE,
            },
            page=limit + 1,
            consistent=True,
        )
        events: list[Event] = []
        size = 0
        for item in found:
            if len(events) == limit or size >= PAGE_BYTES:
                return EventPage(tuple(events), more=True)
            events.append(event_from(item))
            size += len(events[-1].body)
        return EventPage(tuple(events), more=False)

    def artifacts(self, tenant: str, run_id: str) -> Sequence[Artifact]:
        """The run's artifacts, oldest first."""
        found = self._client.query(
            self._table,
            keys.ARTIFACTS,
            {
                ":of": keys.run_partition(tenant, run_id),
                ":low": keys.FIRST_ARTIFACT_PLACE,
                ":high": keys.LAST_ARTIFACT_PLACE,
            },
            page=ARTIFACT_PAGE,
            consistent=True,
        )
        return oldest_first([artifact_from(item) for item in found])

    def artifact(self, tenant: str, run_id: str, artifact_id: str) -> Artifact | None:
        item = self._client.get(self._table, keys.artifact_key(tenant, run_id, artifact_id))
        return None if item is None else artifact_from(item)

    def approvals(self, tenant: str, run_id: str) -> Sequence[Approval]:
        """The run's approvals, oldest first."""
        found = self._client.query(
            self._table,
            keys.APPROVALS,
            {
                ":of": keys.run_partition(tenant, run_id),
                ":low": keys.FIRST_APPROVAL_PLACE,
                ":high": keys.LAST_APPROVAL_PLACE,
            },
            page=APPROVAL_PAGE,
            consistent=True,
        )
        return sorted(map(approval_from, found), key=lambda each: each.number)

    def conversation(self, tenant: str, run_id: str) -> Mapping[str, Any] | None:
        return self._conversations.read(tenant, run_id)

    def _conversation_write(self, change: RunChange) -> Write | None:
        tenant, run_id = change.after.tenant, change.after.run_id
        if change.conversation is not None:
            return Write("put", item=self._conversations.item(tenant, run_id, change.conversation))
        # A run that never waited has nothing to forget, and needs no write to forget it.
        if change.forget_request and change.before.pauses:
            return Write("delete", key=keys.conversation_key(tenant, run_id))
        return None

    def _item(self, run: Run, write_id: str) -> dict[str, Any]:
        return run_item(run, write_id=write_id, retention_days=self._retention_days)

    def _chain_item(self, run: Run, chain: ChainState) -> dict[str, Any]:
        item = chain_item(run.tenant, run.run_id, chain)
        if run.terminal:
            item["ttl"] = ttl_after(run.finished_at or run.updated_at, self._retention_days)
        return item

    def _head_write(self, before: Run, after: Run, write_id: str) -> Write:
        return Write(
            "put",
            item=self._item(after, write_id),
            condition="revision = :revision",
            values={":revision": before.revision},
        )

    def _stored_by(self, write_id: str, run: Run) -> bool:
        item = self._client.get(self._table, keys.head_key(run.tenant, run.run_id))
        return item is not None and item["write_id"] == write_id


def _new_write_id() -> str:
    return secrets.token_urlsafe(9)


def _event_write(run: Run, event: Event) -> Write:
    return Write("put", item={**event_item(run.tenant, run.run_id, event)}, condition=keys.ABSENT)
