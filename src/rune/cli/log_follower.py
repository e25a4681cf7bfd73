"""Following a job's events to its end (`jobs logs`, jobs-api.md 9.1, 15)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from rune.cli.client import FIRST_DELAY, LONGEST_DELAY, RETRY_SECONDS, ConnectionLost, JobsClient
from rune.cli.failures import CliFailure
from rune.cli.sse import Frame
from rune.cli.surroundings import Surroundings


def followed_events(client: JobsClient, job_id: str, surroundings: Surroundings) -> Iterator[dict[str, Any]]:
    """Every event once and in order, until the job's end. A lost connection is taken up where it broke.

    Raises CliFailure when the server stays away for 60 s.
    """
    known, delay, until = "", FIRST_DELAY, surroundings.monotonic() + RETRY_SECONDS
    while True:
        try:
            for frame in client.trace(job_id, known):
                delay, until = FIRST_DELAY, surroundings.monotonic() + RETRY_SECONDS
                if frame.event == "end":
                    return
                known = frame.id or known
                yield _event(frame)
        except ConnectionLost as lost:
            if surroundings.monotonic() + delay > until:
                raise CliFailure(f"the server {lost}", code="server_unreachable") from lost
        # A stream without an end may be taken up at once, but not in a hurry.
        surroundings.sleep(delay)
        delay = min(delay * 2, LONGEST_DELAY)


def _event(frame: Frame) -> dict[str, Any]:
    try:
        found = json.loads(frame.data)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise CliFailure("the server's trace does not have the expected form", code="bad_answer")
    found.pop("id", None)
    return found
