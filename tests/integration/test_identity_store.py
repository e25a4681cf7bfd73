"""Tokens and failed authentications, on every adapter."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.integration.run_samples import NOON, at_once

from rune_common.domain.access import LOCKOUT_FAILURES, LOCKOUT_WINDOW_MS, TokenRecord, token_hash

RECORD = TokenRecord(
    token_hash=token_hash("a secret of at least thirty-two characters"),
    subject="seed-1",
    kind="service",
    tenants=("default", "other"),
    scopes=("runs:read", "runs:write"),
    expires_at=NOON,
)


@pytest.fixture
def tokens(identity):
    return identity[0]


@pytest.fixture
def failures(identity):
    return identity[1]


@pytest.mark.parametrize(
    "record",
    [
        RECORD,
        replace(RECORD, expires_at=None, scopes=("*",)),
        replace(RECORD, scopes=(), tenants=("t",), revoked=True, kind="run"),
    ],
)
def test_a_token_comes_back_with_every_field(tokens, record):
    tokens.add(record)
    assert tokens.find(record.token_hash) == record


def test_an_unknown_token_is_not_found_and_not_revoked(tokens):
    assert tokens.find(RECORD.token_hash) is None
    assert tokens.revoke(RECORD.token_hash) is False
    assert tokens.find(RECORD.token_hash) is None


def test_a_revoked_token_stays_known_as_revoked(tokens):
    tokens.add(RECORD)
    assert tokens.revoke(RECORD.token_hash) is True
    assert tokens.revoke(RECORD.token_hash) is True
    assert tokens.find(RECORD.token_hash) == replace(RECORD, revoked=True)


def test_adding_a_token_again_replaces_its_record(tokens):
    tokens.add(RECORD)
    tokens.add(replace(RECORD, subject="seed-2"))
    assert tokens.find(RECORD.token_hash).subject == "seed-2"


def test_failures_are_counted_by_address_and_only_after_a_time(failures):
    for at in (NOON, NOON + 1, NOON + 2):
        failures.record("192.0.2.1", now_ms=at)
    failures.record("2001:db8::1", now_ms=NOON)
    assert failures.recent("192.0.2.1", since_ms=NOON - 1) == 3
    assert failures.recent("192.0.2.1", since_ms=NOON) == 2
    assert failures.recent("192.0.2.1", since_ms=NOON + 2) == 0
    assert failures.recent("2001:db8::1", since_ms=NOON - 1) == 1
    assert failures.recent("192.0.2.9", since_ms=0) == 0


def test_the_window_slides_over_the_last_ten(failures):
    for turn in range(LOCKOUT_FAILURES + 5):
        failures.record("192.0.2.1", now_ms=NOON + turn * 1000)
    last = NOON + (LOCKOUT_FAILURES + 4) * 1000
    assert failures.recent("192.0.2.1", since_ms=NOON - 1) == LOCKOUT_FAILURES
    assert failures.recent("192.0.2.1", since_ms=last - 3000) == 3
    assert failures.recent("192.0.2.1", since_ms=last - LOCKOUT_WINDOW_MS) == LOCKOUT_FAILURES


def test_no_failure_is_lost_between_threads(failures):
    at_once(LOCKOUT_FAILURES, lambda turn: failures.record("192.0.2.1", now_ms=NOON + turn))
    assert failures.recent("192.0.2.1", since_ms=NOON - 1) == LOCKOUT_FAILURES
