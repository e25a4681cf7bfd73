"""Following a job's events to its end (`jobs logs`, jobs-api.md 15)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from rune.cli.client import JobsClient
from rune.cli.job_view import TERMINAL_EVENTS, EventView, JobView


def followed_events(
    client: JobsClient, job_id: str, sleep: Callable[[float], None], poll_seconds: float
) -> Iterator[dict[str, Any]]:
    """Every event once and in order, until the terminal one. Asks only for what it has not seen, so a lost
    connection costs nothing but time (the client tries again for 60 s)."""
    after, ended = 0, False
    while True:
        page = client.events(job_id, after)
        for raw in page:
            event = EventView.of(raw)
            after = event.seq
            yield raw
            if event.name in TERMINAL_EVENTS:
                return
        if ended:
            return
        if not page:
            # Read the rest once more after the record says the end: a log need not show a terminal event.
            ended = JobView.of(client.job(job_id)).terminal
        if not ended:
            sleep(poll_seconds)
