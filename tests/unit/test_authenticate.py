"""The order of lockout, token, bucket and refusal (jobs-api.md 2)."""

from __future__ import annotations

import pytest

from rune_common.adapters.memory import MemoryFailureWindow, MemoryRateLimiter, MemoryTokenStore
from rune_common.domain.access import TokenRecord, token_hash
from rune_common.domain.errors import LockedOut, RateLimited, Unauthorized
from rune_common.usecases.authenticate import AccessLimits, Credentials, authenticate

TOKEN = "t" * 32
NOW = 1_000_000


class Counting(MemoryTokenStore):
    looked_up = 0

    def find(self, token_hash):
        self.looked_up += 1
        return super().find(token_hash)


@pytest.fixture
def world():
    return World()


class World:
    def __init__(self) -> None:
        hashed = token_hash(TOKEN)
        self.tokens = Counting(
            TokenRecord(hashed, "alice", "human", ("default", "other"), ("*",)),
            TokenRecord(token_hash("e" * 32), "bob", "human", ("default",), ("*",), expires_at=NOW),
            TokenRecord(token_hash("r" * 32), "eve", "human", ("default",), ("*",), revoked=True),
            TokenRecord(token_hash("only" * 9), "dan", "service", ("only",), ("runs:read",)),
        )
        self.failures = MemoryFailureWindow()
        self.limiter = MemoryRateLimiter(lambda: 0.0)
        self.limits = AccessLimits(3, 1.0, 5, 1.0)

    def call(self, token=TOKEN, tenant=None, ip="1.1.1.1", limits=None):
        return authenticate(
            Credentials(ip, token, tenant),
            limits=limits or self.limits,
            tokens=self.tokens,
            failures=self.failures,
            limiter=self.limiter,
            clock=lambda: NOW,
        )

    def failed(self, ip="1.1.1.1"):
        return self.failures.recent(ip, since_ms=0)


def test_a_valid_token_names_its_subject_and_tenant(world):
    assert (world.call().subject, world.call().tenant) == ("alice", "default")
    assert world.call(tenant="other").tenant == "other"
    assert world.call("only" * 9).tenant == "only"


@pytest.mark.parametrize("token", [None, "", "short", "x" * 32, "e" * 32, "r" * 32])
def test_every_bad_token_takes_the_same_path_and_counts_once(world, token):
    with pytest.raises(Unauthorized):
        world.call(token)
    assert world.tokens.looked_up == 1
    assert world.failed() == 1


def test_a_tenant_that_the_token_does_not_have_is_a_failure(world):
    with pytest.raises(Unauthorized):
        world.call(tenant="foreign")
    assert world.failed() == 1


def test_a_lockout_comes_before_everything_and_is_no_failure(world):
    for _ in range(10):
        world.failures.record("1.1.1.1", now_ms=NOW)
    with pytest.raises(LockedOut):
        world.call()
    assert world.tokens.looked_up == 0
    assert world.call(ip="2.2.2.2").subject == "alice"


def test_a_success_does_not_clear_the_window(world):
    for _ in range(9):
        world.failures.record("1.1.1.1", now_ms=NOW)
    world.call()
    with pytest.raises(Unauthorized):
        world.call("wrong")
    with pytest.raises(LockedOut):
        world.call()


def test_a_refused_token_uses_the_bucket_of_its_address_and_no_failure_is_counted_over_it(world):
    for _ in range(3):
        with pytest.raises(Unauthorized):
            world.call("wrong")
    with pytest.raises(RateLimited) as raised:
        world.call("wrong")
    assert raised.value.retry_after == 1
    assert world.failed() == 3
    assert world.call().subject == "alice"


def test_buckets_are_kept_by_verified_token_and_address(world):
    for _ in range(5):
        world.call()
    with pytest.raises(RateLimited):
        world.call()
    assert world.call(ip="2.2.2.2")
    assert world.call("only" * 9)


def test_switched_off_tokens_leave_limits_and_tenants(world):
    limits = AccessLimits(3, 1.0, 5, 1.0, open_to_all=True)
    assert (world.call(None, limits=limits).subject, world.call(None, limits=limits).tenant) == (
        "local",
        "default",
    )
    assert world.call(None, "team", limits=limits).tenant == "team"
    with pytest.raises(Unauthorized):
        world.call(None, "no/tenant", limits=limits)
    for _ in range(2):
        world.call(None, limits=limits)
    with pytest.raises(RateLimited):
        world.call(None, limits=limits)
