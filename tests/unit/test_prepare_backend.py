"""Before the agent is asked: the model server answers, has the model and has loaded it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.unit.agent_runs import REDACTOR, Time, changed, log, queued, stored

from rune_common.adapters.memory import MemoryRunStore
from rune_common.domain.errors import RunCancelled, RunFailure, Unavailable
from rune_common.domain.model_pulls import PullProgress
from rune_common.domain.model_servers import ListedModels, ModelAbilities, ModelServer
from rune_common.domain.runs import RunState
from rune_common.usecases.prepare_backend import PreparePorts, prepare_backend
from rune_common.usecases.wait_ready import READY_SECONDS

URL = "http://127.0.0.1:11434"


@dataclass
class Server:
    """A model server that is as the test says; `ready_after` is how often it is asked in vain."""

    ready_after: int = 0
    models: tuple[str, ...] = ("llama3.1:8b",)
    abilities_: ModelAbilities = ModelAbilities(("completion", "tools"), 131_072)
    loads: bool = True
    answers: bool = True
    on_ask: Callable[[], object] = lambda: None
    opened: list[tuple[str, str]] = field(default_factory=list)
    loaded: list[tuple[str, int, int]] = field(default_factory=list)

    def open(self, backend_type: str, backend_url: str) -> ModelServer:
        self.opened.append((backend_type, backend_url))
        return self

    def ready(self) -> bool:
        self.on_ask()
        self.ready_after -= 1
        return self.ready_after < 0

    def installed(self, model: str) -> bool:
        if not self.answers:
            raise Unavailable("no answer")
        return model in self.models

    def list_models(self) -> ListedModels:
        raise AssertionError("nobody asked for a list")

    def pull(self, model: str, *, progress: Callable[[PullProgress], None], stop: Callable[[], bool]) -> bool:
        raise AssertionError("a supplied server's models are its owner's")

    def abilities(self, model: str) -> ModelAbilities:
        return self.abilities_

    def warm_up(
        self, model: str, *, context_window: int, timeout_seconds: int, stop: Callable[[], bool]
    ) -> bool:
        self.loaded.append((model, context_window, timeout_seconds))
        return self.loads and not stop()


class World:
    def __init__(self, server: Server, **document: Any) -> None:
        self.store, self.server, self.time = MemoryRunStore(), server, Time()
        backend_type = document.pop("backend_type", "ollama")
        queued(
            self.store,
            "r",
            document={"backend_url": URL, **document},
            model="llama3.1:8b",
            backend_type=backend_type,
        )
        changed(self.store, "r", state=RunState.RUNNING, started_at=self.time())

    def prepare(self) -> bool:
        ports = PreparePorts(self.store, self.server, self.time, REDACTOR, self.time.sleep, 16_384)
        return prepare_backend("t", "r", ports=ports)

    def refusal(self) -> tuple[str, str]:
        with pytest.raises(RunFailure) as caught:
            self.prepare()
        return caught.value.run_code, caught.value.text

    def spans(self) -> list[tuple[str, str]]:
        found = (event["payload"].get("span") for event in log(self.store, "r"))
        return [(span["name"], span["status"]) for span in found if span]


def test_a_server_with_the_model_is_waited_for_and_warmed_up() -> None:
    world = World(Server(ready_after=3))
    assert world.prepare()
    assert world.server.opened == [("ollama", URL)]
    assert world.server.loaded == [("llama3.1:8b", 16_384, 90)]
    assert world.spans() == [("backend.wait_ready", "ok"), ("ollama.model.warmup", "ok")]
    assert stored(world.store, "r").message == "warming up model"
    waited = next(event for event in log(world.store, "r") if event["payload"].get("span"))
    assert waited["duration_ms"] == 6000


def test_a_server_that_never_answers_is_given_up() -> None:
    world = World(Server(ready_after=1000))
    assert world.refusal() == ("BACKEND_NOT_READY", "Agent error: the model server does not answer")
    assert world.time.now - 1_000_000 == READY_SECONDS * 1000
    assert world.spans() == [("backend.wait_ready", "error")]


def test_the_runs_own_deadline_ends_the_wait() -> None:
    world = World(Server(ready_after=1000))
    changed(world.store, "r", timeout_seconds=10)
    assert world.refusal() == ("RUN_TIMEOUT", "execution timeout exceeded")
    assert world.time.now - 1_000_000 == 10_000


def test_a_cancel_ends_the_wait_at_once() -> None:
    server = Server(ready_after=1000)
    world = World(server)
    server.on_ask = lambda: changed(world.store, "r", state=RunState.CANCELLING)
    with pytest.raises(RunCancelled):
        world.prepare()
    assert world.time.now == 1_000_000


@pytest.mark.parametrize(
    ("server", "code", "text"),
    [
        (Server(models=()), "MODEL_NOT_AVAILABLE", "Agent error: the model server does not have the model"),
        (
            Server(abilities_=ModelAbilities(("completion",), None)),
            "MODEL_LACKS_TOOLS",
            "Agent error: the model does not support tools",
        ),
        (
            Server(abilities_=ModelAbilities(("tools",), 8192)),
            "CONTEXT_WINDOW",
            "Agent error: the model's context window is too small for the agent",
        ),
        (Server(answers=False), "BACKEND_NOT_READY", "Agent error: the model server does not answer"),
        (Server(loads=False), "BACKEND_WARMUP_FAILED", "Agent error: the model could not be loaded"),
    ],
    ids=["missing", "no tools", "small", "gone", "not loaded"],
)
def test_what_is_wrong_is_said_by_code_and_text_and_logged(server: Server, code: str, text: str) -> None:
    world = World(server)
    assert world.refusal() == (code, text)
    assert world.spans()[-1][1] == "error"
    assert text.endswith(log(world.store, "r")[-1]["payload"]["summary"])


def test_the_window_is_the_models_when_that_is_smaller() -> None:
    world = World(Server(abilities_=ModelAbilities(("tools",), 12_288)))
    world.prepare()
    assert world.server.loaded == [("llama3.1:8b", 12_288, 90)]


def test_a_model_that_reports_no_abilities_gives_one_warning() -> None:
    world = World(Server(abilities_=ModelAbilities(None, None)))
    world.prepare()
    world.prepare()
    assert stored(world.store, "r").warnings == ("model_without_tools",)
    assert world.spans().count(("job.warning", "ok")) == 1


def test_warm_up_takes_the_requests_time_and_can_be_left_out() -> None:
    world = World(Server(), backend_warmup_timeout=7)
    world.prepare()
    assert world.server.loaded[0][2] == 7
    cold = World(Server(), backend_warmup=False)
    cold.prepare()
    assert cold.server.loaded == []


def test_only_ollama_is_asked_for_its_models() -> None:
    world = World(Server(models=()), backend_type="openai")
    assert world.prepare()
    assert world.spans() == [("backend.wait_ready", "ok")]


def test_without_an_address_or_after_the_end_there_is_nothing_to_prepare() -> None:
    world = World(Server(), backend_url="")
    assert world.prepare()
    ended = World(Server())
    changed(ended.store, "r", state=RunState.CANCELLED)
    assert ended.prepare()
    assert world.server.opened == ended.server.opened == []
