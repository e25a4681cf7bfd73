"""More jobs than may run at once, and a stack that is killed again and again while it works."""

from __future__ import annotations

import functools
import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from tests.e2e.jobs_client import Jobs, asked, assert_sound_log, most_at_once, opened_store, whole_log
from tests.e2e.local_server import LocalServer, eventually

from rune.sandbox.ollama.server import OllamaSim
from rune_common.adapters.dynamodb_keys import counts_key
from rune_common.domain.runs import TERMINAL
from rune_common.settings import Settings

MANY, AT_ONCE = 60, 10
ROUNDS, SEED = 12, 20_260_101
QUESTIONS = ("answered", "sleep:0.3 answered", "called sleep:0.5 answered", "called tool sleep:1 answered")


def test_sixty_jobs_at_once_all_succeed_and_never_more_than_ten_run(jobs: Jobs, server: LocalServer) -> None:
    with ThreadPoolExecutor(20) as pool:
        ids = list(pool.map(lambda n: jobs.submit(f"sleep:0.2 number {n}"), range(MANY)))
    assert len(set(ids)) == MANY
    found = {job_id: jobs.wait(job_id, seconds=120) for job_id in ids}
    assert Counter(job["status"] for job in found.values()) == {"succeeded": MANY}
    assert [found[job_id]["result"]["answer"] for job_id in ids] == [f"number {n}" for n in range(MANY)]
    assert Counter(call["run_id"] for call in asked(server.record)) == Counter(ids)
    assert 1 < most_at_once(server.record) <= AT_ONCE


def test_the_hundred_and_first_unfinished_job_is_refused(ollama: OllamaSim, server: LocalServer) -> None:
    busy = Jobs(server.url, ollama.url, tenant="busy")
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: busy.post("sleep:60"), range(101)))
    assert Counter(answer.status_code for answer in answers) == {202: 100, 429: 1}
    (refused,) = (answer for answer in answers if answer.status_code == 429)
    assert refused.json()["code"] == "too_many_active_jobs"
    assert int(refused.headers["Retry-After"]) >= 1


class Killed:
    """A server under a seeded series of kills, and the jobs that it accepted meanwhile, by their keys."""

    def __init__(self, server: LocalServer, backend: str) -> None:
        self.server = server
        self.jobs = Jobs(server.url, backend)
        self.chance = random.Random(SEED)
        self.accepted: dict[str, str] = {}
        self.questions: dict[str, str] = {}
        self.kills: Counter[str] = Counter()

    def submit(self, key: str) -> bool:
        """Post once, as a client with an idempotency key does; whether the job was accepted."""
        self.questions.setdefault(key, self.chance.choice(QUESTIONS))
        try:
            answer = self.jobs.post(self.questions[key], key=key)
        except httpx.TransportError:
            return False
        if answer.status_code != 202:
            return False
        job_id: str = answer.json()["job_id"]
        assert self.accepted.setdefault(key, job_id) == job_id
        return True

    def round(self, number: int) -> None:
        for each in range(4):
            self.submit(f"{number}-{each}")
        time.sleep(self.chance.uniform(0, 1.2))
        victim = self.chance.choice(("server", "worker"))
        worker = self.server.worker()
        if victim == "worker" and worker is not None:
            worker.kill()
        else:
            self.server.kill()
            self.server.start()
        self.kills[victim] += 1
        for key in list(self.questions):
            if key not in self.accepted:
                self.submit(key)


def test_random_kills_lose_and_repeat_no_job(tmp_path: Path, ollama: OllamaSim) -> None:
    server = LocalServer(tmp_path)
    killed = Killed(server, ollama.url)
    try:
        server.start()
        for number in range(ROUNDS):
            killed.round(number)
        for key in killed.questions:
            eventually(functools.partial(killed.submit, key), "every job to be accepted")
        ended = {key: killed.jobs.wait(job_id, seconds=150) for key, job_id in killed.accepted.items()}
        listed = killed.jobs.http.get("/v1/jobs", params={"limit": 200}).json()["jobs"]
        assert server.terminate() == 0
        server.all_gone()
    finally:
        server.stop()
    assert min(killed.kills.values()) > 0
    assert sorted(job["job_id"] for job in listed) == sorted(killed.accepted.values())
    assert len(killed.accepted) == ROUNDS * 4
    outcomes = Counter((job["status"], job.get("error_code")) for job in ended.values())
    assert set(outcomes) <= {("succeeded", None), ("failed", "worker_lost")}, outcomes
    assert outcomes["succeeded", None] >= ROUNDS
    _check_store(server.data_dir, list(killed.accepted.values()))


def _check_store(data_dir: Path, ids: list[str]) -> None:
    with opened_store(data_dir) as (store, client):
        for job_id in ids:
            run = store.get("default", job_id)
            assert run is not None
            assert run.state in TERMINAL
            assert store.request("default", job_id) is None
            assert_sound_log(whole_log(store, job_id), job_id)
        counts = client.get(Settings().runs_table, counts_key("default"))
    assert counts is not None
    assert (counts["active"], counts["running"]) == (0, 0)


@pytest.fixture(scope="module", autouse=True)
def _nothing_left(server: LocalServer) -> object:
    yield
    assert server.terminate() == 0
    server.all_gone()
