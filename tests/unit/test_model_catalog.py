"""The catalog and what a model needs (jobs-api.md 13, 6.2 step 1)."""

from __future__ import annotations

import math

import pytest

from rune_common.domain.model_catalog import CATALOG, ModelNeed, largest_fitting, model_need

ROWS = """llama3.1:405b 260000/324, mixtral:8x22b 95000/139, command-r-plus:104b 75000/117,
qwen2.5-coder:72b 55000/94, llama3.1:70b 50000/89, mixtral:8x7b 32000/68, command-r:35b 28000/64,
llama3.1:8b 8000/41"""


def test_the_catalog_has_the_rows_of_the_contract_largest_first():
    assert [f"{each.name} {each.vram_mb}/{each.required_disk_gb}" for each in CATALOG] == [
        row.strip() for row in ROWS.split(",")
    ]
    assert list(CATALOG) == sorted(CATALOG, key=lambda each: -each.vram_mb)


@pytest.mark.parametrize("each", CATALOG, ids=lambda each: each.name)
def test_a_catalog_model_needs_what_the_catalog_says(each):
    need = ModelNeed(each.vram_mb, each.required_disk_gb)
    assert model_need(each.name) == need
    assert model_need(f"ollama_chat/{each.name}") == need


@pytest.mark.parametrize(
    ("model", "vram_mb"),
    [
        ("qwen2.5:14b", 12_500),
        ("qwen2.5:0.5b", 2_375),
        ("qwen2.5:1.5B", 3_125),
        ("library/llama3:8b-instruct-q4_0", 8_000),
        ("ollama/phi:3b", 4_250),
        ("x:0.001b", 2_001),
    ],
)
def test_an_unknown_model_needs_what_its_tag_says(model, vram_mb):
    assert model_need(model) == ModelNeed(vram_mb, math.ceil(vram_mb / 1024 * 1.15) + 32)


@pytest.mark.parametrize(
    "model", ["llama3.1", "mixtral:8x3b", "x:latest", "x:b", "x:0b", "70b", "x:7bit", "x:7b2"]
)
def test_a_model_without_a_size_has_no_known_need(model):
    assert model_need(model) is None


def test_a_given_memory_counts_more_than_any_other():
    assert model_need("llama3.1:8b", vram_mb=24_000) == ModelNeed(24_000, 41)
    assert model_need("unheard-of", vram_mb=24_000) == ModelNeed(24_000, 59)


@pytest.mark.parametrize(
    ("vram_mb", "name"),
    [
        (7_999, None),
        (8_000, "llama3.1:8b"),
        (24_576, "llama3.1:8b"),
        (98_304, "mixtral:8x22b"),
        (1e6, "llama3.1:405b"),
    ],
)
def test_the_largest_model_that_fits_is_found(vram_mb, name):
    found = largest_fitting(vram_mb)
    assert (found and found.name) == name
