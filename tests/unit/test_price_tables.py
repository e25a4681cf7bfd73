"""Reference prices, and the operator's file over them (jobs-api.md 7.1, 7.2)."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from rune_common.adapters.price_table_file import read_price_table
from rune_common.domain.errors import Misconfigured
from rune_common.domain.price_tables import PriceTable, gpu_name, gpu_rate, token_rate


@pytest.mark.parametrize(
    ("gpu", "price"),
    [
        ("RTX 4090", "0.40"),
        ("rtx4090", "0.40"),
        ("RTX_4090", "0.40"),
        ("NVIDIA GeForce RTX-3090 Ti", "0.25"),
        ("A100 SXM4", "3.67"),
        ("H100_NVL", "12.00"),
        ("L40S", "1.20"),
        ("Tesla V100", "3.06"),
        ("Tesla T4", "0.52"),
    ],
)
def test_a_gpu_is_found_by_a_part_of_its_name(gpu, price):
    found = gpu_rate(gpu)
    assert (found.mid, found.known) == (Decimal(price), True)
    assert (found.low, found.high) == (found.mid * Decimal("0.7"), found.mid * Decimal("1.5"))


def test_an_unknown_gpu_has_a_default_price_that_says_so():
    assert (gpu_rate("GTX 1060").mid, gpu_rate("GTX 1060").known) == (Decimal("0.50"), False)
    assert gpu_name("RTX 4090") == gpu_name("rtx_40-90")


@pytest.mark.parametrize(
    ("model", "prices", "source"),
    [
        ("gpt-4o", ("2.5", "10"), "table"),
        ("openai/gpt-4o-mini-2024-07-18", ("0.15", "0.6"), "table"),
        ("gpt-4-turbo", ("10", "30"), "table"),
        ("claude-3-5-sonnet-latest", ("3", "15"), "table"),
        ("claude-3-opus", ("15", "75"), "table"),
        ("anthropic.claude-3-haiku-20240307-v1:0", ("0.25", "1.25"), "table"),
        ("meta-llama/Llama-3.1-405B", ("5", "15"), "table"),
        ("llama-3.1-70b-instruct", ("0.6", "0.8"), "table"),
        ("llama-3.1-8b", ("0.1", "0.2"), "table"),
        ("llama3.1:8b", ("0", "0"), "self_hosted"),
        ("ollama/llama-3.1-8b", ("0", "0"), "self_hosted"),
        ("ollama_chat/qwen2.5", ("0", "0"), "self_hosted"),
        ("mistral-large", ("0.5", "1.5"), "default"),
        ("gpt-4", ("0.5", "1.5"), "default"),
    ],
)
def test_tokens_have_the_price_of_the_longest_name_and_self_hosted_ones_none(model, prices, source):
    found = token_rate(model)
    assert (found.input, found.output) == tuple(map(Decimal, prices))
    assert found.source == source


def written(tmp_path, content):
    path = tmp_path / "prices.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_a_file_replaces_and_adds_prices_and_leaves_the_others(tmp_path):
    table = read_price_table(written(tmp_path, {"aws": {"default": 0.6, "g5": 1.1, "g5.48": 16}, "gcp": {}}))
    assert table.hourly("aws", "") == Decimal("0.6")
    assert table.hourly("aws", "g5.xlarge") == Decimal("1.1")
    assert table.hourly("aws", "g5.48xlarge") == Decimal(16)
    assert table.hourly("aws", "p4d.24xlarge") == Decimal("12.0")
    assert table.hourly("gcp", "") == Decimal("0.70")
    assert PriceTable().hourly("aws", "") == Decimal("0.526")


def test_without_a_file_the_built_in_prices_apply():
    assert read_price_table("") == PriceTable()


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        {"aws": 1},
        {"aws": {"g5": "1"}},
        {"aws": {"g5": True}},
        {"aws": {"g5": -1}},
        {"aws": {"g5": 0}},
        '{"aws": {"g5": NaN}}',
        {"moon": {"default": 1}},
    ],
)
def test_a_file_that_is_no_price_table_is_refused_without_showing_it(tmp_path, content):
    with pytest.raises(Misconfigured, match=r"^RUNE_PRICE_TABLE is not a readable price table$"):
        read_price_table(written(tmp_path, content))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(Misconfigured):
        read_price_table(str(tmp_path / "none.json"))
