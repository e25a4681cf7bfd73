"""Error dialects: how each API family says what went wrong. One module per family."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rune_common.http.dialects.jobs import ErrorAnswer

RUNS_PREFIX = "/api/v1/"
_OF_JOBS = ("/trace", "/browser-stream")
"""Ends of paths under a run that belong to the jobs contract (runs-api.md 1.1)."""


def speaks_of_runs(path: str) -> bool:
    """Whether a path belongs to the Runtime Runs API, known or not."""
    return path.startswith(RUNS_PREFIX) and not path.endswith(_OF_JOBS)


def error_answer(error: Exception, path: str, request_id: str) -> ErrorAnswer:
    """The answer for an error in the words of the family that the path belongs to."""
    if speaks_of_runs(path):
        from rune_common.http.dialects import runs

        return runs.error_answer(error, request_id)
    from rune_common.http.dialects import jobs

    return jobs.error_answer(error, request_id)
