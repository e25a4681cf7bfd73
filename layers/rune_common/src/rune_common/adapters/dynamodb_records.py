"""Small items beside a run: producer keys, idempotency keys and snapshots of what its log says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rune_common.adapters import dynamodb_keys as keys
from rune_common.adapters.dynamodb_client import Item, Write
from rune_common.adapters.dynamodb_items import claim_item, ttl_after
from rune_common.domain.ports import FoldSnapshot, IdempotencyClaim, Producer
from rune_common.domain.runs import Run


def producer_write(run: Run, producer: Producer) -> Write:
    item: Item = {**keys.producer_key(run.tenant, run.run_id, producer.key), "seq": producer.sequence}
    if producer.digest:
        item["digest"] = producer.digest
    return Write("put", item=item, condition=keys.ABSENT)


def producer_from(item: Mapping[str, Any]) -> Producer:
    return Producer(item["sk"].removeprefix("PK#"), int(item.get("seq", 0)), item.get("digest", ""))


def claim_write(claim: IdempotencyClaim, *, now_ms: int) -> Write:
    """Stores the claim where there is none, or one that counts no more."""
    free = f"{keys.ABSENT} OR expires_at <= :now"
    return Write("put", item=claim_item(claim), condition=free, values={":now": now_ms})


def snapshot_item(run: Run, snapshot: FoldSnapshot, *, retention_days: int) -> Item:
    item: Item = {
        **keys.fold_key(run.tenant, run.run_id),
        "upto": snapshot.sequence,
        "form": snapshot.form,
        "data": snapshot.data,
    }
    if run.terminal:
        item["ttl"] = ttl_after(run.finished_at or run.updated_at, retention_days)
    return item


def snapshot_from(item: Mapping[str, Any]) -> FoldSnapshot:
    return FoldSnapshot(int(item["upto"]), item["form"], bytes(item["data"]))
