"""Runs of kind `command`: what is asked, what the process sees, how it ended (runs-api.md 2.3)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from rune_common.domain.errors import FieldProblem, InvalidRequest
from rune_common.domain.runs import Outcome, RunState

STEP_ID = "main"
MAX_RUN_CHARACTERS = 100_000
MAX_ARGUMENTS = 1_000
MAX_ENVIRONMENT = 50
MAX_GLOBS = 20
DEFAULT_SECONDS, MOST_SECONDS = 900, 14_400

TIMED_OUT = Outcome(RunState.FAILED, "COMMAND_TIMEOUT", "the command took too long")
NOT_REDACTED = Outcome(RunState.FAILED, "REDACTION_FAILED", "the output could not be redacted")

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)
_SECRET_NAME = re.compile(
    r"(?:password|passwd|secret|token|api_?key|access_?key|private_?key|credentials?|authorization)$", re.I
)


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """One shell command. `run` as it was asked for, "" if `argv` was; `cwd` is relative to the workspace."""

    argv: tuple[str, ...]
    run: str = ""
    cwd: str = "."
    env: Mapping[str, str] = field(default_factory=dict)
    timeout_seconds: int = DEFAULT_SECONDS
    artifacts: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The command on one line, for people."""
        return self.run or " ".join(self.argv)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values that the caller gave under the name of a secret."""
        return tuple(value for name, value in self.env.items() if _SECRET_NAME.search(name))

    def document(self) -> dict[str, Any]:
        asked: dict[str, Any] = {"run": self.run} if self.run else {"argv": list(self.argv)}
        return {
            **asked,
            "cwd": self.cwd,
            "env": dict(self.env),
            "timeout_seconds": self.timeout_seconds,
            "artifacts": list(self.artifacts),
        }


@dataclass(frozen=True, slots=True)
class CommandRequest:
    """A valid command, and how many seconds its run may take."""

    spec: CommandSpec
    timeout_seconds: int


@dataclass(frozen=True, slots=True)
class CommandStart:
    """A process to start: its whole environment, nothing is added, and the folder that it starts in."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    folder: Path


@dataclass(frozen=True, slots=True)
class Output:
    """A piece of `stdout` or `stderr`, as it came."""

    stream: str
    data: bytes


class RunningCommand(Protocol):
    """A process in a group of its own, which ends with this process."""

    def read(self, timeout: float) -> Output | None:
        """The next piece of output; None when none came in time, or none will."""
        ...

    @property
    def exit_code(self) -> int | None:
        """None until the process has ended, nothing of its group is left and its output was read."""
        ...

    def stop(self, grace_seconds: float) -> None:
        """SIGTERM to the group, and SIGKILL after the grace. Returns at once; repeating may shorten the grace."""
        ...


class CommandRunner(Protocol):
    def start(self, wanted: CommandStart) -> RunningCommand:
        """Raises OSError if there is no such program."""
        ...


def command_spec(given: Mapping[str, Any]) -> CommandSpec:
    """The command in a request, whose members have the right types. Raises InvalidRequest naming every problem."""
    problems = tuple(_problems(given))
    if problems:
        raise InvalidRequest(*problems)
    run = given.get("run") or ""
    argv = ("/bin/sh", "-c", run) if run else tuple(given["argv"])
    return CommandSpec(
        argv,
        run,
        str(PurePosixPath(given.get("cwd") or ".")),
        dict(given.get("env") or {}),
        given.get("timeout_seconds") or DEFAULT_SECONDS,
        tuple(given.get("artifacts") or ()),
    )


def environment(spec: CommandSpec, *, path: str, home: str, run_id: str) -> dict[str, str]:
    """The whole environment of a command."""
    given = {"PATH": path, "HOME": home, "LANG": "C.UTF-8", "TERM": "dumb", "CI": "1", **spec.env}
    return {**given, "RUNE_RUN_ID": run_id}


def command_outcome(exit_code: int) -> Outcome:
    """`exit_code` as a shell tells it: over 128 for a signal."""
    if exit_code == 0:
        return Outcome(RunState.SUCCEEDED)
    return Outcome(RunState.FAILED, "COMMAND_FAILED", f"the command ended with exit code {exit_code}")


def _problems(given: Mapping[str, Any]) -> Iterator[FieldProblem]:
    run, argv = given.get("run"), given.get("argv")
    if (run is None) == (argv is None):
        yield FieldProblem("command", "conflict", "needs either run or argv")
    if run is not None and (not run or len(run) > MAX_RUN_CHARACTERS or "\0" in run):
        yield FieldProblem("command.run", "invalid", f"must be 1 to {MAX_RUN_CHARACTERS} characters of text")
    if argv is not None:
        too_long = sum(map(len, argv)) > MAX_RUN_CHARACTERS or len(argv) > MAX_ARGUMENTS
        if not argv or not argv[0] or too_long or any("\0" in each for each in argv):
            yield FieldProblem("command.argv", "invalid", "must be a program and its arguments")
    if not _is_inside(given.get("cwd") or "."):
        yield FieldProblem("command.cwd", "invalid", "must be a relative path inside the workspace")
    env = given.get("env") or {}
    if len(env) > MAX_ENVIRONMENT:
        yield FieldProblem("command.env", "too_many", f"must have at most {MAX_ENVIRONMENT} names")
    if not all(_NAME.fullmatch(name) and "\0" not in value for name, value in env.items()):
        yield FieldProblem("command.env", "invalid", "has a name or value that no process can have")
    seconds = given.get("timeout_seconds")
    if seconds is not None and not 1 <= seconds <= MOST_SECONDS:
        yield FieldProblem("command.timeout_seconds", "out_of_range", f"must be 1 to {MOST_SECONDS}")
    globs = given.get("artifacts") or ()
    if len(globs) > MAX_GLOBS or not all(each and _is_inside(each) for each in globs):
        yield FieldProblem(
            "command.artifacts", "invalid", f"must be at most {MAX_GLOBS} patterns inside the workspace"
        )


def _is_inside(path: str) -> bool:
    pure = PurePosixPath(path)
    return len(path) <= 1_024 and "\0" not in path and not pure.is_absolute() and ".." not in pure.parts
