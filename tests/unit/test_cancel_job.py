"""Cancelling a job: the transaction that it means (jobs-api.md 4.7, runs-api.md 2.6)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rune_common.adapters.lazy_redactor import LazyRedactor
from rune_common.adapters.memory import MemoryRunStore
from rune_common.domain.access import Principal
from rune_common.domain.chain import genesis, verify_chain
from rune_common.domain.errors import RunNotFound, RunTerminal
from rune_common.domain.ports import RunRequest
from rune_common.domain.runs import LogHead, Run, RunKind, RunState
from rune_common.usecases.cancel_job import cancel_job

CALLER = Principal("s", "human", "t")
RUN = Run(
    tenant="t",
    run_id="r-1",
    kind=RunKind.AGENT,
    state=RunState.QUEUED,
    created_at=1_000,
    updated_at=1_000,
    created_by="s",
    head=LogHead("t", "r-1", 0, genesis("t", "r-1")),
)


def stored(**changes):
    runs = MemoryRunStore()
    runs.create(replace(RUN, **changes), RunRequest({"question": "q"}, {"kubeconfig": "secret"}), [])
    return runs


def cancel(runs, job_id="r-1"):
    return cancel_job(job_id, CALLER, runs=runs, clock=lambda: 5_000, redactor=LazyRedactor())


def payloads(runs):
    return [(event.type, event.document()["payload"]) for event in runs.events("t", "r-1").events]


@pytest.mark.parametrize("holds_slot", [False, True])
def test_a_queued_run_ends_in_one_transaction_and_is_forgotten(holds_slot):
    runs = stored(holds_slot=holds_slot)
    run = cancel(runs)
    assert (run.state, run.error, run.message) == (RunState.CANCELLED, "Cancelled by user", "job cancelled")
    assert (run.finished_at, run.holds_slot, run.head.terminal) == (5_000, False, True)
    assert runs.request("t", "r-1") is None
    requested, ended = payloads(runs)
    assert requested[0] == "cancel_requested"
    assert (requested[1]["mode"], requested[1]["span"]["name"]) == ("graceful", "job.cancel_requested")
    assert ended[0] == "run_cancelled"
    assert (
        ended[1].items()
        >= {
            "status": "cancelled",
            "exit_reason": "cancelled",
            "stop_class": "manual_stop",
            "stop_code": "MANUAL_STOP",
        }.items()
    )
    assert ended[1]["span"]["name"] == "job.cancelled"
    assert ended[1]["totals"]["usage"]["cost_usd"] == 0
    assert verify_chain("t", "r-1", [event.body for event in runs.events("t", "r-1").events]) == []


@pytest.mark.parametrize("state", [RunState.RUNNING, RunState.AWAITING_APPROVAL])
def test_a_run_at_work_is_asked_to_stop_once(state):
    runs = stored(state=state)
    assert cancel(runs).state is RunState.CANCELLING
    assert cancel(runs).state is RunState.CANCELLING
    assert [kind for kind, _ in payloads(runs)] == ["cancel_requested"]
    assert runs.request("t", "r-1") is not None


def test_a_cancelled_run_stays_as_it_is():
    runs = stored(state=RunState.CANCELLED)
    assert cancel(runs).revision == 1
    assert payloads(runs) == []


@pytest.mark.parametrize("state", [RunState.SUCCEEDED, RunState.FAILED])
def test_a_run_that_ended_otherwise_cannot_be_cancelled(state):
    with pytest.raises(RunTerminal):
        cancel(stored(state=state))


@pytest.mark.parametrize("job_id", ["r-2", "r/1", ""])
def test_an_unknown_run_is_not_found(job_id):
    with pytest.raises(RunNotFound):
        cancel(stored(), job_id)


def test_a_run_that_starts_meanwhile_is_asked_to_stop_instead():
    runs = stored()
    read, started = runs.get, []

    def get(tenant, run_id):
        found = read(tenant, run_id)
        if not started:
            started.append(True)
            runs._stored[tenant, run_id].run = replace(
                found, state=RunState.RUNNING, revision=found.revision + 1
            )
        return found

    runs.get = get
    assert cancel(runs).state is RunState.CANCELLING
    assert [kind for kind, _ in payloads(runs)] == ["cancel_requested"]
