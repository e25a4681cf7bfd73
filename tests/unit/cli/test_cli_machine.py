"""`info`, `serve`, `--version`, and what starting the command line costs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from rune.__main__ import main
from rune.cli.failures import Terminated

HEAVY = ("boto3", "botocore", "moto", "fastapi", "httpx", "pydantic", "yaml")


def test_info_shows_what_is_here_and_no_secret(world):
    world.environ |= {"RUNE_API_TOKEN": "hunter2" * 5, "PATH": "", "RUNE_DATA_DIR": "state"}
    ran = world.run("info", "--json")
    found = ran.json["result"]
    assert found["python"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")
    assert found["api_base_url"] == "http://localhost:8080"
    assert found["api_token_set"] is True
    assert found["data_dir"] == str(world.folder / "state")
    assert (found["kubectl"], found["agent_environment"]) == (None, None)
    ran = world.run("info")
    assert "kubectl            not found" in ran.out
    assert "hunter2" not in ran.out + ran.err


def test_info_finds_the_agents_interpreter_and_kubectl(world):
    for name in (".venv-agent/bin/python", "tools/kubectl"):
        path = world.folder / name
        path.parent.mkdir(parents=True)
        path.touch(mode=0o755)
    world.environ["PATH"] = str(world.folder / "tools")
    found = world.run("info", "--json").json["result"]
    assert found["agent_environment"] == str(world.folder / ".venv-agent/bin/python")
    assert found["kubectl"] == str(world.folder / "tools/kubectl")


def test_info_works_with_an_environment_that_no_server_would_start_with(world):
    world.environ["RUNE_API_RATE_BURST"] = "plenty"
    found = world.run("info", "--json").json["result"]
    assert found["environment_problem"] == "RUNE_API_RATE_BURST must be a number"


def test_serve_takes_host_and_port_from_the_configuration_and_passes_the_exit_code_on(world):
    world.environ |= {"RUNE_API_HOST": "127.0.0.2", "RUNE_API_PORT": "9"}
    assert world.run("serve").code == 0
    world.serve_code = 3
    assert world.run("serve", "--host", "localhost", "--port", "0").code == 3
    assert world.served == [("127.0.0.2", 9), ("localhost", 0)]


def test_a_port_outside_the_range_is_a_usage_error(world):
    ran = world.run("serve", "--port", "65536")
    assert (ran.code, world.served) == (2, [])
    assert "Invalid value for '--port'" in ran.err


def test_version_is_one_line_or_one_object(world):
    assert world.run("--version").out.startswith("rune ")
    ran = world.run("--json", "--version")
    assert ran.json == {
        "ok": True,
        "command": "version",
        "result": {"version": ran.json["result"]["version"]},
    }


@pytest.mark.parametrize("arguments", [(), ("jobs",)])
def test_without_a_command_the_help_is_shown_as_a_usage_error(world, arguments):
    ran = world.run(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert "Commands:" in ran.err


def test_an_unknown_command_is_a_usage_error_that_guesses(world):
    ran = world.run("run-agent", "--json")
    assert (ran.code, ran.json["ok"]) == (2, False)
    assert "run-agentic-agent" in ran.json["error"]


@pytest.mark.parametrize("argument", ["--version", "--help"])
def test_starting_loads_no_heavy_library(argument):
    code = (
        "import sys; from rune.__main__ import main\n"
        f"code = main([{argument!r}])\n"
        f"sys.exit(code or ','.join(m for m in {HEAVY!r} if m in sys.modules) or 0)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout


def test_completion_offers_commands_and_choices(tmp_path):
    def completed(words, number):
        environ = {
            **os.environ,
            "COMP_WORDS": words,
            "COMP_CWORD": str(number),
            "_RUNE_COMPLETE": "complete_bash",
        }
        command = [sys.executable, "-m", "rune"]
        return subprocess.run(
            command, env=environ, capture_output=True, text=True, check=False
        ).stdout.split()

    jobs = ["list", "get", "cancel", "release", "events", "logs", "artifacts", "download"]
    assert completed("rune jobs ", 2) == jobs
    assert completed("rune --backend ", 2) == ["local", "http"]


def test_the_process_turns_sigterm_into_an_exception_that_nothing_swallows():
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert main(["--version"]) == 0
        with pytest.raises(Terminated):
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not issubclass(Terminated, Exception)


def test_sigterm_is_exit_code_143_outside_of_a_job_too(world):
    def terminate():
        raise Terminated

    world.server.records = [{"status": "running"}]
    world.clock.at[1] = terminate
    ran = world.http("--json", "jobs", "logs", "01900000-0000-7000-8000-000000000001")
    assert (ran.code, ran.json["code"]) == (143, "interrupted")
