"""A read of the failure window spared per request, without a lockout missed for more than a second."""

from __future__ import annotations

from rune_common.adapters.cached_failure_window import CachedFailureWindow
from rune_common.adapters.memory import MemoryFailureWindow


class Counting(MemoryFailureWindow):
    reads = 0

    def recent(self, ip, *, since_ms):
        self.reads += 1
        return super().recent(ip, since_ms=since_ms)


class World:
    def __init__(self) -> None:
        self.now = 0.0
        self.inner = Counting()
        self.cached = CachedFailureWindow(self.inner, lambda: self.now)

    def recent(self, ip="a"):
        return self.cached.recent(ip, since_ms=0)


def test_an_address_is_asked_about_once_a_second():
    world = World()
    assert [world.recent() for _ in range(5)] == [0] * 5
    assert world.inner.reads == 1
    world.now = 1.0
    assert world.recent() == 0
    assert world.inner.reads == 2
    world.recent("b")
    assert world.inner.reads == 3


def test_own_failures_show_at_once():
    world = World()
    for expected in range(12):
        assert world.recent() == min(expected, 10)
        world.cached.record("a", now_ms=5)


def test_failures_of_other_processes_show_after_a_second():
    world = World()
    world.recent()
    for _ in range(10):
        world.inner.record("a", now_ms=5)
    assert world.recent() == 0
    world.now = 1.0
    assert world.recent() == 10


def test_a_lockout_is_never_remembered_so_that_it_ends_in_time():
    world = World()
    for _ in range(10):
        world.inner.record("a", now_ms=5)
    assert world.recent() == 10
    assert world.cached.recent("a", since_ms=5) == 0
