"""A rented instance is waited for and given its model (jobs-api.md 4.10 phases 3 and 4, 5.3, 6.4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from tests.unit.agent_runs import log
from tests.unit.rentals import Rented

from rune_common.domain.errors import RunCancelled, RunFailure, Unavailable
from rune_common.domain.model_pulls import PullProgress, PullRefused
from rune_common.domain.model_servers import ModelAbilities
from rune_common.domain.runs import RunKind, RunState
from rune_common.usecases.prepare_backend import PreparePorts, prepare_backend
from rune_common.usecases.pull_model import MAX_EVENTS, STEP_SECONDS


@dataclass
class Server:
    """An instance's own server. `pulls` is what each pull does: percents to show, or an error."""

    deaf: int = 0
    models: set[str] = field(default_factory=set)
    pulls: list[list[float] | Exception] = field(default_factory=list)
    context_length: int = 131_072
    between: Callable[[], object] = lambda: None
    pulled: int = 0

    def open(self, backend_type, backend_url):
        return self

    def ready(self):
        self.deaf -= 1
        return self.deaf < 0

    def installed(self, model):
        return model in self.models

    def abilities(self, model):
        return ModelAbilities(("completion", "tools"), self.context_length)

    def pull(self, model, *, progress, stop):
        self.pulled += 1
        shown = self.pulls.pop(0) if self.pulls else [100.0]
        if isinstance(shown, Exception):
            raise shown
        for percent in shown:
            if stop():
                return False
            progress(PullProgress(percent))
            self.between()
        self.models.add(model)
        return True

    def warm_up(self, model, *, context_window, timeout_seconds, stop):
        return True


class World:
    def __init__(self, server: Server, kind: RunKind = RunKind.BENCHMARK) -> None:
        self.rented, self.server = Rented(kind), server
        self.rented.acquire()

    def prepare(self) -> bool:
        ports = PreparePorts(
            self.rented.store,
            self.server,
            self.rented.time,
            self.rented.ports.redactor,
            self.rented.time.sleep,
            16_384,
        )
        return prepare_backend("t", "r", ports=ports)

    def until_ready(self) -> int:
        """How many steps it took, with the machine's pauses between them."""
        for steps in range(1, 200):
            if self.prepare():
                return steps
            self.rented.time.sleep(5)
        raise AssertionError("never ready")

    def refusal(self) -> tuple[str, str]:
        with pytest.raises(RunFailure) as caught:
            self.until_ready()
        return caught.value.run_code, caught.value.text

    def progress(self) -> list[float]:
        spans = (event["payload"].get("span") or {} for event in log(self.rented.store, "r"))
        return [each["labels"]["percent"] for each in spans if each.get("name", "").endswith("pull.progress")]


def test_a_missing_model_is_pulled_and_the_instance_waited_for_step_by_step():
    world = World(Server(deaf=3))
    assert world.until_ready() == 4
    assert world.server.models == {"llama3.1:8b"}
    assert [each.name for each in world.rented.run.phases] == ["acquire", "wait_ready", "pull", "warm_up"]
    assert world.rented.spans()[-3:] == [
        "vastai.model.pull.progress",
        "vastai.model.pull",
        "ollama.model.warmup",
    ]


def test_a_model_that_is_there_is_not_pulled():
    world = World(Server(models={"llama3.1:8b"}))
    world.until_ready()
    assert world.server.pulled == 0


def test_a_server_that_never_answers_is_given_up_after_its_time():
    world = World(Server(deaf=10**6))
    began = world.rented.time()
    assert world.refusal()[0] == "BACKEND_NOT_READY"
    assert world.rented.time() - began == 300_000


def test_progress_is_shown_and_logged_at_most_fifty_times():
    world = World(Server(pulls=[[n * 0.4 for n in range(1, 251)]]))
    messages = []
    world.server.between = lambda: (world.rented.time.sleep(2), messages.append(world.rented.run.message))
    world.until_ready()
    assert 0 < len(world.progress()) <= MAX_EVENTS
    assert "pulling model (42 %)" in messages
    assert world.progress() == sorted(world.progress())


def test_a_stalled_pull_is_repeated_three_times_and_goes_on():
    world = World(Server(pulls=[Unavailable(), Unavailable(), Unavailable(), [50.0, 100.0]]))
    assert world.until_ready() == 1
    assert world.server.pulled == 4
    world = World(Server(pulls=[Unavailable()] * 4))
    assert world.refusal() == ("MODEL_PULL_FAILED", "the model could not be pulled")


def test_a_pull_that_the_server_refuses_fails_at_once():
    world = World(Server(pulls=[PullRefused()]))
    assert world.refusal()[0] == "MODEL_PULL_FAILED"
    assert world.server.pulled == 1


def test_a_long_pull_is_followed_in_several_steps():
    world = World(Server(pulls=[[10.0, 20.0, 30.0], [40.0, 100.0]]))
    world.server.between = lambda: world.rented.time.sleep(STEP_SECONDS / 2)
    assert world.until_ready() == 2
    assert world.progress() == [10.0, 20.0, 40.0, 100.0]


def test_a_cancel_and_the_deadline_end_a_pull():
    world = World(Server(pulls=[[1.0, 2.0, 3.0]]))
    world.server.between = lambda: world.rented.change(state=RunState.CANCELLING)
    with pytest.raises(RunCancelled):
        world.prepare()
    world = World(Server(pulls=[[1.0, 2.0, 3.0]]))
    world.server.between = lambda: world.rented.time.sleep(4000)
    assert world.refusal() == ("RUN_TIMEOUT", "execution timeout exceeded")


def test_an_instance_that_nobody_asks_needs_neither_tools_nor_a_large_window():
    world = World(Server(context_length=4096), RunKind.LLM_INSTANCE)
    assert world.until_ready() == 1
    assert World(Server(context_length=4096)).refusal()[0] == "CONTEXT_WINDOW"


def test_a_model_that_loads_for_long_is_looked_at_step_by_step():
    world, asked = World(Server(models={"llama3.1:8b"})), []

    def warm_up(model, *, context_window, timeout_seconds, stop):
        asked.append(timeout_seconds)
        world.rented.time.sleep(timeout_seconds)
        return len(asked) == 3

    world.server.warm_up = warm_up
    world.rented.document["backend_warmup_timeout"] = 1500
    assert world.until_ready() == 3
    assert asked == [600, 600, 290]
