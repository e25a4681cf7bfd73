"""What a run is as a table item, and back. A field that holds its type's zero, or None, takes up no room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rune_common.adapters import dynamodb_keys as keys
from rune_common.adapters.dynamodb_approvals import pause_from, pause_map
from rune_common.adapters.dynamodb_client import Item
from rune_common.adapters.dynamodb_rentals import rental_from, rental_map
from rune_common.adapters.dynamodb_reported import reported_from, reported_map
from rune_common.domain.events import Event
from rune_common.domain.ports import IdempotencyClaim
from rune_common.domain.runs import Leg, LogHead, Outcome, PhaseRecord, Run, RunKind, RunState, UsageTotals

DAY_SECONDS = 86_400


def run_item(run: Run, *, write_id: str, retention_days: int) -> Item:
    """A run's head item. `write_id` tells whose write is stored; an ended run gets its time to live."""
    found = {
        **keys.head_key(run.tenant, run.run_id),
        "gsi1pk": keys.tenant_partition(run.tenant),
        "gsi1sk": run.run_id,
        "gsi2pk": keys.kind_state_partition(run.tenant, run.kind, run.state),
        "gsi2sk": run.run_id,
        "tenant": run.tenant,
        "run_id": run.run_id,
        "write_id": write_id,
        "revision": run.revision,
        **_without_zeros(
            {
                "kind": run.kind.value,
                "state": run.state.value,
                "created_at": run.created_at,
                "updated_at": run.updated_at,
                "created_by": run.created_by,
                "sequence": run.head.sequence,
                "last_hash": run.head.last_hash,
                "last_ts": run.head.last_ts,
                "log_ended": run.head.terminal,
                "message": run.message,
                "model": run.model,
                "agent": run.agent,
                "backend_type": run.backend_type,
                "timeout_seconds": run.timeout_seconds,
                "holds_slot": run.holds_slot,
                "owner": run.owner,
                "attempt": run.attempt,
                "attempt_id": run.attempt_id,
                "attempt_claimed": run.attempt_claimed,
                "model_call_begun": run.model_call_begun,
                "has_result": run.has_result,
                "warnings": list(run.warnings),
                "redactions": run.redactions,
                "usage": _usage_map(run.usage),
                "backend_url": run.backend_url,
                "phases": [asdict(phase) for phase in run.phases],
                "releasing": any(rental.released for rental in run.rentals),
                "rentals": [rental_map(rental) for rental in run.rentals],
                "legs": [_without_zeros(asdict(leg)) for leg in run.legs],
                "mode": run.mode,
                "reported": reported_map(run.reported),
                "pauses": run.pauses,
                "waited_ms": run.waited_ms,
                "woken": run.pause is not None and not run.waits,
            }
        ),
        **_known(
            {
                "started_at": run.started_at,
                "finished_at": run.finished_at,
                "phase": run.phase,
                "percent": run.percent,
                "heartbeat_at": run.heartbeat_at,
                "outcome": run.outcome and _outcome_map(run.outcome),
                "error": run.error,
                "error_code": run.error_code,
                "expires_at": run.expires_at,
                "phase_since": run.phase_since,
                "score": run.score,
                "repo": run.repo,
                "parent_run_id": run.parent_run_id,
                "stop_by": run.stop_by,
                "pause": run.pause and pause_map(run.pause),
            }
        ),
    }
    due_at = run.due_at()
    if due_at is not None:
        # Nobody beats while a decision is waited for, so its end may be known exactly.
        place = keys.due_place(due_at) if run.pause is None else keys.due_place_at(due_at)
        found |= {"gsi3pk": keys.due_partition(run.run_id), "gsi3sk": place}
    if run.terminal:
        found["ttl"] = ttl_after(run.finished_at or run.updated_at, retention_days)
    return found


def run_from(item: Mapping[str, Any]) -> Run:
    """The run of a head item."""
    tenant, run_id = item["tenant"], item["run_id"]
    head = LogHead(
        tenant=tenant,
        run_id=run_id,
        sequence=int(item.get("sequence", 0)),
        last_hash=item.get("last_hash", ""),
        last_ts=item.get("last_ts", ""),
        terminal=item.get("log_ended", False),
    )
    return Run(
        tenant=tenant,
        run_id=run_id,
        kind=RunKind(item["kind"]),
        state=RunState(item["state"]),
        created_at=int(item.get("created_at", 0)),
        updated_at=int(item.get("updated_at", 0)),
        created_by=item.get("created_by", ""),
        head=head,
        message=item.get("message", ""),
        revision=int(item["revision"]),
        model=item.get("model", ""),
        agent=item.get("agent", ""),
        backend_type=item.get("backend_type", ""),
        timeout_seconds=int(item.get("timeout_seconds", 0)),
        started_at=_whole(item.get("started_at")),
        finished_at=_whole(item.get("finished_at")),
        phase=item.get("phase"),
        percent=None if item.get("percent") is None else float(item["percent"]),
        holds_slot=item.get("holds_slot", False),
        owner=item.get("owner", ""),
        attempt=int(item.get("attempt", 0)),
        attempt_id=item.get("attempt_id", ""),
        attempt_claimed=item.get("attempt_claimed", False),
        heartbeat_at=_whole(item.get("heartbeat_at")),
        model_call_begun=item.get("model_call_begun", False),
        outcome=_outcome_from(item.get("outcome")),
        has_result=item.get("has_result", False),
        error=item.get("error"),
        error_code=item.get("error_code"),
        warnings=tuple(item.get("warnings", ())),
        redactions=int(item.get("redactions", 0)),
        usage=_usage_from(item.get("usage", {})),
        expires_at=_whole(item.get("expires_at")),
        backend_url=item.get("backend_url", ""),
        phase_since=_whole(item.get("phase_since")),
        score=None if item.get("score") is None else float(item["score"]),
        phases=tuple(
            PhaseRecord(found["name"], found["status"], int(found["duration_ms"]))
            for found in item.get("phases", ())
        ),
        rentals=tuple(rental_from(found) for found in item.get("rentals", ())),
        mode=item.get("mode", ""),
        repo=item.get("repo"),
        parent_run_id=item.get("parent_run_id"),
        stop_by=_whole(item.get("stop_by")),
        reported=reported_from(item.get("reported", {})),
        pause=pause_from(item.get("pause")),
        pauses=int(item.get("pauses", 0)),
        waited_ms=int(item.get("waited_ms", 0)),
        legs=tuple(
            Leg(**{**found, "heartbeat_at": int(found.get("heartbeat_at", 0))})
            for found in item.get("legs", ())
        ),
    )


def event_item(tenant: str, run_id: str, event: Event) -> Item:
    """The stored line is text: exact, since RFC 8785 is UTF-8, and shorter on the wire than base64."""
    place = keys.event_key(tenant, run_id, event.sequence)
    return {**place, "type": event.type, "line": event.body.decode("utf-8")}


def event_from(item: Mapping[str, Any]) -> Event:
    sequence = int(item["sk"].removeprefix("EVT#"))
    return Event(sequence=sequence, type=item["type"], body=item["line"].encode("utf-8"))


def claim_item(claim: IdempotencyClaim) -> Item:
    return {
        **keys.claim_key(claim.tenant, claim.operation, claim.key),
        "body_sha256": claim.body_sha256,
        "run_id": claim.run_id,
        "expires_at": claim.expires_at,
        "ttl": -(-claim.expires_at // 1000),
        **_without_zeros({"answer_status": claim.status, "answer": claim.body}),
    }


def claim_from(item: Mapping[str, Any], tenant: str, operation: str, key: str) -> IdempotencyClaim:
    return IdempotencyClaim(
        tenant=tenant,
        operation=operation,
        key=key,
        body_sha256=item["body_sha256"],
        run_id=item["run_id"],
        expires_at=int(item["expires_at"]),
        status=int(item.get("answer_status", 0)),
        body=item.get("answer", ""),
    )


def ttl_after(epoch_ms: int, days: int) -> int:
    """Epoch seconds, as the table's time to live wants them."""
    return -(-epoch_ms // 1000) + days * DAY_SECONDS


def _without_zeros(found: Item) -> Item:
    return {name: value for name, value in found.items() if value}


def _known(found: Item) -> Item:
    return {name: value for name, value in found.items() if value is not None}


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def _outcome_map(outcome: Outcome) -> Item:
    return _known(
        {
            "status": outcome.status.value,
            "error_code": outcome.error_code,
            "error": outcome.error,
            "driver_error_code": outcome.driver_error_code,
        }
    )


def _outcome_from(found: Mapping[str, Any] | None) -> Outcome | None:
    if found is None:
        return None
    return Outcome(
        status=RunState(found["status"]),
        error_code=found.get("error_code"),
        error=found.get("error"),
        driver_error_code=found.get("driver_error_code"),
    )


def _usage_map(usage: UsageTotals) -> Item:
    counts = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "llm_calls": usage.llm_calls,
        "tool_calls": usage.tool_calls,
        "unpriced": usage.unpriced,
    }
    return {**_without_zeros(counts), **_known({"cost_micro_usd": usage.cost_micro_usd})}


def _usage_from(found: Mapping[str, Any]) -> UsageTotals:
    return UsageTotals(
        input_tokens=int(found.get("input_tokens", 0)),
        output_tokens=int(found.get("output_tokens", 0)),
        llm_calls=int(found.get("llm_calls", 0)),
        tool_calls=int(found.get("tool_calls", 0)),
        cost_micro_usd=_whole(found.get("cost_micro_usd")),
        unpriced=found.get("unpriced", False),
    )
