"""What a run's browser shows: its screenshots, as they come (jobs-api.md 9.2)."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

from rune_common.domain.access import Principal
from rune_common.domain.artifact_events import download_url
from rune_common.domain.artifacts import Artifact
from rune_common.domain.errors import BlobNotFound, NoBrowserStream
from rune_common.domain.events import Event
from rune_common.domain.payloads import artifact_key
from rune_common.domain.ports import BlobStore, RunStore
from rune_common.domain.runs import Run
from rune_common.usecases.follow_run import Ended, Mark
from rune_common.usecases.read_trace import TraceStart, read_trace

MAX_URI_BYTES = 256 * 1024
PREFIX = "data:image/png;base64,"


@dataclass(frozen=True, slots=True)
class Shot:
    """One screenshot; `source` is what an image element takes."""

    sequence: int
    source: str


def read_browser_stream(run_id: str, caller: Principal, *, cursor: str | None, runs: RunStore) -> TraceStart:
    """Where to begin. Raises RunNotFound, InvalidCursor, and NoBrowserStream for a run without screenshots."""
    start = read_trace(run_id, caller, cursor=cursor, runs=runs)
    if not any(each.kind == "screenshot" for each in runs.artifacts(start.run.tenant, start.run.run_id)):
        raise NoBrowserStream(run_id)
    return start


def screenshot(event: Event) -> tuple[int, Artifact] | None:
    """The screenshot that an event adds, with its sequence."""
    if event.type != "artifact_added":
        return None
    payload = event.document()["payload"]
    if payload["kind"] != "screenshot":
        return None
    found = Artifact(
        payload["artifact_id"], payload["kind"], payload["name"], payload["bytes"], payload["sha256"]
    )
    return event.sequence, found


async def with_images(
    followed: AsyncIterator[Sequence[tuple[int, Artifact]] | Mark | Ended], run: Run, *, blobs: BlobStore
) -> AsyncIterator[Sequence[Shot] | Mark | Ended]:
    """Small images as they are, larger ones by their address."""
    async with aclosing(cast(Any, followed)):
        async for each in followed:
            if isinstance(each, (Mark, Ended)):
                yield each
            else:
                yield [
                    Shot(sequence, await asyncio.to_thread(_source, artifact, run, blobs))
                    for sequence, artifact in each
                ]


def _source(artifact: Artifact, run: Run, blobs: BlobStore) -> str:
    address = download_url("runs", run.run_id, artifact)
    if len(PREFIX) + -(-artifact.size_bytes // 3) * 4 > MAX_URI_BYTES:
        return address
    try:
        content = blobs.get(artifact_key(run.tenant, run.run_id, artifact.artifact_id))
    except BlobNotFound:
        return address
    return PREFIX + base64.b64encode(content).decode()
