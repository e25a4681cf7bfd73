"""Answers of the Runtime Runs API: JSON with links, and the headers that tell of repetitions (runs-api.md 1.2)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from fastapi import Depends, Request, Response

from rune_common.domain.access import Principal
from rune_common.domain.events import SCHEMA_VERSION
from rune_common.domain.run_cursors import event_id
from rune_common.http.body import JsonObject, RawBody, json_object
from rune_common.http.idempotency import IdempotencyKey
from rune_common.http.wired import Wired
from rune_common.usecases.keyed_answers import Answer, Keyed, KeyedAnswers
from rune_common.usecases.read_run_events import StoredEvents
from rune_common.wiring import Services

RUNS = "/api/v1/runs"
RUNTIME_RUNS = "/api/v1/runtime/runs"
"""The two names of one resource; links use the first."""


async def json_body(raw: RawBody) -> JsonObject:
    """Raises BodyTooLarge, InvalidJson, InvalidBody."""
    return json_object(raw)


Body = Annotated[JsonObject, Depends(json_body)]


def json_reply(
    document: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    content = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
    return Response(content, status, headers=dict(headers or {}), media_type="application/json")


def reply(answer: Answer, request: Request, *, ignored: Iterable[str] = (), links: bool = False) -> Response:
    """An answer with the links of its run, if it is a status, and what is to be said about the request."""
    headers = {"Idempotency-Replayed": "true"} if answer.replayed else {}
    names = ",".join(ignored)
    headers |= {"Rune-Ignored-Fields": names} if names else {}
    body = answer.body
    if links:
        body = with_links(body, request)
        headers |= {"Location": body["links"]["self"]} if answer.status == 201 else {}
    return json_reply(body, answer.status, headers)


def with_links(status: Mapping[str, Any], request: Request) -> dict[str, Any]:
    """A status object with its links; the one of the terminal is absolute, for the host that was asked."""
    own = f"{RUNS}/{status['run_id']}"
    scheme = "wss" if request.url.scheme == "https" else "ws"
    links = {
        "self": own,
        "status": f"{own}/status",
        "events": f"{own}/events",
        "events_list": f"{own}/events/list",
        "terminal": f"{scheme}://{request.url.netloc}{own}/terminal",
        "approvals": f"{own}/approvals",
        "findings": f"{own}/findings",
        "artifacts": f"{own}/artifacts",
        "evidence": f"{own}/evidence",
        "cancel": f"{own}/cancel",
    }
    return {**status, "links": links}


class Keeping:
    """What a route needs to answer a repetition; `of` names the operation with its ids."""

    def __init__(self, key: str | None, services: Services) -> None:
        self._key, self._services = key, services

    def of(self, operation: str, sha256: str, caller: Principal) -> KeyedAnswers:
        services = self._services
        return KeyedAnswers(
            Keyed(operation, self._key, sha256),
            caller,
            services.runs,
            services.clock,
            services.settings.retention_days,
        )


async def keeping(key: IdempotencyKey, services: Wired) -> Keeping:
    return Keeping(key, services)


Kept = Annotated[Keeping, Depends(keeping)]


def stored_events_reply(page: StoredEvents) -> Response:
    """A page of a log. The lines are put in as they are stored: no reader changes a byte (runs-api.md 3.3)."""
    head = {"run_id": page.run.run_id, "schema_version": SCHEMA_VERSION}
    tail = {
        "next_after_event_id": page.next_after_event_id,
        "has_more": page.has_more,
        "head_sequence": page.head_sequence,
        "head_event_id": event_id(page.run.run_id, page.head_sequence),
        "terminal": page.terminal,
    }
    before, after = (json.dumps(each, separators=(",", ":")).encode() for each in (head, tail))
    lines = b",".join(event.body for event in page.events)
    content = b"".join((before[:-1], b',"events":[', lines, b"],", after[1:]))
    return Response(content, media_type="application/json")
