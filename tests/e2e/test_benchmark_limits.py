"""Killed workers and the money that is left: nothing stays rented, no limit is passed (jobs-api.md 17: 21, 23)."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.e2e.benchmarks import BIG, MODEL, OFFERS, Benchmarks, provider
from tests.e2e.jobs_client import Jobs, asked, assert_sound_log, opened_store, whole_log
from tests.e2e.local_server import LocalServer, eventually

from rune.sandbox.ollama.server import OllamaSim
from rune.sandbox.vast import VastSim


@pytest.fixture(scope="module")
def rented_ollama() -> Iterator[OllamaSim]:
    with OllamaSim(models=["llama3.1:8b", BIG]) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def market(rented_ollama: OllamaSim) -> Iterator[VastSim]:
    with VastSim(ollama=rented_ollama, offers=OFFERS, boot_seconds=1.0) as simulator:
        yield simulator


@pytest.fixture(autouse=True)
def fresh(market: VastSim, rented_ollama: OllamaSim) -> Iterator[None]:
    market.clear_faults()
    rented_ollama.reset()
    yield
    market.assert_no_leaks()
    market.reset()


@pytest.fixture
def own_server(tmp_path: Path, market: VastSim) -> Iterator[LocalServer]:
    found = LocalServer(tmp_path, **provider(market), RUNE_SPEND_LIMIT_PER_DAY_USD="4.5")
    try:
        found.start()
        yield found
    finally:
        found.stop()


def test_a_killed_worker_leaves_nothing_behind(own_server: LocalServer, market: VastSim) -> None:
    own = Benchmarks(Jobs(own_server.url, ""))
    job_id = own.rent("sleep:60", timeout_seconds=600)
    eventually(
        lambda: any(call["run_id"] == job_id for call in asked(own_server.record)), "the driver to be asked"
    )
    eventually(lambda: "result.record" in own.names(job_id) or market.ledger, "an instance")
    worker = own_server.worker()
    assert worker is not None
    worker.kill()
    own.jobs.http.delete(f"/v1/jobs/{job_id}")
    job = own.jobs.wait(job_id)
    assert job["status"] in ("failed", "cancelled")
    eventually(
        lambda: all(each.released_at is not None for each in market.ledger), "everything to be given back"
    )
    own_server.stop()
    with opened_store(own_server.data_dir) as (store, _):
        assert_sound_log(whole_log(store, job_id), job_id)


def test_a_worker_killed_right_after_the_create_call_takes_its_instance_up_again(
    own_server: LocalServer, market: VastSim
) -> None:
    own = Benchmarks(Jobs(own_server.url, ""))
    job_id = own.rent(timeout_seconds=600)
    eventually(lambda: market.ledger, "an instance")
    worker = own_server.worker()
    assert worker is not None
    worker.kill()
    job = own.jobs.wait(job_id)
    assert job["status"] == "succeeded", job
    assert len(market.ledger) == 1
    market.assert_no_leaks()


def test_what_can_never_be_afforded_is_refused_at_once(own_server: LocalServer, market: VastSim) -> None:
    own = Benchmarks(Jobs(own_server.url, ""))
    answer = own.post("benchmark", vastai=True, model=MODEL, min_dph=6, max_dph=10)
    assert (answer.status_code, answer.json()["code"]) == (400, "spend_limit_exceeded")
    assert answer.json()["error"] == "projected cost exceeds the spend limit"


def test_two_jobs_cannot_pass_the_days_limit_together(own_server: LocalServer, market: VastSim) -> None:
    own = Benchmarks(Jobs(own_server.url, ""))
    body = {"vastai": True, "question": "sleep:4", "model": MODEL, "min_dph": 2.2, "max_dph": 3.0}
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: own.post("benchmark", **body), range(2)))
    # The slower of the two is refused when it is submitted, or when it finds the money set aside.
    codes = [each.json()["code"] for each in answers if each.status_code == 400]
    ended = [own.jobs.wait(each.json()["job_id"]) for each in answers if each.status_code == 202]
    codes += [job["error_code"] for job in ended if job["status"] == "failed"]
    assert codes == ["spend_limit_exceeded"]
    assert [job["status"] for job in ended if job["status"] != "failed"] == ["succeeded"]
    assert len(market.ledger) == 1
