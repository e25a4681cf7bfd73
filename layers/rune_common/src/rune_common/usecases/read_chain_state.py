"""Read what has become of a chain's steps (jobs-api.md 8)."""

from __future__ import annotations

from rune_common.domain.access import Principal
from rune_common.domain.chains import ChainState
from rune_common.domain.errors import ChainNotFound, RunNotFound
from rune_common.domain.jobs import checked_job_id
from rune_common.domain.ports import RunStore


def read_chain_state(run_id: str, caller: Principal, *, runs: RunStore) -> ChainState:
    """The steps, in one read; none for a job that is no chain. Raises ChainNotFound, also for another tenant's."""
    try:
        known = checked_job_id(run_id)
    except RunNotFound:
        raise ChainNotFound from None
    found = runs.chain(caller.tenant, known)
    if found is not None:
        return found
    if runs.get(caller.tenant, known) is None:
        raise ChainNotFound
    return ChainState()
