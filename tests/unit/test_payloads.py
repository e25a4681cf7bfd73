"""Payloads that are too large for the log: strings leave it, its shape stays (runs-api.md 3.3)."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rune_common.domain.canonical import canonical_json
from rune_common.domain.events import MAX_PAYLOAD_BYTES
from rune_common.domain.payloads import Spilled, artifact_key, fit_payload

TEXTS = st.integers(0, 40_000).map(lambda length: "line é\n" * (length // 8))
VALUES = st.recursive(
    TEXTS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc"), inner, max_size=3)
)


def restored(value: Any, spilled: dict[str, str]) -> Any:
    if isinstance(value, dict):
        if "artifact_id" in value:
            return spilled[value["artifact_id"]]
        return {key: restored(item, spilled) for key, item in value.items()}
    return [restored(item, spilled) for item in value] if isinstance(value, list) else value


@given(st.dictionaries(st.text("xyz", min_size=1), VALUES, max_size=4))
@settings(max_examples=60, deadline=None)
def test_everything_fits_and_nothing_is_lost(payload: dict[str, Any]) -> None:
    given_payload = {"summary": "said", **payload}
    fitting, spilled = fit_payload(given_payload)
    assert len(canonical_json(fitting)) <= MAX_PAYLOAD_BYTES
    assert restored(fitting, {part.artifact_id: part.content.decode() for part in spilled}) == given_payload
    assert given_payload == {"summary": "said", **payload}


def test_a_payload_that_fits_is_left_alone() -> None:
    payload = {"summary": "s", "data": "x" * (MAX_PAYLOAD_BYTES - 100)}
    assert fit_payload(payload) == (payload, [])


def test_the_largest_string_leaves_first_and_only_as_many_as_needed() -> None:
    payload = {"summary": "s", "a": "a" * 20_000, "b": ["b" * 30_000], "c": "c" * 10_000}
    fitting, spilled = fit_payload(payload)
    content = b"b" * 30_000
    digest = hashlib.sha256(content).hexdigest()
    assert spilled == [Spilled(f"a_{digest[:24]}", content)]
    assert fitting["b"] == [{"artifact_id": spilled[0].artifact_id, "sha256": digest, "bytes": 30_000}]
    assert (fitting["a"], fitting["c"]) == (payload["a"], payload["c"])


def test_equal_strings_are_one_artifact() -> None:
    _, spilled = fit_payload({"summary": "s", "a": "x" * 40_000, "b": "x" * 40_000})
    assert len({part.artifact_id for part in spilled}) == 1


def test_the_summary_never_leaves_but_a_summary_further_in_may() -> None:
    fitting, spilled = fit_payload({"summary": "top", "inner": {"summary": "y" * 40_000}})
    assert fitting["summary"] == "top"
    assert "artifact_id" in fitting["inner"]["summary"]
    assert len(spilled) == 1


def test_too_many_small_parts_cannot_be_made_to_fit() -> None:
    with pytest.raises(ValueError, match="too many small parts"):
        fit_payload({"summary": "s", "many": ["tiny"] * 10_000})


def test_an_artifacts_key_names_its_tenant_and_run() -> None:
    assert artifact_key("t", "r", "a_1") == "t/r/artifacts/a_1"
