"""A job's kubeconfig as a path: read below allowed folders only, and no oracle for other paths (17: 25)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.jobs_client import Jobs, Json
from tests.e2e.local_server import LocalServer

from rune.sandbox.kube.sim import KubeSim
from rune.sandbox.ollama.server import OllamaSim

OWN = {"job_id", "run_id", "created_at", "updated_at", "started_at", "finished_at"}


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with KubeSim("healthy") as cluster:
        path = tmp_path_factory.mktemp("kube") / "config"
        cluster.write_kubeconfig(path)
        yield path.read_text()


@pytest.fixture(scope="module")
def folder(server: LocalServer) -> Path:
    found = server.home / ".kube"
    found.mkdir()
    return found


@pytest.fixture(scope="module")
def outside(server: LocalServer) -> Path:
    """A file that cannot be opened unnoticed: whoever reads it waits for a writer that never comes."""
    path = server.folder / "outside"
    os.mkfifo(path)
    return path


def shown(job: Json) -> Json:
    """The job without what is different for every job."""
    metadata = {**job["result"]["metadata"], "duration_s": 0}
    result = {**job["result"], "metadata": metadata, "telemetry": {}, "artifacts": []}
    return {name: value for name, value in {**job, "result": result}.items() if name not in OWN}


def test_paths_that_are_not_readable_files_below_the_folder_all_answer_the_same(
    jobs: Jobs, folder: Path, outside: Path
) -> None:
    (folder / "leading-out").symlink_to(outside)
    (folder / "leading-far-out").symlink_to("/etc/passwd")
    paths = [
        "/etc/passwd",
        "/no/such/file",
        str(outside),
        str(folder / "leading-out"),
        str(folder / "leading-far-out"),
        str(folder / "missing"),
        str(folder),
        str(folder / ".." / ".." / "outside"),
    ]
    found = [jobs.ask("cluster", kubeconfig=path) for path in paths]
    assert found[0]["status"] == "succeeded", found[0]
    assert found[0]["result"]["answer"] == "no-cluster:False"
    assert "kubeconfig_path_ignored" in found[0]["result"]["metadata"]["warnings"]
    assert [shown(job) for job in found] == [shown(found[0])] * len(paths)
    assert "/etc/passwd" not in str(found[0])


def test_a_file_below_the_folder_is_used(jobs: Jobs, folder: Path, kubeconfig: str) -> None:
    (folder / "work").write_text(kubeconfig)
    for path in (str(folder / "work"), "~/.kube/work"):
        job = jobs.ask("cluster", kubeconfig=path)
        assert job["result"]["answer"].startswith("cluster:https://127.0.0.1:"), path
        assert job["result"]["metadata"]["warnings"] == []


def test_an_inline_document_is_used_and_never_shown_again(jobs: Jobs, kubeconfig: str) -> None:
    job = jobs.ask("cluster", kubeconfig=kubeconfig)
    assert job["result"]["answer"].startswith("cluster:https://127.0.0.1:")
    seen = jobs.http.get(f"/v1/jobs/{job['job_id']}", params={"include": "request"}).json()
    assert seen["request"]["kubeconfig"] == "[REDACTED]"


def test_an_inline_document_that_runs_programs_is_refused(jobs: Jobs, kubeconfig: str) -> None:
    dangerous = kubeconfig.replace("token:", "exec: {command: /bin/sh}\n    token:")
    assert dangerous != kubeconfig
    answer = jobs.post("cluster", kubeconfig=dangerous)
    assert (answer.status_code, answer.json()["details"][0]["field"]) == (400, "kubeconfig")


def test_without_allowed_folders_every_path_is_ignored(
    tmp_path: Path, ollama: OllamaSim, kubeconfig: str
) -> None:
    server = LocalServer(tmp_path, RUNE_KUBECONFIG_DIRS="")
    path = server.home / ".kube" / "work"
    path.parent.mkdir()
    path.write_text(kubeconfig)
    try:
        server.start()
        job = Jobs(server.url, ollama.url).ask("cluster", kubeconfig=str(path))
    finally:
        server.stop()
    assert job["result"]["answer"] == "no-cluster:False"
    assert "kubeconfig_path_ignored" in job["result"]["metadata"]["warnings"]
