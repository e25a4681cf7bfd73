"""`estimate` and `simulate`, in both modes (jobs-api.md 7 and 15)."""

from __future__ import annotations

import json

import httpx
import pytest

from rune.cli.cost_view import estimate_lines

KNOWN = {
    "projected_cost_usd": 3.0,
    "cost_driver": "vastai",
    "resource_impact": "medium",
    "local_energy_kwh": 0.0,
    "confidence_score": 1.0,
    "warning": None,
    "cost_low_usd": 0.0,
    "cost_high_usd": 3.0,
    "hourly_rate_usd": 3.0,
    "estimated_duration_seconds": 3600,
    "currency": "USD",
}


def answering(world, document, status=200):
    world.server.failures = [httpx.Response(status, json=document)]


def test_an_estimate_of_this_process_needs_no_server_and_no_stack(world):
    ran = world.run("estimate", "--vastai", "--min-dph", "0", "--max-dph", "3", "--json")
    assert ran.json == {"ok": True, "command": "estimate", "result": KNOWN}
    assert (world.local.opened, world.server.requests) == (0, [])


def test_an_estimate_is_shown_in_lines(world):
    ran = world.run(
        "estimate", "--local-hardware", "--local-tdp-watts", "350", "--local-energy-rate-kwh", "0.3"
    )
    assert ran.code == 0
    assert ran.out.splitlines() == [
        "Cost:       $0.105",
        "Driver:     local",
        "Impact:     low",
        "Per hour:   $0.105",
        "Duration:   60 min 00 s",
        "Energy:     0.35 kWh",
        "Confidence: 95%",
    ]


def test_what_is_not_known_is_shown_as_unknown(world):
    ran = world.run("estimate")
    assert ran.code == 0
    assert ran.out.startswith("Cost:       unknown\nDriver:     unknown\nImpact:     high\n")
    assert "the cost is unknown: no cost driver given" in ran.out
    assert "$0" not in ran.out


def test_every_field_of_an_estimate_reaches_the_server(world):
    numbers = {
        "min_dph": 1.5,
        "max_dph": 2.5,
        "estimated_duration_seconds": 60,
        "local_tdp_watts": 350.0,
        "local_energy_rate_kwh": 0.3,
        "local_hardware_purchase_price": 1000.0,
        "local_hardware_lifespan_years": 3.0,
    }
    flags = ["vastai", "local_hardware", "aws", "gcp", "azure"]
    words = {"model": "m", "instance_type": "g5.xlarge"}
    arguments = [f"--{name.replace('_', '-')}" for name in flags]
    for name, value in {**numbers, **words}.items():
        arguments += [f"--{name.replace('_', '-')}", str(value)]
    answering(world, KNOWN)
    ran = world.http("estimate", *arguments)
    assert ran.code == 0
    request = world.server.requests[0]
    assert (request.method, request.url.path) == ("POST", "/v1/estimates")
    assert json.loads(request.content) == dict.fromkeys(flags, True) | numbers | words


def test_what_was_not_given_is_not_sent(world):
    answering(world, KNOWN)
    world.http("estimate")
    assert json.loads(world.server.requests[0].content) == {}


@pytest.mark.parametrize(
    "arguments",
    [
        ("estimate", "--max-dph", "129"),
        ("estimate", "--min-dph", "-1"),
        ("estimate", "--local-tdp-watts", "nan"),
        ("estimate", "--local-tdp-watts", "inf"),
        ("simulate", "--runs-per-period", "0"),
        ("simulate", "--period-days", "367"),
    ],
)
def test_a_number_that_cannot_be_is_a_usage_error(world, arguments):
    assert world.run(*arguments).code == 2


def test_the_products_rules_hold_in_this_process_too(world):
    ran = world.run("estimate", "--aws", "--min-dph", "3", "--max-dph", "2", "--json")
    assert (ran.code, ran.json["code"]) == (1, "invalid_request")
    assert "min_dph must not be greater than max_dph" in ran.err


def test_the_operators_variables_count_in_this_process(world, tmp_path):
    prices = tmp_path / "prices.json"
    prices.write_text('{"aws": {"default": 0.75}}')
    world.environ |= {"RUNE_VASTAI_MAX_DPH": "2.5", "RUNE_PRICE_TABLE": str(prices)}
    assert world.run("estimate", "--vastai", "--json").json["result"]["projected_cost_usd"] == 2.5
    assert world.run("estimate", "--aws", "--json").json["result"]["projected_cost_usd"] == 0.75
    prices.write_text("{")
    ran = world.run("estimate", "--aws", "--json")
    assert (ran.code, ran.json["code"]) == (1, "misconfigured")


def test_a_simulation_of_this_process_goes_by_assumptions(world):
    world.environ["RUNE_MODEL"] = "gpt-4o"
    ran = world.run("simulate", "--gpu", "h100", "--runs-per-period", "10", "--period-days", "30")
    assert ran.code == 0
    assert ran.out.splitlines() == [
        "Per run:    $1.04096 ($0.19548 to $4.58192)",
        "GPU:        $1.00 (h100, $12.00/h)",
        "Tokens:     $0.04096 (gpt-4o, 8,192 in, 2,048 out)",
        "Duration:   5 min 00 s (1 min 15 s to 15 min 00 s)",
        "Period:     $312.288 (10 a day, days: 30)",
        "Basis:      assumptions, no earlier runs",
        "Confidence: 40% (low)",
    ]
    assert (world.local.opened, world.server.requests) == (0, [])


def test_a_simulation_on_a_server_leaves_the_model_to_the_tenant_unless_it_is_chosen(world):
    result = world.run("simulate", "--json").json["result"]
    answering(world, result)
    ran = world.http("simulate", "--agent", "holmes", "--suite", "tpl", "--gpu", "A100", "--json")
    assert ran.json == {"ok": True, "command": "simulate", "result": result}
    assert dict(world.server.requests[-1].url.params) == {"agent": "holmes", "suite": "tpl", "gpu": "A100"}
    world.environ["RUNE_MODEL"] = "gpt-4o"
    answering(world, result)
    world.http("simulate", "--runs-per-period", "2", "--period-days", "3")
    request = world.server.requests[-1]
    assert (request.method, request.url.path) == ("GET", "/v1/finops/simulate")
    assert dict(request.url.params) == {"model": "gpt-4o", "runs_per_period": "2", "period_days": "3"}


@pytest.mark.parametrize(
    ("command", "document"),
    [
        ("estimate", {}),
        ("estimate", KNOWN | {"projected_cost_usd": None}),
        ("estimate", KNOWN | {"projected_cost_usd": "3"}),
        ("simulate", {"total_cost_usd": None}),
    ],
)
def test_an_answer_of_another_form_is_refused(world, command, document):
    answering(world, document)
    ran = world.http(command, "--json")
    assert (ran.code, ran.json["code"]) == (1, "bad_answer")


def test_a_servers_words_cannot_steer_the_terminal():
    lines = estimate_lines(KNOWN | {"warning": "red\x1b[31m\nnext", "cost_driver": None})
    assert lines[-1] == "Warning:    red[31m next"
    assert not [line for line in lines if line.startswith("Driver")]
