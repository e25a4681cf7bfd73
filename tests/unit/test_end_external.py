"""Runs of clients that went silent, were cancelled or filled their log (runs-api.md 2.6, 15)."""

from __future__ import annotations

import pytest
from tests.unit.agent_runs import Answers
from tests.unit.runs_over_http import EXTERNAL, draft

from rune_common.domain.access import Principal
from rune_common.domain.errors import RunTerminal
from rune_common.domain.external_events import ExternalDraft
from rune_common.usecases.append_run_events import AppendPorts, append_run_events
from rune_common.usecases.expire_waits import expire_waits
from rune_common.usecases.keyed_answers import Keyed, KeyedAnswers
from rune_common.usecases.recover_runs import recover_runs


@pytest.fixture
async def run_id(client):
    return (await client.post("/api/v1/runs", json=EXTERNAL)).json()["run_id"]


def looked_at(services, clock):
    return expire_waits(
        runs=services.runs,
        executions=services.executions,
        callbacks=Answers(),
        clock=clock,
        redactor=services.redactor,
        owner="me",
        max_running=10,
    )


async def test_a_run_of_which_nothing_is_told_for_a_day_fails(services, client, clock, run_id):
    clock.advance(23 * 3600)
    await client.post(f"/api/v1/runs/{run_id}/events", json=draft("still here"))
    clock.advance(24 * 3600 - 1)
    assert looked_at(services, clock) == 0
    clock.advance(1)
    assert looked_at(services, clock) == 1
    status = (await client.get(f"/api/v1/runs/{run_id}")).json()
    assert (status["status"], status["error"]["code"]) == ("failed", "EXTERNAL_IDLE_TIMEOUT")


async def test_a_client_that_does_not_stop_in_its_grace_is_cancelled(services, client, clock, run_id):
    await client.post(f"/api/v1/runs/{run_id}/cancel", json={"grace_seconds": 60})
    clock.advance(59)
    assert looked_at(services, clock) == 0
    clock.advance(1)
    assert looked_at(services, clock) == 1
    assert (await client.get(f"/api/v1/runs/{run_id}")).json()["status"] == "cancelled"


async def test_an_engine_that_starts_again_leaves_the_runs_of_clients_alone(services, client, clock, run_id):
    taken = recover_runs(
        runs=services.runs,
        executions=services.executions,
        clock=clock,
        redactor=services.redactor,
        owner="",
        max_running=10,
    )
    assert taken == 0
    assert (await client.get(f"/api/v1/runs/{run_id}")).json()["status"] == "running"


async def test_a_log_that_is_full_ends_its_run(services, client, run_id):
    caller = Principal("me", "service", "default")
    ports = AppendPorts(
        services.runs, services.blobs, services.clock, services.redactor, services.locks, max_events=60
    )

    def append(*keys):
        drafts = [ExternalDraft(key, "run_progress", {"summary": key}, key) for key in keys]
        keyed = Keyed("append", None, "")
        answers = KeyedAnswers(keyed, caller, services.runs, services.clock, 90)
        return append_run_events(run_id, drafts, caller, answers, ports=ports)

    assert append(*map(str, range(18))).status == 201
    with pytest.raises(RunTerminal):
        append("one too many")
    status = (await client.get(f"/api/v1/runs/{run_id}")).json()
    assert (status["status"], status["error"]["code"]) == ("failed", "LOG_FULL")


async def test_a_clients_run_that_is_cancelled_as_a_job_has_its_grace(services, client, clock, run_id):
    assert (await client.delete(f"/v1/jobs/{run_id}")).status_code == 202
    clock.advance(30)
    assert looked_at(services, clock) == 1
    assert (await client.get(f"/v1/jobs/{run_id}")).json()["status"] == "cancelled"
