"""What the kinds without an agent come to (jobs-api.md 4.8)."""

from __future__ import annotations

import pytest
from tests.unit.agent_runs import changed, queued
from tests.unit.rentals import NOON, Rented

from rune_common.domain.errors import RunFailure, Unavailable
from rune_common.domain.jobs import job_record
from rune_common.domain.model_servers import ListedModels
from rune_common.domain.price_tables import PriceTable
from rune_common.domain.runs import RunKind, RunState
from rune_common.http.schemas.job import JobView
from rune_common.usecases.record_result import ResultPorts, record_result


class Servers:
    """One server, that answers or does not."""

    def __init__(self, answers: bool = True) -> None:
        self.answers = answers

    def open(self, backend_type, backend_url):
        return self

    def list_models(self):
        if not self.answers:
            raise Unavailable
        return ListedModels(("a:1", "b:2"), ("a:1",))


def record(world: Rented, servers=None) -> None:
    record_result("t", "r", ports=ResultPorts(world.ports, servers or Servers(), PriceTable(), 3.0))


def test_a_rented_instance_is_shown_with_its_lease():
    world = Rented(RunKind.LLM_INSTANCE, stop_instance=False, lease_seconds=600)
    world.acquire()
    record(world)
    result = world.store.result("t", "r")
    assert result == {
        "mode": "vastai",
        "backend_url": "http://127.0.0.1:11434",
        "backend_type": "ollama",
        "models": ["a:1", "b:2"],
        "running_models": ["a:1"],
        "model_name": "llama3.1:8b",
        "contract_id": world.rental.contract_id,
        "dph": 1.0,
        "lease_expires_at": world.time() / 1000 + 600,
    }
    assert world.run.outcome.status is RunState.SUCCEEDED
    (shown,) = JobView.of(job_record(world.run)).model_dump(exclude_unset=True)["resources"]
    assert shown == {
        "provider": "vastai",
        "contract_id": world.rental.contract_id,
        "state": "running",
        "lease_expires_at": result["lease_expires_at"],
    }


def test_a_given_instance_has_no_contract():
    world = Rented(RunKind.LLM_INSTANCE)
    world.document |= {"rental": None, "backend_url": "http://127.0.0.9:1"}
    world.acquire()
    record(world)
    assert world.store.result("t", "r") == {
        "mode": "existing",
        "backend_url": "http://127.0.0.9:1",
        "backend_type": "ollama",
        "models": ["a:1", "b:2"],
        "running_models": ["a:1"],
    }


def test_a_server_that_does_not_answer_fails_the_job():
    world = Rented(RunKind.LLM_INSTANCE)
    world.acquire()
    with pytest.raises(RunFailure) as caught:
        record(world, Servers(answers=False))
    assert caught.value.run_code == "BACKEND_NOT_READY"


def test_an_estimate_is_calculated():
    world = Rented()
    queued(
        world.store,
        "e",
        at=NOON,
        document={"vastai": True, "max_dph": 2.0, "estimated_duration_seconds": 1800},
    )
    changed(world.store, "e", kind=RunKind.COST_ESTIMATE, state=RunState.RUNNING, started_at=NOON)
    record_result("t", "e", ports=ResultPorts(world.ports, Servers(), PriceTable(), 3.0))
    result = world.store.result("t", "e")
    assert (result["projected_cost_usd"], result["cost_driver"]) == (1.0, "vastai")


def test_a_benchmarks_result_is_its_agents_and_a_repeat_records_nothing_more():
    world = Rented()
    world.acquire()
    record(world)
    record(world)
    assert world.store.result("t", "r") is None
    assert world.spans().count("result.record") == 1
