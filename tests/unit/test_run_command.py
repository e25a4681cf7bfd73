"""A command's attempt: gate, output, limits, stops, and how it is told (runs-api.md 2.3, 5.4, 6.2)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.agent_runs import REDACTOR, START, Answers, Time, changed, log, queued, stored

from rune_common.adapters.memory import MemoryRunStore
from rune_common.adapters.memory_blobs import MemoryBlobStore
from rune_common.adapters.workspace import TemporaryWorkspaces
from rune_common.domain.commands import CommandSpec, CommandStart, Output, command_spec, environment
from rune_common.domain.errors import AttemptSuperseded, InvalidRequest
from rune_common.domain.events import EventDraft
from rune_common.domain.executions import AgentTask
from rune_common.domain.ports import RunRequest
from rune_common.domain.redaction import Redactor
from rune_common.domain.runs import RunKind, RunState
from rune_common.usecases.change_run import Proposal, change_run
from rune_common.usecases.record_outcome import record_outcome
from rune_common.usecases.run_command import CommandPorts, run_command
from rune_common.usecases.start_attempt import start_attempt

TASK = AgentTask("t", "r", "a1", "token")
Act = Callable[[], None]


@dataclass
class Scripted:
    """A process that says what it was given, piece by piece; None is a pause, a call happens between."""

    script: list[Output | Act | None]
    code: int = 0
    seconds: list[float] = field(default_factory=lambda: [0.0])
    stops: list[float] = field(default_factory=list)
    wanted: CommandStart | None = None
    ends_when_stopped: bool = True

    def start(self, wanted: CommandStart) -> Scripted:
        self.wanted = wanted
        assert wanted.folder.is_dir()
        return self

    def read(self, timeout: float) -> Output | None:
        found = self.script.pop(0) if self.script else None
        if isinstance(found, Output):
            return found
        self.seconds[0] += timeout
        if found is not None:
            found()
        return None

    @property
    def exit_code(self) -> int | None:
        return None if self.script else self.code

    def stop(self, grace_seconds: float) -> None:
        self.stops.append(grace_seconds)
        if self.ends_when_stopped:
            self.script.clear()


@dataclass
class World:
    process: Scripted
    store: MemoryRunStore = field(default_factory=MemoryRunStore)
    blobs: MemoryBlobStore = field(default_factory=MemoryBlobStore)
    answers: Answers = field(default_factory=Answers)
    time: Time = field(default_factory=Time)
    redactor_for: Callable[[Iterable[str]], Redactor] = Redactor

    def begin(
        self, command: Mapping[str, Any], *, document: Mapping[str, Any] | None = None, **fields: Any
    ) -> None:
        """A run of this command whose attempt was started."""
        spec = command_spec(command)
        policy = {"approval": {"mode": "policy"}, "mode": "audit_readonly", **(document or {})}
        request = RunRequest({"command": {}, **policy}, {"command": json.dumps(spec.document())})
        drawn = MemoryRunStore()
        found = queued(drawn, "r")
        self.store.create(replace(found, kind=RunKind.COMMAND), request, drawn.events("t", "r").events)
        changed(self.store, "r", state=RunState.RUNNING, started_at=START, **fields)
        self.start()

    def start(self, task: AgentTask = TASK) -> None:
        start_attempt(
            task, runs=self.store, agents=_Nobody(), clock=self.time, redactor=REDACTOR, driver_timeout=900
        )

    def work(self, folder: Path, task: AgentTask = TASK) -> None:
        ports = CommandPorts(
            runs=self.store,
            blobs=self.blobs,
            runner=self.process,
            callbacks=self.answers,
            workspaces=TemporaryWorkspaces(str(folder)),
            clock=self.time,
            seconds=lambda: self.process.seconds[0],
            redactor_for=self.redactor_for,
            path="/bin",
            poll_seconds=60,
        )
        run_command(task, ports=ports)

    def types(self) -> list[str]:
        return [event["type"] for event in log(self.store, "r")]

    def completed(self) -> dict[str, Any]:
        (event,) = [event for event in log(self.store, "r") if event["type"] == "step_completed"]
        payload: dict[str, Any] = event["payload"]
        return payload


class _Nobody:
    def start(self, task: AgentTask, *, timeout_seconds: int) -> None:
        """The test starts the attempt itself."""


def out(text: str) -> Output:
    return Output("stdout", text.encode())


def test_a_command_is_told_from_its_start_to_its_end(tmp_path: Path) -> None:
    world = World(Scripted([out("one\n"), None, None, out("two\n")]))
    world.begin({"run": "echo"})
    world.work(tmp_path)
    assert world.types() == [
        *("run_queued", "step_started", "terminal_output", "terminal_output"),
        *("artifact_added", "artifact_added", "step_completed"),
    ]
    assert world.completed()["stdout_bytes"] == 8
    run = stored(world.store, "r")
    assert run.outcome is not None
    assert run.outcome.status is RunState.SUCCEEDED
    assert (run.reported.terminal_seq, run.reported.steps) == (2, ())
    assert world.answers.given == [("token", {"outcome": "completed", "attempt_id": "a1"})]
    assert not list(tmp_path.iterdir())


def test_a_second_worker_with_the_same_attempt_starts_nothing(tmp_path: Path) -> None:
    world = World(Scripted([]))
    world.begin({"run": "echo"})
    world.work(tmp_path)
    before = world.types()
    world.work(tmp_path)
    assert world.types() == before
    with pytest.raises(AttemptSuperseded):
        world.start(replace(TASK, attempt_id="a2"))


def test_a_command_that_takes_too_long_is_stopped_with_grace(tmp_path: Path) -> None:
    world = World(Scripted([None] * 100, code=143))
    world.begin({"run": "sleep", "timeout_seconds": 2})
    world.work(tmp_path)
    assert world.process.stops[0] == 5.0
    run = stored(world.store, "r")
    assert run.outcome is not None
    assert run.outcome.error_code == "COMMAND_TIMEOUT"
    assert world.answers.given == [("token", {"error": "Rune.Permanent"})]


def test_the_runs_own_deadline_is_another_end(tmp_path: Path) -> None:
    world = World(Scripted([]))
    world.process.script = [lambda: world.time.sleep(20), *[None] * 5]
    world.begin({"run": "sleep"}, timeout_seconds=10)
    world.work(tmp_path)
    run = stored(world.store, "r")
    assert run.outcome is not None
    assert run.outcome.error_code == "RUN_TIMEOUT"


@pytest.mark.parametrize(
    ("asked", "grace"), [({"mode": "graceful", "grace_seconds": 7}, 7), ({"mode": "force"}, 0), ({}, 30)]
)
def test_a_cancel_gives_the_grace_that_it_says(tmp_path: Path, asked: dict[str, Any], grace: float) -> None:
    world = World(Scripted([]))

    def cancel() -> None:
        draft = EventDraft("cancel_requested", {"summary": "cancel", **asked})
        change_run(
            *("t", "r"),
            lambda run: Proposal(replace(run, state=RunState.CANCELLING), [draft]),
            runs=world.store,
            clock=world.time,
            redactor=REDACTOR,
        )

    world.process.script = [out("a\n"), None, None, cancel, out("b\n"), *[None] * 50]
    world.begin({"run": "sleep"})
    world.work(tmp_path)
    assert world.process.stops[0] == grace
    assert world.completed()["state"] == "cancelled"
    assert world.answers.given == [("token", {"error": "Rune.Cancelled"})]
    assert stored(world.store, "r").outcome is None


def test_output_that_cannot_be_redacted_is_not_stored(tmp_path: Path) -> None:
    class Broken(Redactor):
        def scanners(self) -> Any:
            class Scanner:
                count, held, rule = 0, 0, "x"

                def feed(self, data: bytes) -> bytes:
                    raise RuntimeError("cannot")

                def close(self) -> bytes:
                    return b""

            return [Scanner()]

    world = World(Scripted([out("secret\n"), *[None] * 9]), redactor_for=lambda values: Broken(values))
    world.begin({"run": "cat"})
    world.work(tmp_path)
    run = stored(world.store, "r")
    assert run.outcome is not None
    assert run.outcome.error_code == "REDACTION_FAILED"
    assert "terminal_output" not in world.types()
    assert "artifact_added" not in world.types()
    assert world.process.stops


def test_a_lost_worker_leaves_no_step_open(tmp_path: Path) -> None:
    world = World(Scripted([]))

    def die() -> None:
        raise KeyboardInterrupt

    world.process.script = [die]
    world.begin({"run": "sleep"})
    with pytest.raises(KeyboardInterrupt):
        world.work(tmp_path)
    ports: dict[str, Any] = {"runs": world.store, "clock": world.time, "redactor": REDACTOR}
    assert not record_outcome("t", "r", error="States.HeartbeatTimeout", **ports)
    assert world.completed()["state"] == "cancelled"
    assert stored(world.store, "r").error_code == "WORKER_LOST"
    assert world.types()[-1] == "run_failed"


def test_a_gated_command_waits_and_starts_once_it_is_approved(tmp_path: Path) -> None:
    world = World(Scripted([]))
    world.begin({"run": "rm -r x"}, document={"mode": "edit_gated"})
    world.work(tmp_path)
    run = stored(world.store, "r")
    assert run.state is RunState.AWAITING_APPROVAL
    assert "step_started" not in world.types()
    assert world.answers.given == [("token", {"outcome": "approval_required", "attempt_id": "a1"})]
    (approval,) = world.store.approvals("t", "r")
    assert approval.gate == "command"


def test_a_policy_that_may_not_ask_refuses(tmp_path: Path) -> None:
    world = World(Scripted([]))
    world.begin({"run": "true"}, document={"mode": "edit_gated", "approval": {"mode": "none"}})
    world.work(tmp_path)
    assert world.types()[-1] == "policy_denied"
    assert world.process.wanted is None
    run = stored(world.store, "r")
    assert run.outcome is not None
    assert run.outcome.error_code == "POLICY_DENIED"


def test_a_command_gets_its_own_environment_and_nothing_else() -> None:
    spec = CommandSpec(("true",), env={"A": "1", "RUNE_RUN_ID": "mine", "PATH": "/opt"})
    assert environment(spec, path="/bin", home="/h", run_id="r") == {
        "PATH": "/opt",
        "HOME": "/h",
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "CI": "1",
        "A": "1",
        "RUNE_RUN_ID": "r",
    }


@pytest.mark.parametrize("cwd", ["..", "a/../b", "/", "/tmp", "a\0b", "x" * 2_000])
def test_a_command_starts_inside_its_workspace(cwd: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        command_spec({"run": "true", "cwd": cwd})
    assert [each.field for each in refused.value.problems] == ["command.cwd"]


def test_a_commands_document_reads_back_as_itself() -> None:
    for given in (
        {"run": "echo"},
        {"argv": ["a", "b c"], "cwd": "x/y", "env": {"A": "b"}, "artifacts": ["*.txt"]},
    ):
        spec = command_spec(given)
        assert command_spec(spec.document()) == spec
