"""Whatever a body of the Runtime Runs API holds, it is a request or a known error."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.test_http_fuzz import EXTREMES, NUMBERS, VALUES

from rune_common.domain.errors import RuneError
from rune_common.domain.external_events import APPENDABLE
from rune_common.domain.run_requests import CREATED_HERE
from rune_common.http.body import json_object
from rune_common.http.dialects.runs import error_answer
from rune_common.http.schemas.append_events import EventDraftBody, parse_append
from rune_common.http.schemas.create_run import (
    SYNONYMS,
    BenchmarkSpec,
    BudgetSpec,
    CreateRun,
    parse_create_run,
)
from rune_common.http.schemas.run_changes import CancelRun, CompleteRun
from rune_common.http.schemas.strict_fields import parsed

FIELDS = [*CreateRun.model_fields, *SYNONYMS, "x y"]
NESTED = st.dictionaries(
    st.sampled_from([*BudgetSpec.model_fields, *BenchmarkSpec.model_fields, "steps", "mode"]),
    VALUES,
    max_size=4,
)
KINDS = st.sampled_from(sorted(CREATED_HERE))


def refusal(read, fields):
    """The answer that refuses a body, None when it is a request."""
    try:
        read(json_object(json.dumps(fields).encode()))
    except RuneError as exc:
        found = error_answer(exc, "r")
        assert found.known
        return found
    return None


def holds(answer):
    assert answer is None or answer.status == 400
    if answer:
        assert answer.body["error"]["code"] in (
            "VALIDATION_ERROR",
            "INVALID_JSON",
            "MODE_PROFILE_MISMATCH",
            "EVENT_TYPE_NOT_ALLOWED",
        )


@given(KINDS, st.dictionaries(st.sampled_from(FIELDS), VALUES | NESTED, max_size=8))
def test_every_body_is_a_run_or_a_known_error(kind, fields):
    holds(refusal(parse_create_run, {"kind": kind, "question": "q"} | fields))


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("value", EXTREMES, ids=range(len(EXTREMES)))
def test_extreme_numbers_are_accepted_or_refused_in_every_field(name, value):
    holds(refusal(parse_create_run, {"question": "q", name: value}))
    holds(refusal(parse_create_run, {"question": "q", "budget": {name: value, "max_tokens": value}}))


DRAFTS = st.builds(
    lambda type_, payload, more: {"producer_key": "k", "type": type_, "payload": payload} | more,
    st.sampled_from(sorted(APPENDABLE)),
    VALUES
    | st.dictionaries(
        st.sampled_from(
            ["step_id", "stream", "encoding", "data", "finding", "fingerprint", "stage", "summary"]
        ),
        VALUES | st.sampled_from(["stdout", "utf8", "base64", "s1", "SCAN"]),
    ),
    st.dictionaries(st.sampled_from(list(EventDraftBody.model_fields)), VALUES | NUMBERS, max_size=3),
)


@given(DRAFTS | st.fixed_dictionaries({"events": st.lists(DRAFTS | VALUES, max_size=3) | VALUES}))
def test_every_append_is_drafts_or_a_known_error(body):
    holds(refusal(parse_append, body))


@pytest.mark.parametrize("model", [CancelRun, CompleteRun])
@given(fields=st.dictionaries(st.sampled_from([*CancelRun.model_fields, *CompleteRun.model_fields]), VALUES))
def test_every_change_is_understood_or_a_known_error(model, fields):
    holds(refusal(lambda body: parsed(model, body.members), {"stop_class": "clean"} | fields))
