"""What the memory adapters do beyond their ports: notices of change, the rate limit, blobs and the sealer."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rune_common.adapters.memory import MemoryBlobStore, MemoryRateLimiter, MemoryRunStore, MemorySealer
from rune_common.adapters.memory_access import MAX_BUCKETS
from rune_common.domain.errors import BlobNotFound, RunChanged
from rune_common.domain.ports import RunChange, RunRequest
from rune_common.domain.runs import LogHead, Run, RunKind, RunState

NOON = 1_790_000_000_000


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time():
    return Time()


def queued() -> Run:
    log = LogHead("default", "run-1", 0, "0" * 64)
    return Run("default", "run-1", RunKind.AGENT, RunState.QUEUED, NOON, NOON, "tester", log)


def test_every_write_is_told_with_the_record_before_and_after_it():
    told = []
    store = MemoryRunStore(on_change=lambda before, after: told.append((before, after)))
    run = queued()
    store.create(run, RunRequest({}), ())
    claimed = store.claim_slot(run, owner="engine", max_running=1, now_ms=NOON)
    running = replace(claimed, state=RunState.RUNNING, attempt_id="a-1", revision=claimed.revision + 1)
    store.commit(RunChange(claimed, running))
    beaten = store.beat("default", "run-1", "a-1", now_ms=NOON)
    assert told == [(None, run), (run, claimed), (claimed, running), (running, beaten)]


def test_a_refused_write_is_not_told():
    told = []
    store = MemoryRunStore()
    run = queued()
    store.create(run, RunRequest({}), ())
    store.on_change = lambda before, after: told.append(after)
    with pytest.raises(RunChanged):
        store.commit(RunChange(replace(run, revision=9), replace(run, revision=10)))
    assert told == []


def test_a_listener_may_write_to_the_store():
    store = MemoryRunStore()

    def start(before, after):
        if before is None:
            store.claim_slot(after, owner="engine", max_running=1, now_ms=NOON)

    store.on_change = start
    store.create(queued(), RunRequest({}), ())
    assert store.get("default", "run-1").holds_slot


def test_a_burst_is_admitted_and_then_the_rate(time):
    limiter = MemoryRateLimiter(time)

    def take():
        return limiter.take("ip", burst=3, per_second=2.0)

    assert [take() for _ in range(4)] == [0, 0, 0, 0.5]
    time.now += 0.25
    assert take() == pytest.approx(0.25)
    time.now += 0.25
    assert take() == 0
    assert take() == pytest.approx(0.5)


def test_keys_do_not_share_a_bucket_and_a_long_rest_fills_one_only_to_its_size(time):
    limiter = MemoryRateLimiter(time)
    assert limiter.take("a", burst=1, per_second=1.0) == 0
    assert limiter.take("b", burst=1, per_second=1.0) == 0
    time.now += 1000
    assert limiter.take("a", burst=1, per_second=1.0) == 0
    assert limiter.take("a", burst=1, per_second=1.0) == 1.0


@given(st.lists(st.floats(0, 5), max_size=60), st.integers(1, 5), st.floats(0.1, 5))
def test_never_more_than_burst_and_rate_together(pauses, burst, per_second):
    time = Time()
    limiter, started, admitted = MemoryRateLimiter(time), time.now, 0
    for pause in pauses:
        time.now += pause
        admitted += limiter.take("ip", burst=burst, per_second=per_second) == 0
    assert admitted <= burst + (time.now - started) * per_second + 1e-6


def test_a_flood_of_keys_forgets_the_oldest_and_keeps_the_one_in_use(time):
    limiter = MemoryRateLimiter(time)
    limiter.take("old", burst=1, per_second=0.001)
    for number in range(MAX_BUCKETS - 1):
        limiter.take("used", burst=1, per_second=0.001)
        limiter.take(f"flood-{number}", burst=1, per_second=0.001)
    assert limiter.take("used", burst=1, per_second=0.001) > 0
    assert limiter.take("old", burst=1, per_second=0.001) == 0


def test_a_blob_is_there_until_it_is_deleted():
    blobs = MemoryBlobStore()
    blobs.put("a/b", b"\x00")
    assert (blobs.get("a/b"), blobs.keys) == (b"\x00", ("a/b",))
    blobs.delete("a/b")
    blobs.delete("a/b")
    with pytest.raises(BlobNotFound):
        blobs.get("a/b")


def test_only_the_same_sealer_in_the_same_context_opens_what_is_unchanged():
    sealer = MemorySealer()
    sealed = sealer.seal(b"secret", "default/run-1")
    assert sealer.open(sealed, "default/run-1") == b"secret"
    assert b"secret" not in sealed
    assert sealer.seal(b"secret", "default/run-1") != sealed
    for opener, content, context in (
        (sealer, sealed, "default/run-2"),
        (sealer, sealed[:-1] + bytes([sealed[-1] ^ 1]), "default/run-1"),
        (sealer, b"", "default/run-1"),
        (MemorySealer(), sealed, "default/run-1"),
    ):
        with pytest.raises(ValueError, match="context"):
            opener.open(content, context)
