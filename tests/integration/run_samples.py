"""Runs to store: with the ids, logs and changes that the use cases would give them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from typing import Any, TypeVar

from rune_common.domain.chain import genesis
from rune_common.domain.errors import RuneError
from rune_common.domain.events import Event, EventDraft, append_event
from rune_common.domain.ports import IdempotencyClaim, Producer, RunChange, RunRequest, RunStore
from rune_common.domain.redaction import Redactor
from rune_common.domain.runs import LogHead, Run, RunKind, RunState

T = TypeVar("T")
NOON = 1_790_000_000_000
DAY = 86_400_000
REQUEST = RunRequest({"question": "what is wrong?"})
_numbers = count(1)


def run_id_at(epoch_ms: int) -> str:
    """A UUIDv7 of that millisecond, above those made before it for the same one."""
    number, digits = next(_numbers), f"{epoch_ms:012x}"
    return f"{digits[:8]}-{digits[8:]}-7{number % 4096:03x}-8{number // 4096:03x}-{secrets.token_hex(6)}"


def new_run(tenant: str = "default", *, at: int = NOON, **fields: Any) -> tuple[Run, list[Event]]:
    """A queued run and its first event."""
    run_id = run_id_at(at)
    log = LogHead(tenant, run_id, 0, genesis(tenant, run_id))
    event, head = append_event(
        log, EventDraft("run_queued", {"summary": "queued"}), now_ms=at, redactor=Redactor()
    )
    given = {"kind": RunKind.AGENT, "state": RunState.QUEUED, "created_by": "tester"} | fields
    return Run(tenant=tenant, run_id=run_id, created_at=at, updated_at=at, head=head, **given), [event]


def stored(store: RunStore, tenant: str = "default", **fields: Any) -> Run:
    run, events = new_run(tenant, **fields)
    store.create(run, REQUEST, events)
    return run


def change_of(
    run: Run, *summaries: str, keys: tuple[str, ...] = (), at: int = NOON, **fields: Any
) -> RunChange:
    """A change that appends one narrative for each summary and sets fields of the record."""
    head, events = run.head, []
    for summary in summaries:
        draft = EventDraft("narrative", {"summary": summary})
        event, head = append_event(head, draft, now_ms=at, redactor=Redactor())
        events.append(event)
    after = replace(run, head=head, revision=run.revision + 1, updated_at=max(at, run.updated_at), **fields)
    places = tuple(Producer(key, run.head.sequence + number) for number, key in enumerate(keys, start=1))
    return RunChange(run, after, tuple(events), places)


def moved(store: RunStore, run: Run, state: RunState, **fields: Any) -> Run:
    """The run after a committed change of its state."""
    change = change_of(run, str(state), state=state, **fields)
    store.commit(change)
    return change.after


def claim_for(
    run: Run, key: str = "key", *, body: str = "b" * 64, operation: str = "create_run"
) -> IdempotencyClaim:
    return IdempotencyClaim(run.tenant, operation, key, body, run.run_id, run.created_at + 90 * DAY)


def at_once(number: int, work: Callable[[int], T]) -> list[T | RuneError]:
    """What each of so many threads got from `work`, Rune's errors among it."""

    def guarded(turn: int) -> T | RuneError:
        try:
            return work(turn)
        except RuneError as exc:
            return exc

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(guarded, range(number)))


def whole_log(store: RunStore, run: Run, *, page: int = 1000) -> Iterator[Event]:
    after, more = 0, True
    while more:
        found = store.events(run.tenant, run.run_id, after=after, limit=page)
        yield from found.events
        more = found.more
        after = found.events[-1].sequence if found.events else after
