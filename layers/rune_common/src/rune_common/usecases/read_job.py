"""Read one job (jobs-api.md 4.5)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rune_common.domain.access import Principal
from rune_common.domain.errors import RunNotFound
from rune_common.domain.jobs import JobRecord, checked_job_id, job_record
from rune_common.domain.payloads import artifact_key
from rune_common.domain.ports import BlobStore, RunStore
from rune_common.domain.runs import Run

_MARKER = re.compile(r"\[REDACTED:[a-z_]{1,32}\]")


def read_job(
    job_id: str, caller: Principal, *, with_request: bool = False, runs: RunStore, blobs: BlobStore
) -> JobRecord:
    """The job's record; with its result once it has ended. Raises RunNotFound."""
    run = find_job(job_id, caller, runs=runs)
    result = runs.result(run.tenant, run.run_id) if run.terminal and run.has_result else None
    return job_record(run, result=result, request=_request(run, runs, blobs) if with_request else None)


def find_job(job_id: str, caller: Principal, *, runs: RunStore) -> Run:
    """The caller's run. Raises RunNotFound, also for another tenant's."""
    run = runs.get(caller.tenant, checked_job_id(job_id))
    if run is None:
        raise RunNotFound(job_id)
    return run


def _request(run: Run, runs: RunStore, blobs: BlobStore) -> Mapping[str, Any]:
    """The request as the log's first event keeps it: redacted, and whole also after the run has ended."""
    first = runs.events(run.tenant, run.run_id, limit=1).events[0]
    kept: dict[str, Any] = first.document()["payload"]["request"]
    return {name: _whole(value, run, blobs) for name, value in kept.items()}


def _whole(value: Any, run: Run, blobs: BlobStore) -> Any:
    """What left the log for its length is back; the log's markers name a rule, the job view's do not."""
    if isinstance(value, Mapping) and value.keys() == {"artifact_id", "sha256", "bytes"}:
        value = blobs.get(artifact_key(run.tenant, run.run_id, value["artifact_id"])).decode()
    return _MARKER.sub("[REDACTED]", value) if isinstance(value, str) else value
