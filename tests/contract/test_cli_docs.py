"""The reference page, the application and the contract's list of commands tell the same story."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.main import get_command

from rune.cli.app import app
from rune.cli.config_keys import KEYS, SECRET_KEYS
from rune.cli.reference import reference

PAGE = Path(__file__).parents[2] / "docs/reference/cli.md"
SHARED = ("--debug", "--json")


def commands(group=None, path=()):
    for name, command in (group or get_command(app)).commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


COMMANDS = dict(commands())


def names(command):
    return {name for each in command.params for name in (*each.opts, *each.secondary_opts)}


def test_the_page_is_what_the_application_says():
    assert PAGE.read_text(encoding="utf-8") == reference(), "run: make docs"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_documented(name):
    command = COMMANDS[name]
    _, _, section = PAGE.read_text(encoding="utf-8").partition(f"## `rune {name}`\n")
    section = section.partition("\n## ")[0]
    assert command.help
    assert command.help.splitlines()[0] in section
    options = [each for each in command.params if each.param_type_name == "option"]
    assert all(each.help for each in options)
    assert all(f"`{option}`" in section for each in options for option in (*each.opts, *each.secondary_opts))


@pytest.mark.parametrize("name", COMMANDS)
def test_debug_and_json_may_stand_after_every_command(name):
    assert set(SHARED) <= names(COMMANDS[name])


def test_the_commands_of_this_stage_are_there():
    assert set(COMMANDS) == {
        "run-ollama-instance",
        "run-llm-instance",
        "run-agentic-agent",
        "run-benchmark",
        "run-chain",
        "vastai-reap",
        "vastai-list-models",
        "ollama-list-models",
        "llm-list-models",
        "estimate",
        "simulate",
        "kpi",
        "models",
        "approvals list",
        "approvals approve",
        "approvals deny",
        "jobs list",
        "jobs get",
        "jobs cancel",
        "jobs release",
        "jobs events",
        "jobs logs",
        "jobs artifacts",
        "jobs download",
        "runs create",
        "runs list",
        "runs status",
        "runs watch",
        "runs cancel",
        "runs events",
        "runs terminal",
        "evidence export",
        "evidence verify",
        "serve",
        "info",
        "init",
        "config",
    }


def test_the_global_options_are_those_of_the_contract():
    expected = {
        "--profile",
        "--backend",
        "--api-base-url",
        "--api-token",
        "--api-tenant",
        "--debug",
        "--insecure",
    }
    assert expected | {"--json", "--version"} <= names(get_command(app))


def test_the_agent_command_has_every_option_under_old_and_new_names():
    assert names(COMMANDS["run-agentic-agent"]) >= {
        "--question", "-q", "--model", "-m", "--agent", "--backend-url", "--backend-type", "--backend-warmup",
        "--no-backend-warmup", "--ollama-warmup", "--no-ollama-warmup", "--backend-warmup-timeout",
        "--ollama-warmup-timeout", "--kubeconfig", "--idempotency-key", "--yes", "-y", "--timeout",
        "--max-cost-usd", "--no-wait", "--debug", "--json",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["run-benchmark", "run-llm-instance", "run-ollama-instance"])
def test_what_rents_has_every_option_of_its_groups(name):
    assert names(COMMANDS[name]) >= {
        "--vastai", "--vastai-template", "--vastai-min-dph", "--vastai-max-dph", "--vastai-reliability",
        "--backend-url", "--idempotency-key", "--yes", "-y", "--timeout", "--max-cost-usd", "--no-wait",
        "--lease-seconds",
    }  # fmt: skip


def test_a_benchmark_also_has_the_agents_options():
    stop = {"--vastai-stop-instance", "--no-vastai-stop-instance"}
    assert names(COMMANDS["run-benchmark"]) >= names(COMMANDS["run-agentic-agent"]) | stop
    assert "--dry-run" in names(COMMANDS["vastai-reap"])


def test_every_variable_is_documented_and_no_key_is_a_secret():
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"`{key.variable}`" in text for key in KEYS.values())
    assert not set(SECRET_KEYS) & set(KEYS)
