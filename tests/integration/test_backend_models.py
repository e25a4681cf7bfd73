"""What model servers have: looked at, kept for a minute, or as a snapshot in the table (runs-api.md 10)."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from rune.sandbox.ollama import OllamaSim
from rune_common.adapters.dynamodb_backend_models import DynamoBackendModels
from rune_common.adapters.fresh_backend_models import FreshBackendModels
from rune_common.adapters.model_servers import HttpModelServers
from rune_common.adapters.no_backend_models import NoBackendModels
from rune_common.domain.addresses import AddressPolicy
from rune_common.domain.errors import BackendNotAllowed, Unavailable
from rune_common.domain.model_servers import ListedModels, ModelAbilities
from rune_common.domain.models_offered import BackendModels, ServedModel
from rune_common.usecases.look_at_backend import MOST_DETAILS, look_at_backend
from rune_common.usecases.refresh_catalog import refresh_catalog

URL = "http://127.0.0.1:11434"
LOOPBACK = AddressPolicy(("127.0.0.0/8",))


@dataclass
class FakeServers:
    """Model servers that count how often they are asked."""

    names: tuple[str, ...] = ("a:1b",)
    broken: Exception | None = None
    mute: bool = False
    opened: list[str] = field(default_factory=list)
    described: list[str] = field(default_factory=list)

    def open(self, backend_type, backend_url):
        self.opened.append(backend_url)
        if self.broken:
            raise self.broken
        return self

    def list_models(self):
        return ListedModels(self.names, ())

    def abilities(self, model):
        self.described.append(model)
        if self.mute:
            raise Unavailable("no answer")
        return ModelAbilities(("tools",), 4096)


class ManualClock:
    def __init__(self) -> None:
        self.now = 1_790_000_000_000

    def __call__(self) -> int:
        return self.now


SEEN = BackendModels(True, (ServedModel("a:1b", ("tools",), 4096),))


def test_a_real_server_tells_what_it_has_and_what_that_can_do():
    with OllamaSim(models=["llama3.1:8b"]) as sim:
        found = look_at_backend(sim.url, servers=HttpModelServers(LOOPBACK))
    assert found.answered
    assert [each.name for each in found.models] == ["llama3.1:8b"]
    assert "tools" in (found.models[0].capabilities or ())


@pytest.mark.parametrize("trouble", [Unavailable("down"), BackendNotAllowed()])
def test_a_server_in_trouble_has_not_answered(trouble):
    assert look_at_backend(URL, servers=FakeServers(broken=trouble)) == BackendModels(answered=False)


def test_a_server_that_describes_nothing_is_asked_once_and_still_lists_its_models():
    servers = FakeServers(("a:1b", "b:1b"), mute=True)
    found = look_at_backend(URL, servers=servers)
    assert found == BackendModels(True, (ServedModel("a:1b"), ServedModel("b:1b")))
    assert servers.described == ["a:1b"]


def test_only_so_many_models_are_described():
    names = tuple(f"m{number:03d}" for number in range(MOST_DETAILS + 5))
    found = look_at_backend(URL, servers=FakeServers(names))
    assert [each.name for each in found.models] == list(names)
    assert sum(each.capabilities is not None for each in found.models) == MOST_DETAILS


def test_a_server_is_looked_at_once_a_minute():
    servers, clock = FakeServers(), ManualClock()
    source = FreshBackendModels(servers, clock)
    assert [source.of(URL), source.of(URL)] == [SEEN, SEEN]
    clock.now += 59_999
    source.of(URL)
    source.of("http://127.0.0.1:2")
    assert servers.opened == [URL, "http://127.0.0.1:2"]
    clock.now += 1
    servers.broken = Unavailable("down")
    assert source.of(URL) == BackendModels(answered=False)


@pytest.fixture(params=["pydynox", "boto3"])
def client(request):
    return request.getfixturevalue("table_clients")[request.param]


def test_the_first_look_is_kept_and_only_the_schedule_looks_again(tables, client):
    servers, clock = FakeServers(), ManualClock()
    source = DynamoBackendModels(tables.runs, client, servers, clock)
    assert list(source.watched()) == []
    assert [source.of(URL), source.of(URL)] == [SEEN, SEEN]
    clock.now += 3_600_000
    servers.names = ("a:1b", "b:1b")
    assert source.of(URL) == SEEN
    assert len(servers.opened) == 1
    assert list(source.watched()) == [URL]
    assert refresh_catalog(backends=source) == 1
    assert [each.name for each in source.of(URL).models] == ["a:1b", "b:1b"]
    assert len(servers.opened) == 2


def test_a_snapshot_that_expired_is_made_anew_by_who_asks(tables, client):
    servers, clock = FakeServers(), ManualClock()
    source = DynamoBackendModels(tables.runs, client, servers, clock)
    source.of(URL)
    clock.now += 8 * 86_400_000
    servers.broken = Unavailable("down")
    assert source.of(URL) == BackendModels(answered=False)


def test_a_snapshot_that_is_gone_is_not_made_by_the_schedule(tables, client):
    source = DynamoBackendModels(tables.runs, client, FakeServers(), ManualClock())
    source.renew(URL)
    assert list(source.watched()) == []


def test_one_snapshot_that_cannot_be_stored_keeps_none_of_the_others_from_it(caplog):
    class Half:
        renewed: list[str] = []

        def watched(self):
            return ("one", "two", "three")

        def renew(self, backend_url):
            if backend_url == "two":
                raise Unavailable("no")
            self.renewed.append(backend_url)

    backends = Half()
    assert refresh_catalog(backends=backends) == 2
    assert backends.renewed == ["one", "three"]
    assert "could not be renewed" in caplog.text


def test_where_nobody_looks_nothing_is_known():
    source = NoBackendModels()
    assert (source.of(URL), source.watched(), source.renew(URL)) == (BackendModels(False), (), None)
