"""A run that waits survives the death of its server, and goes on once (runs-api.md 18: 22)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.approval_calls import ASKING, MAKER, TOKENS, decide, done, events, pending
from tests.e2e.jobs_client import Jobs, assert_sound_log, opened_store, whole_log
from tests.e2e.local_server import LocalServer, eventually

from rune.sandbox.kube.sim import KubeSim
from rune.sandbox.ollama.server import OllamaSim


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[LocalServer]:
    found = LocalServer(tmp_path, **TOKENS)
    try:
        found.start()
        yield found
    finally:
        found.stop()


@pytest.mark.parametrize("decided", ["after", "before"])
def test_a_pause_survives_the_death_of_the_server(
    own_server: LocalServer, ollama: OllamaSim, decided: str
) -> None:
    jobs = Jobs(own_server.url, ollama.url, token=MAKER)
    job_id = jobs.submit("allow:x1 end", approval=ASKING)
    (approval,) = pending(own_server, job_id)
    worker = eventually(own_server.worker, "a worker")
    assert worker is not None
    if decided == "before":
        worker.suspend()
        assert decide(own_server, job_id, approval, approve=True).status_code == 200
    own_server.kill()
    worker.kill()
    own_server.all_gone()
    own_server.start()
    if decided == "after":
        assert pending(own_server, job_id) == [approval]
        assert decide(own_server, job_id, approval, approve=True).status_code == 200
    assert jobs.wait(job_id)["result"]["answer"] == "x1:done end"
    assert done(own_server) == ["x1"]
    assert own_server.terminate() == 0
    with opened_store(own_server.data_dir) as (store, _):
        assert store.conversation("default", job_id) is None
        assert_sound_log(whole_log(store, job_id), job_id)


@pytest.mark.agent
@pytest.mark.parametrize("approve", [True, False])
def test_the_real_agent_goes_on_after_a_restart_with_the_decision(
    tmp_path: Path, kubectl: str, approve: bool
) -> None:
    server = LocalServer(tmp_path / "server", RUNE_HOLMES_DRIVER_CMD="", RUNE_KUBECTL=kubectl, **TOKENS)
    with OllamaSim() as ollama, KubeSim("mixed", writable=True) as kube:
        jobs = Jobs(server.url, ollama.url, token=MAKER)
        try:
            server.start()
            job_id = jobs.submit("Fix it. [[approve_mixed]]", approval=ASKING, kubeconfig=kube.kubeconfig())
            (approval,) = pending(server, job_id)
            assert approval["tool"]["params"]["command"].startswith("kubectl delete pod -n shop")
            assert not server.processes("rune_agent")
            assert kube.writes == []
            server.kill()
            server.all_gone()
            server.start()
            assert pending(server, job_id) == [approval]
            assert decide(server, job_id, approval, approve=approve).status_code == 200
            job = jobs.wait(job_id)
            assert job["status"] == "succeeded", job
            assert job["result"]["answer"]
            deleted = [(write["verb"], write["resource"]) for write in kube.writes]
            assert deleted == ([("delete", "pods")] if approve else [])
            if not approve:
                chats = [each.json() for each in ollama.requests if each.path == "/api/chat"]
                assert "not on a Friday" in json.dumps(chats[-1])
            log = events(server, job_id)
            statuses = [each["payload"]["status"] for each in log if each["type"] == "tool_result"]
            assert statuses == ["success", "success" if approve else "denied"]
        finally:
            server.stop()
