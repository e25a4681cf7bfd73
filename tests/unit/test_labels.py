"""Owner labels: only exact ones of this deployment are ours (jobs-api.md 6.3, 6.5)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rune_common.domain.labels import OwnerLabel, owner_label, parse_label

JOB = "0192f0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f"


def test_a_label_tells_deployment_job_and_expiry():
    label = owner_label("local-0123456789abcdef", JOB, deadline_ms=1_760_000_000_001, lease_seconds=60)
    assert str(label) == f"rune/local-0123456789abcdef/{JOB}/1760000661"
    assert parse_label(str(label)) == label
    assert len(str(label)) <= 256


@pytest.mark.parametrize("deployment", ["", "short", "UPPERCASE-NAME", "with/slash-in-it", "x" * 33])
def test_a_deployment_that_labels_cannot_hold_is_refused(deployment):
    with pytest.raises(ValueError, match="deployment"):
        owner_label(deployment, JOB, deadline_ms=0, lease_seconds=0)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "rune",
        f"rune/dep-0001/{JOB}",
        f"rune/dep-0001/{JOB}/soon",
        f"rune/dep-0001/{JOB}/1760000000/more",
        f" rune/dep-0001/{JOB}/1760000000",
        f"rune/dep-0001/{JOB}/1760000000\n",
        f"Rune/dep-0001/{JOB}/1760000000",
        f"rune/dep-0001/{JOB}/0000000000",
        f"rune/dép-0001/{JOB}/1760000000",
    ],
)
def test_everything_else_belongs_to_somebody_else(text):
    assert parse_label(text) is None


@given(st.text(max_size=80))
def test_no_text_but_a_label_is_a_label(text):
    found = parse_label(text)
    assert found is None or str(found) == text


@given(st.from_regex(r"[a-z0-9-]{8,32}", fullmatch=True), st.integers(10**9, 10**11 - 1))
def test_every_label_is_read_back(deployment, expires_at):
    label = OwnerLabel(deployment, JOB, expires_at)
    assert parse_label(str(label)) == label
