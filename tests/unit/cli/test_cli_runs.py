from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    "arguments",
    [("list",), ("status", "r"), ("watch", "r"), ("cancel", "r"), ("events", "r"), ("create", "-q", "why?")],
    ids=lambda a: a[0],
)
def test_without_a_server_the_runs_commands_are_usage_errors_with_a_hint(world, arguments):
    ran = world.run("runs", *arguments)
    assert ran.code == 2
    assert "--backend http" in ran.err
    assert world.server.requests == []


@pytest.mark.parametrize("label", ["no separator", "=value"])
def test_a_label_needs_a_name_and_a_value(world, label):
    ran = world.http("runs", "create", "-q", "why?", "--label", label)
    assert ran.code == 2
    assert "name=value" in ran.err
    assert world.server.requests == []
