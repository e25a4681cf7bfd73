"""Approvals and the paused agent's conversation as items of a run, and back (runs-api.md 6, 13)."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping
from typing import Any

from rune_common.adapters import dynamodb_keys as keys
from rune_common.adapters.dynamodb_client import Item, TableClient, Write
from rune_common.domain.approval_policy import Gate
from rune_common.domain.approvals import Approval, ApprovalStatus, Decided
from rune_common.domain.ports import BlobStore, Sealer
from rune_common.domain.runs import Pause

INLINE_SEALED = 256 * 1024
"""Bytes; a larger sealed conversation lies in the blob store. An item holds 400 KB."""


def approval_write(tenant: str, run_id: str, approval: Approval) -> Write:
    """The whole approval: the run's revision, which the same transaction checks, guards it too."""
    item: Item = {
        **keys.approval_key(tenant, run_id, approval.approval_id),
        "run_id": approval.run_id,
        "pause_id": approval.pause_id,
        "gate": str(approval.gate),
        "digest": approval.subject_digest,
        "requested_at": approval.requested_at,
        "expires_at": approval.expires_at,
        "requested_by": approval.requested_by,
        "summary": approval.summary,
        "status": str(approval.status),
        "required": approval.required_approvals,
    }
    optional: Item = {
        "settled_at": approval.settled_at,
        "shown": json.dumps(approval.shown, separators=(",", ":")) if approval.shown else None,
        "policy": dict(approval.policy),
        "approvers": list(approval.approvers),
        "decisions": [_decided_map(each) for each in approval.decisions],
        "superseded_by": approval.superseded_by,
        "target_run_id": approval.target_run_id,
        "loop_id": approval.loop_id,
        "iteration": approval.iteration,
        "call_id": approval.call_id,
        "alike": approval.alike,
        "stops": approval.stops,
    }
    return Write("put", item=item | {name: value for name, value in optional.items() if value})


def approval_from(item: Mapping[str, Any]) -> Approval:
    return Approval(
        approval_id=item["sk"].removeprefix(keys.FIRST_APPROVAL_PLACE),
        run_id=item["run_id"],
        pause_id=item["pause_id"],
        gate=Gate(item["gate"]),
        subject_digest=item["digest"],
        requested_at=int(item["requested_at"]),
        expires_at=int(item["expires_at"]),
        requested_by=item["requested_by"],
        summary=item["summary"],
        status=ApprovalStatus(item["status"]),
        settled_at=_whole(item.get("settled_at")),
        shown=json.loads(item.get("shown", "{}")),
        policy=dict(item.get("policy", {})),
        required_approvals=int(item["required"]),
        approvers=tuple(item.get("approvers", ())),
        decisions=tuple(_decided_from(each) for each in item.get("decisions", ())),
        superseded_by=item.get("superseded_by"),
        target_run_id=item.get("target_run_id"),
        loop_id=item.get("loop_id"),
        iteration=_whole(item.get("iteration")),
        call_id=item.get("call_id", ""),
        alike=item.get("alike", ""),
        stops=item.get("stops", False),
    )


def pause_map(pause: Pause) -> Item:
    found: Item = {
        "pause_id": pause.pause_id,
        "since": pause.since,
        "due": pause.due,
        "settled_at": pause.settled_at,
        "token": pause.token,
        "started": pause.started,
    }
    return {name: value for name, value in found.items() if value}


def pause_from(found: Mapping[str, Any] | None) -> Pause | None:
    if found is None:
        return None
    return Pause(
        found["pause_id"],
        int(found["since"]),
        int(found["due"]),
        _whole(found.get("settled_at")),
        found.get("token", ""),
        found.get("started", False),
    )


class Conversations:
    """Paused conversations: compressed, sealed, and in the table unless they are very large."""

    def __init__(self, table: str, client: TableClient, sealer: Sealer, blobs: BlobStore) -> None:
        self._table, self._client, self._sealer, self._blobs = table, client, sealer, blobs

    def item(self, tenant: str, run_id: str, conversation: Mapping[str, Any]) -> Item:
        """Stores the blob, if one is needed, before it returns the item that refers to it."""
        plain = zlib.compress(json.dumps(conversation, separators=(",", ":")).encode())
        sealed = self._sealer.seal(plain, _context(tenant, run_id))
        place = keys.conversation_key(tenant, run_id)
        if len(sealed) <= INLINE_SEALED:
            return {**place, "sealed": sealed}
        blob = f"runs/{tenant}/{run_id}/{hashlib.sha256(sealed).hexdigest()}"
        self._blobs.put(blob, sealed)
        return {**place, "blob": blob}

    def stored(self, tenant: str, run_id: str) -> Item | None:
        return self._client.get(self._table, keys.conversation_key(tenant, run_id))

    def read(self, tenant: str, run_id: str) -> Mapping[str, Any] | None:
        item = self.stored(tenant, run_id)
        if item is None:
            return None
        sealed = self._blobs.get(item["blob"]) if "blob" in item else bytes(item["sealed"])
        found: dict[str, Any] = json.loads(
            zlib.decompress(self._sealer.open(sealed, _context(tenant, run_id)))
        )
        return found

    def discard(self, item: Item | None) -> None:
        """Remove the blob of an item that is not, or no longer, in the table."""
        if item is not None and "blob" in item:
            self._blobs.delete(item["blob"])


def _context(tenant: str, run_id: str) -> str:
    """Not that of a request's secrets: neither can stand in for the other."""
    return f"{tenant}/{run_id}/conversation"


def _decided_map(decided: Decided) -> Item:
    found: Item = {
        "actor": decided.actor,
        "decision": decided.decision,
        "reason": decided.reason,
        "scope": decided.scope,
        "at": decided.at,
        "digest": decided.subject_digest,
        "inherited_from": decided.inherited_from,
    }
    return {name: value for name, value in found.items() if value is not None}


def _decided_from(found: Mapping[str, Any]) -> Decided:
    return Decided(
        found["actor"],
        found["decision"],
        found.get("reason"),
        found["scope"],
        int(found["at"]),
        found["digest"],
        found.get("inherited_from"),
    )


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)
