"""A run by its id, for whoever may know that it exists (runs-api.md 1.3)."""

from __future__ import annotations

from rune_common.domain.access import Principal
from rune_common.domain.ports import RunStore
from rune_common.domain.run_errors import RunNotExternallyOwned
from rune_common.domain.runs import Run, RunKind
from rune_common.usecases.read_job import find_job


def find_run(run_id: str, caller: Principal, *, runs: RunStore) -> Run:
    """Raises RunNotFound, for another tenant's run as for an id that nobody has."""
    return find_job(run_id, caller, runs=runs)


def reportable(run: Run, caller: Principal, *, by_worker: bool = True) -> Run:
    """The run, if its events come from this caller: an external one, or the caller's own (`by_worker`).

    Raises RunNotExternallyOwned.
    """
    own = by_worker and caller.kind == "run" and caller.bound_run == run.run_id
    if run.kind is not RunKind.EXTERNAL and not own:
        raise RunNotExternallyOwned(run.run_id)
    return run
