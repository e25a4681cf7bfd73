"""One call of the command line: its surroundings, its global options and where its output goes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import typer

from rune.cli.config_file import read_files
from rune.cli.config_keys import Scalar
from rune.cli.configuration import Configuration
from rune.cli.failures import CliFailure
from rune.cli.printing import plain
from rune.cli.surroundings import Surroundings

if TYPE_CHECKING:
    from rich.console import Console


@dataclass
class Invocation:
    """Global options are added by the root command, `--json` and `--debug` also by the command itself.

    `json` starts as a guess from the arguments, so that a usage error is an object too.
    """

    surroundings: Surroundings
    command: str = ""
    json: bool = False
    json_for_all: bool = False
    debug_option: bool | None = None
    profile: str = ""
    api_token: str = field(default="", repr=False)
    options: dict[str, Scalar | None] = field(default_factory=dict)
    reported: bool = False

    @cached_property
    def configuration(self) -> Configuration:
        """Read at first use, so that `init` works with a broken file. Warnings go to stderr."""
        around = self.surroundings
        files = read_files(around.working_directory, around.home, self.profile)
        for warning in files.warnings:
            self.note(f"warning: {warning}")
        return Configuration({**self.options, "debug": self.debug_option}, around.environ, files)

    @cached_property
    def out(self) -> Console:
        return self._console(stderr=False)

    @cached_property
    def err(self) -> Console:
        return self._console(stderr=True)

    def begin(self, command: str, json_output: bool | None, debug: bool | None) -> None:
        """Called first by every command with its name and its own flags."""
        self.command = command
        self.json = self.json_for_all or bool(json_output)
        self.debug_option = True if debug else self.debug_option

    def note(self, text: str) -> None:
        """A line for people, on stderr."""
        self.err.print(plain(text), markup=False, highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """A line of output, on stdout."""
        self.out.print(plain(text), markup=False, highlight=False, soft_wrap=True)

    def succeed(self, *, job_id: str = "", status: str = "", result: Mapping[str, Any] | None = None) -> None:
        """With `--json`: the one object on stdout. Without: nothing, the command printed already."""
        if self.json:
            self._report({"ok": True, "command": self.command}, job_id, status, result)

    def fail(self, failure: CliFailure) -> None:
        """The failure on stderr and, with `--json`, as the one object on stdout."""
        self.note(f"Error: {failure.message}")
        if failure.hint:
            self.note(f"Hint: {failure.hint}")
        if self.json and not self.reported:
            head = {"ok": False, "command": self.command}
            tail = {"error": failure.message, "code": failure.code}
            self._report(head, failure.job_id, failure.status, failure.result, tail)

    def _report(
        self,
        head: dict[str, Any],
        job_id: str,
        status: str,
        result: Mapping[str, Any] | None,
        tail: Mapping[str, Any] | None = None,
    ) -> None:
        known = {"job_id": job_id or None, "status": status or None, "result": result}
        document = (
            head | {name: value for name, value in known.items() if value is not None} | dict(tail or {})
        )
        self.reported = True
        self.surroundings.stdout.write(json.dumps(document) + "\n")
        self.surroundings.stdout.flush()

    def _console(self, *, stderr: bool) -> Console:
        from rich.console import Console

        stream = self.surroundings.stderr if stderr else self.surroundings.stdout
        terminal = stream.isatty()
        wide = None if terminal or self.surroundings.environ.get("COLUMNS") else 120
        return Console(file=stream, no_color=bool(self.surroundings.environ.get("NO_COLOR")), width=wide)


def current(context: typer.Context) -> Invocation:
    found = context.find_object(Invocation)
    assert found is not None, "the root command sets it"
    return found
