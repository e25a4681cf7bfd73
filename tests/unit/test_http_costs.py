"""Estimates and simulations over HTTP (jobs-api.md 7.1, 7.2, 1.3; acceptance 2, 3, 28)."""

from __future__ import annotations

import json
from dataclasses import asdict
from decimal import Decimal

import pytest

from rune_common.domain.estimates import EstimateRequest
from rune_common.domain.price_tables import PriceTable
from rune_common.http.body import json_object
from rune_common.http.schemas.estimate import parse_estimate

ESTIMATES = "/v1/estimates"
SIMULATE = "/v1/finops/simulate"
RENTED = {
    "vastai": True,
    "min_dph": 0.0,
    "max_dph": 3.0,
    "model": "llama3.1:8b",
    "estimated_duration_seconds": 3600,
}


def ignored(answer):
    return answer.headers.get("rune-ignored-fields", "").split(",")


async def test_an_estimate_has_every_field_of_the_contract(client):
    answer = await client.post(ESTIMATES, json=RENTED)
    assert answer.status_code == 200
    assert "rune-ignored-fields" not in answer.headers
    assert answer.json() == {
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


async def test_fields_of_other_clients_are_ignored_and_named(client):
    more = {"template_hash": "tpl", "reliability": 99, "region": "eu", "provisioning": None, "<b>": 1}
    answer = await client.post(ESTIMATES, json=RENTED | more)
    assert answer.json() == (await client.post(ESTIMATES, json=RENTED)).json()
    assert sorted(ignored(answer)) == ["?", "region", "reliability", "template_hash"]


async def test_an_unknown_cost_is_null_and_unpriced(client):
    found = (await client.post(ESTIMATES, content=b"")).json()
    assert found["projected_cost_usd"] is None
    assert found["unpriced"] is True
    assert (found["cost_driver"], found["confidence_score"]) == ("unknown", 0.0)


async def test_zero_and_empty_mean_not_given(client, build_services, open_client):
    blank = {"min_dph": 0, "max_dph": 0, "estimated_duration_seconds": 0, "model": "", "instance_type": ""}
    async with open_client(build_services(vastai_max_dph=2.5)) as other:
        found = (await other.post(ESTIMATES, json={"vastai": True} | blank)).json()
    assert (found["projected_cost_usd"], found["estimated_duration_seconds"]) == (2.5, 3600)


async def test_nested_options_stand_for_the_flat_ones(client):
    nested = {"provisioning": {"vastai": {"min_dph": 1, "max_dph": 2, "template_hash": "tpl"}}}
    answer = await client.post(ESTIMATES, json=nested)
    assert answer.json()["projected_cost_usd"] == 2.0
    assert answer.json()["cost_low_usd"] == 1.0
    assert ignored(answer) == ["template_hash"]


@pytest.mark.parametrize("nested", [{}, {"vastai": None}])
async def test_an_empty_nested_form_is_none(client, nested):
    assert (await client.post(ESTIMATES, json={"provisioning": nested})).json()["cost_driver"] == "unknown"
    found = (await client.post(ESTIMATES, json={"provisioning": {"vastai": {}}})).json()
    assert found["cost_driver"] == "vastai"


async def test_of_both_forms_the_nested_one_counts_and_the_flat_names_are_ignored(client):
    both = {
        "vastai": False,
        "max_dph": 9,
        "min_dph": 0,
        "provisioning": {"vastai": {"max_dph": 2}, "aws": {}},
    }
    answer = await client.post(ESTIMATES, json=both)
    assert (answer.json()["cost_driver"], answer.json()["projected_cost_usd"]) == ("vastai", 2.0)
    assert sorted(ignored(answer)) == ["max_dph", "provisioning.aws", "vastai"]


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({"max_dph": "3"}, "max_dph", "type"),
        ({"vastai": 1}, "vastai", "type"),
        ({"vastai": "true"}, "vastai", "type"),
        ({"max_dph": 129}, "max_dph", "too_large"),
        ({"min_dph": -1}, "min_dph", "too_small"),
        ({"local_tdp_watts": -0.5}, "local_tdp_watts", "too_small"),
        ({"estimated_duration_seconds": -1}, "estimated_duration_seconds", "too_small"),
        ({"estimated_duration_seconds": 2_592_001}, "estimated_duration_seconds", "too_large"),
        ({"estimated_duration_seconds": 1.5}, "estimated_duration_seconds", "type"),
        ({"model": "m" * 129}, "model", "too_long"),
        ({"instance_type": "i" * 65}, "instance_type", "too_long"),
        ({"min_dph": 3, "max_dph": 2}, "min_dph", "too_large"),
        ({"provisioning": "secret"}, "provisioning", "type"),
        ({"provisioning": {"vastai": True}}, "provisioning.vastai", "type"),
        ({"provisioning": {"vastai": {"max_dph": "x"}}}, "provisioning.vastai.max_dph", "type"),
    ],
)
async def test_a_field_that_does_not_fit_is_named_without_its_value(client, body, field, code):
    answer = await client.post(ESTIMATES, json=body)
    assert answer.status_code == 400
    (problem,) = answer.json()["details"]
    assert (problem["field"], problem["code"]) == (field, code)
    assert answer.json()["code"] == "invalid_request"
    assert "secret" not in answer.text


async def test_the_operators_prices_count(build_services, open_client):
    table = PriceTable().overridden({"aws": {"": Decimal("0.75")}})
    async with open_client(build_services({"price_table": table})) as client:
        assert (await client.post(ESTIMATES, json={"aws": True})).json()["hourly_rate_usd"] == 0.75


async def test_absurd_amounts_are_answered_with_a_number(client):
    huge = {"local_hardware": True, "local_tdp_watts": 1e308, "local_energy_rate_kwh": 1e308}
    tiny = {
        "local_hardware": True,
        "local_hardware_purchase_price": 1e308,
        "local_hardware_lifespan_years": 5e-324,
    }
    for body in (huge, tiny):
        answer = await client.post(ESTIMATES, json=body)
        assert (answer.status_code, answer.json()["projected_cost_usd"]) == (200, 1e15)


async def test_a_simulation_has_numbers_and_a_word_for_its_confidence(client):
    params = {"agent": "holmes", "model": "llama3.1:8b", "gpu": "rtx4090"}
    found = (await client.get(SIMULATE, params=params)).json()
    assert (found["confidence"], found["confidence_score"], found["confidence_level"]) == (0.4, 0.4, "low")
    assert found["total_cost_usd"] == found["projected_cost_usd"] == found["projected_total_usd"] == 0.033333
    assert found["components_usd"] == {"gpu_compute": 0.033333, "llm_tokens": 0.0}
    assert found["currency"] == "USD"


async def test_query_and_body_say_the_same(client):
    asked = {"agent": "sre:holmes", "suite": "tpl", "gpu": "A100", "runs_per_period": 3, "period_days": 7}
    by_get = (await client.get(SIMULATE, params=asked)).json()
    assert by_get["projected_total_usd"] == pytest.approx(by_get["projected_cost_usd"] * 21, abs=1e-4)
    assert (await client.post(SIMULATE, json=asked)).json() == by_get
    assert (await client.post(SIMULATE, params=asked)).json() == by_get
    renamed = {("template_hash" if name == "suite" else name): value for name, value in asked.items()}
    answer = await client.post(SIMULATE, json=renamed)
    assert answer.json() == by_get
    assert "rune-ignored-fields" not in answer.headers
    assert (await client.get(SIMULATE, params=renamed)).json() == by_get
    over = await client.post(
        SIMULATE, params={"gpu": "T4", "period_days": 7}, json={"gpu": "A100", "region": 1}
    )
    assert (over.json()["gpu"], over.json()["period_days"], ignored(over)) == ("A100", 7, ["region"])


async def test_a_body_names_its_suite_by_either_name_over_the_query(client):
    answer = await client.post(SIMULATE, params={"suite": "from-query"}, json={"template_hash": "from-body"})
    assert answer.status_code == 200
    assert "rune-ignored-fields" not in answer.headers


@pytest.mark.parametrize("blank", [{}, {"agent": "", "suite": "", "gpu": "", "model": ""}])
async def test_what_is_not_given_takes_its_default(client, blank):
    found = (await client.get(SIMULATE, params=blank)).json()
    assert (found["gpu"], found["llm_model_effective"]) == ("RTX 4090", "llama3.1:8b")
    assert (await client.post(SIMULATE, json=blank)).json() == found


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("runs_per_period", "0"),
        ("runs_per_period", "100001"),
        ("runs_per_period", "many"),
        ("runs_per_period", "1.5"),
        ("runs_per_period", "-1"),
        ("period_days", "367"),
        ("period_days", "0"),
        ("period_days", "NaN"),
        ("gpu", "g" * 65),
        ("model", "m" * 129),
    ],
)
async def test_bad_numbers_and_long_words_are_refused(client, name, value):
    answer = await client.get(SIMULATE, params={name: value})
    assert (answer.status_code, answer.json()["details"][0]["field"]) == (400, name)
    posted = await client.post(SIMULATE, json={name: value})
    assert (posted.status_code, posted.json()["details"][0]["field"]) == (400, name)


async def test_a_body_that_is_no_object_is_refused_by_post_only(client):
    assert (await client.post(SIMULATE, content=b"[]")).json()["code"] == "invalid_body"
    assert (await client.request("GET", SIMULATE, content=b"[]")).status_code == 200


@pytest.mark.parametrize("path", [ESTIMATES, SIMULATE])
async def test_both_need_the_scope_for_models(build_services, open_client, path):
    async with open_client(build_services(api_token_policies="default:runs:read")) as client:
        answer = await client.post(path, content=b"{")
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    async with open_client(build_services(api_token_policies="default:models:read")) as client:
        assert (await client.post(path, json={})).status_code == 200


async def test_wrong_methods_are_told_the_right_ones(client):
    for path, allow in ((ESTIMATES, "OPTIONS, POST"), (SIMULATE, "GET, HEAD, OPTIONS, POST")):
        answer = await client.put(path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allow)


def test_what_was_parsed_can_be_stored_and_read_again():
    request, _ = parse_estimate(json_object(json.dumps(RENTED).encode()))
    assert EstimateRequest(**json.loads(json.dumps(asdict(request)))) == request
