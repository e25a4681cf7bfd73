"""What work would cost (jobs-api.md 7.1; acceptance 2)."""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rune_common.domain.estimates import Estimate, EstimateRequest, estimate
from rune_common.domain.money import from_micro, limit_micro_usd, micro_usd, usd
from rune_common.domain.price_tables import PriceTable

OWN = {"local_tdp_watts": 350.0, "local_energy_rate_kwh": 0.3}
BOUGHT = {"local_hardware_purchase_price": 1752.0, "local_hardware_lifespan_years": 2.0}


def of(default_max_dph: float = 3.0, **request) -> Estimate:
    return estimate(EstimateRequest(**request), prices=PriceTable(), default_max_dph=default_max_dph)


def test_a_rented_gpu_costs_at_most_its_highest_price():
    found = of(vastai=True, min_dph=0.0, max_dph=3.0, model="llama3.1:8b", estimated_duration_seconds=3600)
    assert found.document() == {
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


@pytest.mark.parametrize(
    ("given_prices", "rate"),
    [({}, 3.0), ({"min_dph": 2.0}, 3.0), ({"min_dph": 6.0}, 6.0), ({"min_dph": 1.0, "max_dph": 2.0}, 2.0)],
)
def test_without_a_highest_price_the_servers_counts_unless_the_lowest_is_above_it(given_prices, rate):
    found = of(vastai=True, estimated_duration_seconds=1800, **given_prices)
    assert (found.hourly_rate_usd, found.projected_cost_usd) == (rate, rate / 2)
    assert found.cost_low_usd == given_prices.get("min_dph", 0) / 2


def test_own_hardware_costs_energy_and_its_share_of_wear():
    found = of(local_hardware=True, estimated_duration_seconds=7200, **OWN, **BOUGHT)
    assert found.cost_driver == "local"
    assert found.local_energy_kwh == 0.7
    # 0.7 kWh at 0.3, and 2 of 17520 hours of 1752 dollars.
    assert found.projected_cost_usd == found.cost_low_usd == found.cost_high_usd == 0.41
    assert found.hourly_rate_usd == 0.205
    assert (found.confidence_score, found.warning) == (0.95, None)


@pytest.mark.parametrize("missing", BOUGHT)
def test_hardware_without_price_or_lifespan_is_free_of_wear(missing):
    bought = {**BOUGHT, missing: 0.0}
    found = of(local_hardware=True, **OWN, **bought)
    assert (found.projected_cost_usd, found.confidence_score) == (0.105, 0.95)
    assert (found.warning is None) == (missing == "local_hardware_purchase_price")


def test_wear_alone_is_a_lower_bound_and_not_sure_enough():
    found = of(local_hardware=True, local_tdp_watts=350.0, **BOUGHT)
    assert (found.projected_cost_usd, found.cost_low_usd, found.cost_high_usd) == (0.1, 0.1, None)
    assert found.confidence_score < 0.95
    assert found.warning == "energy is not included"


@pytest.mark.parametrize(
    "request_fields",
    [
        {},
        {"max_dph": 3.0},
        {"local_hardware": True},
        {"local_hardware": True, "local_tdp_watts": 350.0},
        {"local_hardware": True, "local_energy_rate_kwh": 0.3},
        {"local_hardware": True, "local_hardware_purchase_price": 1000.0},
    ],
)
def test_what_is_not_known_is_null_and_unpriced_and_never_0(request_fields):
    found = of(**request_fields)
    assert found.unpriced
    assert found.document() | {"warning": ""} == {
        "projected_cost_usd": None,
        "cost_driver": "unknown",
        "resource_impact": "high",
        "local_energy_kwh": 0.0,
        "confidence_score": 0.0,
        "warning": "",
        "cost_low_usd": None,
        "cost_high_usd": None,
        "hourly_rate_usd": None,
        "estimated_duration_seconds": 3600,
        "currency": "USD",
        "unpriced": True,
    }
    assert found.warning


@pytest.mark.parametrize(
    ("cloud", "instance_type", "price"),
    [
        ("aws", "", 0.526),
        ("aws", "g5.xlarge", 1.21),
        ("aws", "G6.2xlarge", 1.21),
        ("aws", "p3.2xlarge", 12.0),
        ("aws", "p4d.24xlarge", 12.0),
        ("aws", "p5.48xlarge", 12.0),
        ("aws", "t3.micro", 0.526),
        ("gcp", "", 0.70),
        ("gcp", "a2-highgpu-1g", 3.67),
        ("azure", "Standard_NC6s_v3", 3.06),
    ],
)
def test_a_cloud_without_bounds_has_its_static_price(cloud, instance_type, price):
    found = of(**{cloud: True}, instance_type=instance_type)
    assert (found.cost_driver, found.projected_cost_usd, found.hourly_rate_usd) == (cloud, price, price)
    assert (found.confidence_score, found.warning) == (0.5, "static reference price")
    assert found.cost_low_usd < price < found.cost_high_usd


@pytest.mark.parametrize(
    ("bounds", "cost", "low"),
    [
        ({"max_dph": 2.0}, 4.0, 4.0),
        ({"min_dph": 1.5}, 3.0, 3.0),
        ({"min_dph": 1.5, "max_dph": 2.0}, 4.0, 3.0),
    ],
)
def test_a_cloud_with_bounds_has_those(bounds, cost, low):
    found = of(aws=True, estimated_duration_seconds=7200, **bounds)
    assert (found.projected_cost_usd, found.cost_low_usd, found.cost_high_usd) == (cost, low, cost)
    assert (found.confidence_score, found.warning) == (0.95, None)


def test_the_first_driver_counts_and_the_others_are_warned_of():
    everything = {"vastai": True, "local_hardware": True, "aws": True, "gcp": True, "azure": True, **OWN}
    for driver, name in zip(
        ("vastai", "local", "aws", "gcp"), ("vastai", "local_hardware", "aws", "gcp"), strict=True
    ):
        found = of(**everything)
        assert found.cost_driver == driver
        assert f"several cost drivers given, {driver} counts" in found.warning
        everything[name] = False
    assert of(**everything).cost_driver == "azure"
    assert of(**everything).warning == "static reference price"


@pytest.mark.parametrize(
    ("price", "impact"),
    [(0.999999, "low"), (1.0, "medium"), (9.999999, "medium"), (10.0, "high")],
)
def test_the_impact_follows_the_cost(price, impact):
    assert of(vastai=True, max_dph=price).resource_impact == impact


def test_tenths_stay_tenths():
    assert of(vastai=True, max_dph=0.1, estimated_duration_seconds=10_800).projected_cost_usd == 0.3
    assert of(vastai=True, max_dph=0.29, estimated_duration_seconds=1).projected_cost_usd == 0.000081


@given(
    st.builds(
        EstimateRequest,
        **{name: st.booleans() for name in ("vastai", "aws", "gcp", "azure", "local_hardware")},
        **{name: st.floats(0, 128) for name in ("min_dph", "max_dph")},
        **{
            each.name: st.floats(0, allow_nan=False, allow_infinity=False)
            for each in fields(EstimateRequest)
            if each.name.startswith("local_") and each.name != "local_hardware"
        },
        estimated_duration_seconds=st.integers(1, 2_592_000),
        instance_type=st.text(max_size=64),
    )
)
def test_every_request_has_an_answer_that_fits_json_and_names_its_driver(request):
    assume(not request.max_dph or request.min_dph <= request.max_dph)
    found = estimate(request, prices=PriceTable(), default_max_dph=3.0)
    amounts = (found.projected_cost_usd, found.cost_low_usd, found.hourly_rate_usd)
    if found.unpriced:
        assert (set(amounts), found.cost_driver) == ({None}, "unknown")
        return
    assert all(0 <= amount <= 1e15 and round(amount, 6) == amount for amount in amounts)
    assert found.cost_low_usd <= found.projected_cost_usd
    assert found.cost_high_usd is None or found.projected_cost_usd <= found.cost_high_usd
    assert found.cost_driver in request.drivers()[0] or request.drivers()[0] == "local_hardware"


def test_costs_are_rounded_up_and_limits_down():
    assert (micro_usd(0.0000001), limit_micro_usd(0.0000001)) == (1, 0)
    assert micro_usd(3.0) == limit_micro_usd(3.0) == 3_000_000
    assert micro_usd(Decimal("0.1") * 3) == 300_000
    assert limit_micro_usd(-1.0) == 0
    assert from_micro(1_234_567) == 1.234567
    assert usd(Decimal("0.0000005")) == 0.000001
