"""What ends the waiting for a job: signals, time, lost connections."""

from __future__ import annotations

import httpx
import pytest

from rune.cli.failures import Terminated

from .conftest import JOB, record

RUN = "run-agentic-agent"


def interrupt():
    raise KeyboardInterrupt


def terminate():
    raise Terminated


def test_waiting_ends_after_an_hour_and_the_job_goes_on(world):
    world.server.records = [record("running")]
    ran = world.http(RUN, "--json")
    assert (ran.code, ran.json["code"], ran.json["job_id"]) == (1, "wait_timeout", JOB)
    assert sum(world.clock.slept) == pytest.approx(3600, abs=2)
    assert world.server.of("DELETE") == []


def test_a_lost_connection_while_waiting_is_taken_up_again(finished):
    finished.clock.at[1] = lambda: finished.server.failures.extend(
        [httpx.ConnectError("x"), httpx.Response(502)]
    )
    ran = finished.http(RUN)
    assert ran.code == 0
    assert "cannot be reached; trying again" in ran.err
    assert len(finished.server.of("POST")) == 1


@pytest.mark.parametrize(("signal", "code"), [(interrupt, 130), (terminate, 143)])
def test_a_signal_cancels_the_job_and_waits_for_its_end(world, signal, code):
    world.server.records = [record("running")]
    world.server.on_cancel = [record("running"), record("cancelled", message="job cancelled")]
    world.clock.at[2] = signal
    ran = world.http("--json", RUN)
    assert ran.code == code
    expected = {"ok": False, "command": RUN, "job_id": JOB, "status": "cancelled"}
    assert ran.json == expected | {"error": "interrupted", "code": "interrupted"}
    assert len(world.server.of("DELETE")) == 1


def test_a_job_that_does_not_stop_is_waited_for_ten_seconds(world):
    world.server.records = [record("running")]
    world.clock.at[1] = interrupt
    ran = world.http("--json", RUN)
    assert (ran.code, ran.json["status"]) == (130, "cancelling")
    assert sum(world.clock.slept[1:]) == pytest.approx(10, abs=0.5)


def test_a_server_that_is_gone_when_the_job_is_cancelled_costs_no_more_than_ten_seconds(world):
    world.server.records = [record("running")]

    def gone():
        world.server.failures = [httpx.ConnectError("gone")] * 1000
        raise KeyboardInterrupt

    world.clock.at[1] = gone
    ran = world.http(RUN)
    assert ran.code == 130
    assert sum(world.clock.slept[1:]) <= 10
    assert "the job may still be running" in ran.err


def test_a_second_ctrl_c_ends_the_waiting(world):
    world.server.records = [record("running")]
    world.clock.at = {1: interrupt, 2: interrupt}
    assert world.http(RUN).code == 130
    assert len(world.clock.slept) == 2
