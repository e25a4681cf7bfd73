"""Which account a process rents with, and what it refuses to start with (jobs-api.md 6.1, 6.3)."""

from __future__ import annotations

import pytest

from rune.local.server import worker_environment
from rune_common.adapters.gpu_account import gpu_market
from rune_common.adapters.no_market import NoMarket
from rune_common.adapters.vastai import VastMarket
from rune_common.domain.errors import Misconfigured
from rune_common.domain.gpu_market import KeyRefused, OfferQuery
from rune_common.domain.runs import RunKind
from rune_common.settings import Settings
from rune_common.wiring import machines

KEY = "key-of-the-providers-account"


def test_without_a_key_nothing_can_be_rented():
    market = gpu_market(Settings())
    assert isinstance(market, NoMarket)
    with pytest.raises(KeyRefused):
        market.search(OfferQuery(0, 1, 1, 1, 0.9))


def test_with_a_key_the_provider_is_asked():
    assert isinstance(gpu_market(Settings(vast_api_key=KEY)), VastMarket)
    assert isinstance(
        gpu_market(Settings(vast_api_key=KEY, vastai_base_url="http://127.0.0.1:8111")), VastMarket
    )


@pytest.mark.parametrize(
    ("fields", "variable"),
    [
        ({"vastai_base_url": "http://console.vast.ai"}, "RUNE_VASTAI_BASE_URL"),
        ({"vastai_base_url": "http://127.0.0.1.example.com"}, "RUNE_VASTAI_BASE_URL"),
        ({"vastai_env_format": "yaml"}, "RUNE_VASTAI_ENV_FORMAT"),
        ({"vastai_list_api": "v2"}, "RUNE_VASTAI_LIST_API"),
        ({"vastai_ram_unit": "tb"}, "RUNE_VASTAI_RAM_UNIT"),
        ({"env": "prod", "deployment_id": "Capital-Letters"}, "RUNE_DEPLOYMENT_ID"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named_and_the_key_is_not_shown(fields, variable):
    with pytest.raises(Misconfigured, match=variable) as caught:
        gpu_market(Settings(vast_api_key=KEY, **fields))
    assert KEY not in str(caught.value)


def test_the_key_reaches_the_worker_and_is_shown_nowhere_else():
    settings = Settings(vast_api_key=KEY)
    assert KEY not in repr(settings)
    assert KEY not in str(settings.environment())
    assert worker_environment(settings, {"HOME": "/home/me"})["VAST_API_KEY"] == KEY
    assert "VAST_API_KEY" not in worker_environment(Settings(), {})


def test_a_run_is_executed_by_the_machine_of_its_kind():
    found = machines(Settings(run_benchmark_machine_arn="b"))
    assert {found[kind] for kind in (RunKind.BENCHMARK, RunKind.LLM_INSTANCE, RunKind.COST_ESTIMATE)} == {"b"}
    assert RunKind.AGENT not in found
