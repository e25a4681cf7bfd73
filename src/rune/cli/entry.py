"""Runs one command line and turns whatever happens into an exit code (jobs-api.md 15)."""

from __future__ import annotations

from collections.abc import Sequence

import typer
from typer.main import get_command

from rune.cli.app import app
from rune.cli.failures import SIGINT_EXIT, SIGTERM_EXIT, CliFailure, Interrupted, Terminated, UsageProblem
from rune.cli.invocation import Invocation
from rune.cli.surroundings import Surroundings

DEBUG_WORDS = frozenset({"1", "true", "yes", "on"})


def run(arguments: Sequence[str], surroundings: Surroundings) -> int:
    """The exit code. Never a traceback without `--debug`; with `--json` always one object on stdout."""
    invocation = Invocation(surroundings, json="--json" in arguments)
    try:
        code = get_command(app).main(
            args=list(arguments), prog_name="rune", standalone_mode=False, obj=invocation
        )
    except CliFailure as failure:
        return _failed(invocation, failure)
    except Terminated:
        return _failed(invocation, Interrupted(SIGTERM_EXIT))
    except typer.Abort:
        return _failed(invocation, CliFailure("aborted", code="aborted"))
    except typer.TyperException as exc:
        return _refused(invocation, exc)
    except Exception as exc:
        return _bug(invocation, arguments, exc)
    if code == SIGINT_EXIT and not invocation.reported:
        return _failed(invocation, Interrupted(SIGINT_EXIT))
    return code if isinstance(code, int) else 0


def _failed(invocation: Invocation, failure: CliFailure) -> int:
    invocation.fail(failure)
    return failure.exit_code


def _refused(invocation: Invocation, exc: typer.TyperException) -> int:
    """A command line that does not fit, with the usage of the command that refused it."""
    context = getattr(exc, "ctx", None)
    text = exc.format_message()
    if context is not None:
        path = context.command_path
        unasked = text == context.get_help()
        invocation.note(text if unasked else context.get_usage())
        text = "a command is needed" if unasked else text
        return _failed(invocation, UsageProblem(text, hint=f"`{path} --help` tells more"))
    return _failed(invocation, UsageProblem(text) if exc.exit_code == 2 else CliFailure(text))


def _bug(invocation: Invocation, arguments: Sequence[str], exc: Exception) -> int:
    environ = invocation.surroundings.environ
    if "--debug" in arguments or environ.get("RUNE_DEBUG", "").lower() in DEBUG_WORDS:
        import traceback

        invocation.note("".join(traceback.format_exception(exc)))
    hint = "run the command again with --debug for details"
    return _failed(
        invocation, CliFailure(f"internal error ({type(exc).__name__})", code="internal", hint=hint)
    )
