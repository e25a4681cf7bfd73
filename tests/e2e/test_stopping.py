"""SIGTERM and SIGINT end the local server with everything it started."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from tests.e2e.jobs_client import Jobs, asked, opened_store
from tests.e2e.local_server import PATIENCE_SECONDS, LocalServer, eventually

from rune.sandbox.ollama.server import OllamaSim


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_worker_database_and_driver(
    tmp_path: Path, ollama: OllamaSim, number: signal.Signals
) -> None:
    server = LocalServer(tmp_path)
    try:
        server.start()
        jobs = Jobs(server.url, ollama.url)
        finished = jobs.ask("before the end")["job_id"]
        jobs.submit("stubborn child sleep:60")
        eventually(lambda: len(asked(server.record)) == 2, "the driver to be asked")
        family = server.family()
        assert len(family) >= 4
        assert server.process is not None
        server.process.send_signal(number)
        assert server.process.wait(PATIENCE_SECONDS) == 0
        server.all_gone(family)
    finally:
        server.stop()
    assert "Traceback" not in server.log.read_text()
    with opened_store(server.data_dir) as (store, _):
        assert store.get("default", finished) is not None


def test_what_was_running_at_the_end_is_taken_up_by_the_next_server(
    tmp_path: Path, ollama: OllamaSim
) -> None:
    server = LocalServer(tmp_path)
    try:
        server.start()
        jobs = Jobs(server.url, ollama.url)
        job_id = jobs.submit("sleep:3 answered")
        jobs.until_message(job_id, "asking agent")
        assert server.terminate() == 0
        server.start()
        job = jobs.wait(job_id)
    finally:
        server.stop()
    assert (job["status"], job["result"]["answer"]) == ("succeeded", "answered")


def test_a_taken_port_is_told_and_nothing_stays(tmp_path: Path) -> None:
    first, second = LocalServer(tmp_path / "first"), LocalServer(tmp_path / "second")
    second.environment["RUNE_API_PORT"] = str(first.port)
    try:
        first.start()
        second.start_only()
        assert second.process is not None
        assert second.process.wait(PATIENCE_SECONDS) == 1
        second.all_gone()
    finally:
        first.stop()
        second.stop()
    assert "address already in use" in second.log.read_text().lower()
    assert "Traceback" not in second.log.read_text()
