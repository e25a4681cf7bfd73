"""The child's environment and folder, the supervisor's settings, the launcher."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rune.drivers import holmes
from rune_agent import settings
from rune_agent.artifacts import ArtifactFolder
from rune_agent.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with Workspace.create(str(tmp_path)) as created:
        yield created


def test_the_childs_environment_is_built_from_nothing(workspace: Workspace) -> None:
    root = workspace.root
    assert workspace.environment("http://127.0.0.1:11434") == {
        "PATH": f"{root}/bin:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(root),
        "TMPDIR": f"{root}/tmp",
        "LANG": "C.UTF-8",
        "NO_COLOR": "1",
        "LOG_LEVEL": "ERROR",
        "HOLMES_CONFIGPATH_DIR": f"{root}/.holmes",
        "KUBECONFIG": f"{root}/kubeconfig",
        "OLLAMA_API_BASE": "http://127.0.0.1:11434",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_COST_MAP_REFRESH_INTERVAL_SECONDS": "999999999",
        "ROBUSTA_AI": "false",
        "ENABLE_TELEMETRY": "false",
        "ENABLE_CONVERSATION_WORKER": "false",
        "ENABLED_SCHEDULED_PROMPTS": "false",
        "MODEL_LIST_FILE_LOCATION": "/nonexistent",
        "HOLMES_TOOL_RESULT_STORAGE_ENABLED": "false",
    }


def test_the_folder_is_private_and_goes_away(tmp_path: Path) -> None:
    with Workspace.create(str(tmp_path)) as workspace:
        workspace.write_kubeconfig("a: 1\n")
        assert stat.S_IMODE(workspace.root.stat().st_mode) == 0o700
        assert stat.S_IMODE(workspace.kubeconfig.stat().st_mode) == 0o600
    assert not workspace.root.exists()


def test_the_folder_of_a_killed_supervisor_is_removed_by_the_next(
    workspace: Workspace, tmp_path: Path
) -> None:
    program = "import sys; from rune_agent.workspace import Workspace as W; print(W.create(sys.argv[1]).root)"
    containers = str(Path(__file__).parents[2] / "containers/agent")
    abandoned = Path(
        subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)],
            env={"PYTHONPATH": containers},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    )
    for folder in (abandoned, workspace.root):
        os.utime(folder, (0, 0))
    (tmp_path / "rune-agent-not-ours").mkdir()
    with Workspace.create(str(tmp_path)):
        assert not abandoned.exists()
        assert workspace.root.exists()
        assert (tmp_path / "rune-agent-not-ours").exists()


@pytest.mark.parametrize(("mode", "code"), [("read", 126), ("approved", 0)])
def test_the_guard_stands_in_kubectls_place(
    workspace: Workspace, tmp_path: Path, mode: str, code: int
) -> None:
    real = tmp_path / "real-kubectl"
    real.write_text('#!/bin/sh\necho "real $*"\n')
    real.chmod(0o755)
    workspace.install_guard(sys.executable, str(real), mode)
    environment = {**workspace.environment(None), "RUNE_KUBECTL_MODE": "approved"}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["kubectl", *words], env=environment, capture_output=True, text=True)

    assert run("get", "pods").stdout == "real get --request-timeout=30s pods\n"
    assert run("delete", "pod", "web").returncode == code


def test_loopback_is_allowed_on_ones_own_machine_only() -> None:
    assert settings.read({}).backend_allowlist == ("localhost", "127.0.0.0/8", "[::1]")
    assert settings.read({"AWS_LAMBDA_FUNCTION_NAME": "f"}).backend_allowlist == ()
    assert settings.read({"RUNE_CLUSTER_ALLOWLIST": "a.test, 10.0.0.0/8"}).cluster_allowlist == (
        "a.test",
        "10.0.0.0/8",
    )


def test_an_operators_file_is_read_as_json_would_be(tmp_path: Path) -> None:
    path = tmp_path / "toolsets.yaml"
    path.write_text("toolsets: {prometheus/metrics: {enabled: true}}\n")
    found = settings.read({"RUNE_AGENT_TOOLSETS_FILE": str(path)}).operator_toolsets
    assert found == {"toolsets": {"prometheus/metrics": {"enabled": True}}}
    path.write_text("when: 2026-01-01\n")
    with pytest.raises(TypeError):
        settings.read({"RUNE_AGENT_TOOLSETS_FILE": str(path)})


def test_the_launcher_starts_the_agents_own_interpreter() -> None:
    assert holmes.agent_command({"RUNE_AGENT_PYTHON": sys.executable}) == [
        sys.executable,
        "-m",
        "rune_agent.entry_stdio",
    ]


def test_a_missing_interpreter_is_an_answer() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "rune.drivers.holmes"],
        input='{"action":"ask","params":{},"id":"r"}\n',
        env={"RUNE_AGENT_PYTHON": "/nonexistent/python"},
        capture_output=True,
        text=True,
        check=True,
    )
    document = json.loads(ended.stdout)
    assert (document["id"], document["error_code"]) == ("r", "agent_not_installed")


def test_large_tool_output_becomes_a_file_and_small_does_not(tmp_path: Path) -> None:
    folder = ArtifactFolder(tmp_path)
    folder.tool_output({"tool_name": "../../bash", "result": {"data": "x" * 40_000}})
    folder.tool_output({"tool_name": "bash", "result": {"data": "x" * 10}})
    assert [entry["name"] for entry in folder.written] == ["tool-001-bash.txt"]
    assert folder.written[0]["bytes"] == len((tmp_path / "tool-001-bash.txt").read_bytes()) == 40_000


def test_a_link_in_the_callers_folder_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("mine")
    (tmp_path / "driver.log").symlink_to(target)
    folder = ArtifactFolder(tmp_path)
    folder.log("text")
    assert (target.read_text(), folder.written) == ("mine", [])


def test_a_conversation_is_kept_without_tokens_and_secrets(tmp_path: Path) -> None:
    call = {"id": "c", "pending_approval": True, "approval_token": "ey.signed.token"}
    message = {
        "role": "assistant",
        "content": "password=hunter2hunter2",
        "token_count": 5,
        "tool_calls": [call],
    }
    ArtifactFolder(tmp_path).conversation([message])
    (kept,) = json.loads((tmp_path / "conversation.json").read_text())
    assert kept["tool_calls"] == [{"id": "c", "pending_approval": True}]
    assert "token_count" not in kept
    assert "hunter2" not in kept["content"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps a process's memory from its own user")
def test_a_process_of_the_agent_hides_its_memory_and_dumps_no_core() -> None:
    program = (
        "import ctypes, resource; from rune_agent import process_limits; process_limits.hide_memory();"
        "print(ctypes.CDLL(None).prctl(3), resource.getrlimit(resource.RLIMIT_CORE))"
    )
    containers = Path(__file__).parents[2] / "containers/agent"
    ended = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(containers)}, capture_output=True, text=True
    )
    assert ended.stdout == "0 (0, 0)\n"
