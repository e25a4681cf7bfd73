"""Pulling a model onto a server, followed line by line (jobs-api.md 5.3)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from rune.sandbox.ollama.server import OllamaSim
from rune_common.adapters.checked_http import CheckedHttp
from rune_common.adapters.model_servers import HttpModelServers
from rune_common.adapters.ollama_pull import pull
from rune_common.domain.addresses import AddressPolicy
from rune_common.domain.errors import Unavailable
from rune_common.domain.model_pulls import PullProgress, PullRefused

POLICY = AddressPolicy(("127.0.0.0/8",))
MODEL = "qwen2.5:14b"


@pytest.fixture
def ollama() -> Iterator[OllamaSim]:
    with OllamaSim(models=["llama3.1:8b"]) as simulator:
        yield simulator


def never() -> bool:
    return False


def test_a_model_that_is_pulled_is_there(ollama: OllamaSim) -> None:
    server = HttpModelServers(POLICY).open("ollama", ollama.url)
    seen: list[PullProgress] = []
    assert not server.installed(MODEL)
    assert server.pull(f"ollama_chat/{MODEL}", progress=seen.append, stop=never)
    assert server.installed(MODEL)
    percents = [each.percent for each in seen if each.percent is not None]
    assert percents[-1] == 100
    assert seen[-1].done
    (asked,) = [each.json() for each in ollama.requests if each.path == "/api/pull"]
    assert asked == {"model": MODEL, "name": MODEL, "stream": True}


def test_a_model_that_does_not_exist_is_refused(ollama: OllamaSim) -> None:
    server = HttpModelServers(POLICY).open("ollama", ollama.url)
    with pytest.raises((PullRefused, Unavailable)):
        server.pull("nobody/has-this:1b", progress=lambda _: None, stop=never)


@pytest.mark.parametrize("kind", ["truncate", "reset", "garbage"])
def test_a_pull_that_is_cut_is_no_success(ollama: OllamaSim, kind: str) -> None:
    ollama.fault(kind=kind, match={"path": "/api/pull"})
    server = HttpModelServers(POLICY).open("ollama", ollama.url)
    with pytest.raises(Unavailable):
        server.pull(MODEL, progress=lambda _: None, stop=never)


def test_a_stop_closes_the_call(ollama: OllamaSim) -> None:
    ollama.fault(kind="hang", match={"path": "/api/pull"})
    server = HttpModelServers(POLICY).open("ollama", ollama.url)
    looks = count()
    assert server.pull(MODEL, progress=lambda _: None, stop=lambda: next(looks) > 0) is False


def test_a_pull_that_brings_nothing_for_long_is_given_up(ollama: OllamaSim) -> None:
    ollama.fault(kind="hang", match={"path": "/api/pull"})
    exchange = CheckedHttp(POLICY.check_url(ollama.url), seconds=60, max_bytes=1024)
    moments = count(step=100)
    with pytest.raises(Unavailable):
        pull(exchange, MODEL, progress=lambda _: None, stop=never, monotonic=lambda: float(next(moments)))
