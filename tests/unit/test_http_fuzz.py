"""Whatever a request holds, it is answered, in our dialect, and never as a bug."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rune_common.domain.errors import RuneError
from rune_common.http.body import json_object
from rune_common.http.dialects.jobs import error_answer
from rune_common.http.schemas.submit_agent_job import SubmitAgentJob

OTHER_NAMES = ["ollama_url", "ollama_warmup", "ollama_warmup_timeout", "vastai", "x y"]
NAMES = [*SubmitAgentJob.model_fields, *OTHER_NAMES]
EXTREMES = [10**400, -(10**400), 2**63, 2**53, 1e308, 5e-324, -0.0]
NUMBERS = st.integers() | st.sampled_from(EXTREMES) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
PARAMETERS = ["limit", "cursor", "status", "kind", "created_after", "created_before", "order", "include"]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
QUERIES = st.dictionaries(st.sampled_from(PARAMETERS), TEXTS | NUMBERS.map(str), max_size=4)


def refusal(read, given_value):
    """The answer that refuses a value, None when it is accepted."""
    try:
        read(given_value)
    except RuneError as exc:
        return error_answer(exc, "r")
    return None


def read_request(raw):
    request, ignored = SubmitAgentJob.parse(json_object(raw))
    assert request.question
    assert all(name.isascii() for name in ignored)


@given(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8))
def test_every_body_is_a_request_or_a_known_error(fields):
    answer = refusal(read_request, json.dumps({"question": "q"} | fields).encode())
    assert answer is None or (answer.status, answer.known) == (400, True)
    if answer:
        assert all(each["field"].partition(".")[0] in NAMES for each in answer.body.get("details", []))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", EXTREMES, ids=range(len(EXTREMES)))
def test_extreme_numbers_are_accepted_or_refused_in_every_field(name, value):
    answer = refusal(read_request, json.dumps({"question": "q"} | {name: value}).encode())
    assert answer is None or (answer.status, answer.known) == (400, True)


@given(raw=st.binary(max_size=60))
def test_every_sequence_of_bytes_is_an_object_or_a_known_error(raw):
    answer = refusal(json_object, raw)
    assert answer is None or answer.body["code"] in ("invalid_json", "invalid_body")


async def test_every_query_is_answered(client):
    asked = []

    @given(QUERIES)
    def collect(query):
        asked.append(query)

    collect()
    for query in asked:
        answer = await client.get("/v1/jobs", params=query)
        assert answer.status_code in (200, 400)
        assert answer.status_code == 200 or answer.json()["code"] in ("invalid_request", "invalid_cursor")
