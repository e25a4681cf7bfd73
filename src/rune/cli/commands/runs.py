"""`runs create|list|status|watch|terminal|cancel|events`: runs on a server (runs-api.md 2, 4)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rune.cli import options
from rune.cli.failures import JobFailed, UsageProblem
from rune.cli.invocation import Invocation, current
from rune.cli.printing import one_line, write_bytes

if TYPE_CHECKING:
    from rune.cli.runs_client import RunsClient

PAUSE_SECONDS = 0.2

app = typer.Typer(no_args_is_help=True, help="Runs on a server (http mode only).", rich_markup_mode=None)

RunId = Annotated[str, typer.Argument(help="The run's id.", show_default=False)]


@contextmanager
def _runs(invocation: Invocation) -> Iterator[RunsClient]:
    from rune.cli.backends import open_server
    from rune.cli.runs_client import RunsClient

    with open_server(invocation) as client:
        yield RunsClient(client)


@app.command("create")
def create_run(
    context: typer.Context,
    question: Annotated[
        str | None, typer.Option("--question", "-q", help="What the agent is asked.", show_default=False)
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option("--kind", help="agent, benchmark, command, chain or external.", show_default=False),
    ] = None,
    mode: Annotated[
        str | None, typer.Option("--mode", help="advice, audit_readonly, edit_gated, …", show_default=False)
    ] = None,
    repo: Annotated[
        str | None, typer.Option("--repo", help="owner/name, or local for none.", show_default=False)
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="The orchestrator's model.", show_default=False)
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="name=value; may be repeated.", show_default=False)
    ] = None,
    request: Annotated[
        typer.FileText | None,
        typer.Option("--request", help="JSON file with further fields, - for stdin.", show_default=False),
    ] = None,
    debug: options.DebugFlag = None,
    json_output: options.JsonFlag = None,
) -> None:
    """Create a run."""
    invocation = current(context)
    invocation.begin("runs create", json_output, debug)
    given = {"question": question, "kind": kind, "mode": mode, "repo": repo, "model": model}
    document = _document(request.read() if request else "{}")
    document |= {name: value for name, value in given.items() if value is not None}
    if label:
        document["labels"] = {**document.get("labels", {}), **dict(map(_label, label))}
    with _runs(invocation) as runs:
        status = runs.create(document)
    if not invocation.json:
        invocation.say(f"{status['run_id']}: {status['status']}")
    invocation.succeed(status=status["status"], result=status)


@app.command("list")
def list_runs(
    context: typer.Context,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100, help="Runs on this page.")] = 50,
    cursor: Annotated[
        str | None, typer.Option("--cursor", help="Go on where the page before ended.", show_default=False)
    ] = None,
    status: Annotated[
        str | None, typer.Option("--status", help="Only these, e.g. running,failed.", show_default=False)
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", help="Only these, e.g. agent,external.", show_default=False)
    ] = None,
    mode: Annotated[str | None, typer.Option("--mode", help="Only this mode.", show_default=False)] = None,
    repo: Annotated[str | None, typer.Option("--repo", help="Only of this one.", show_default=False)] = None,
    parent: Annotated[
        str | None, typer.Option("--parent", help="Only the children of this run.", show_default=False)
    ] = None,
    debug: options.DebugFlag = None,
    json_output: options.JsonFlag = None,
) -> None:
    """List runs, newest first."""
    from rich.table import Table

    invocation = current(context)
    invocation.begin("runs list", json_output, debug)
    with _runs(invocation) as runs:
        page = runs.page(
            limit=limit, cursor=cursor, status=status, kind=kind, mode=mode, repo=repo, parent_run_id=parent
        )
    if not invocation.json:
        table = Table()
        table.add_column("Run", no_wrap=True)
        for heading in ("Kind", "Status", "Created", "Repo", "Ended with"):
            table.add_column(heading, overflow="fold")
        for run in page["runs"]:
            known = (run["kind"], run["status"], run["created_at"], run["repo"], run["exit_reason"])
            table.add_row(run["run_id"], *(one_line(str(each or "")) for each in known))
        if page["runs"]:
            invocation.out.print(table, markup=False, highlight=False)
        else:
            invocation.note("No runs." if not page["has_more"] else "No runs on this page.")
        if page["has_more"]:
            invocation.note(f"More: --cursor {page['next_cursor']}")
    invocation.succeed(result=page)


@app.command("status")
def show_status(
    context: typer.Context,
    run_id: RunId,
    debug: options.DebugFlag = None,
    json_output: options.JsonFlag = None,
) -> None:
    """Show what a run's log says about it."""
    invocation = current(context)
    invocation.begin("runs status", json_output, debug)
    with _runs(invocation) as runs:
        status = runs.status(run_id)
    if not invocation.json:
        for name, value in _facts(status):
            invocation.say(f"{name + ':':<10} {one_line(value, 1_000)}")
    invocation.succeed(status=status["status"], result=status)


@app.command("watch")
def watch_run(
    context: typer.Context,
    run_id: RunId,
    debug: options.DebugFlag = None,
    json_output: options.JsonFlag = None,
) -> None:
    """Follow a run's events until it ends; exit code 1 if it did not complete."""
    invocation = current(context)
    invocation.begin("runs watch", json_output, debug)
    show = invocation.note if invocation.json else invocation.say
    found = []
    with _runs(invocation) as runs:
        for event in runs.followed(run_id, invocation.surroundings.sleep, PAUSE_SECONDS):
            found.append(event)
            show(_line(event))
        status = runs.status(run_id)
    result = {"run": status, "events": found}
    if status["status"] != "completed":
        message = f"the run {status['status']}: {status['stop_reason'] or status['exit_reason']}"
        raise JobFailed(message, code="run_not_completed", status=status["status"], result=result)
    invocation.succeed(status=status["status"], result=result)


@app.command("terminal")
def follow_terminal(
    context: typer.Context,
    run_id: RunId,
    cursor: Annotated[int, typer.Option("--cursor", min=0, help="Only what came after this chunk.")] = 0,
    debug: options.DebugFlag = None,
    json_output: options.JsonFlag = None,
) -> None:
    """Show a run's output until it ends, each stream on its own; exit code 1 if it did not complete."""
    from rune.cli.terminal_follower import data_of, followed_frames

    invocation = current(context)
    invocation.begin("runs terminal", json_output, debug)
    around = invocation.surroundings
    streams = {"stdout": around.stderr if invocation.json else around.stdout}
    ended: dict[str, Any] = {}
    with _runs(invocation) as runs:
        for frame in followed_frames(lambda: runs.terminal(run_id), around, cursor):
            if frame["type"] == "chunk":
                write_bytes(streams.get(frame["stream"], around.stderr), data_of(frame))
            elif frame["type"] == "gap":
                invocation.note(f"Chunks {frame['from_seq']} to {frame['to_seq']} are gone.")
            elif frame["type"] == "exit":
                ended = {name: frame[name] for name in ("status", "exit_code", "head_seq")}
    result = {"run_id": run_id, **ended}
    if ended["status"] != "completed":
        message = f"the run {ended['status']}, exit code {ended['exit_code']}"
        raise JobFailed(message, code="run_not_completed", status=ended["status"], result=result)
    invocation.succeed(status=ended["status"], result=result)


@app.command("cancel")
def cancel_run(
    context: typer.Context,
    run_id: RunId,
    reason: Annotated[str | None, typer.Option("--reason", help="Why.", show_default=False)] = None,
    force: Annotated[bool, typer.Option("--force", help="Without grace for its work.")] = False,
    grace: Annotated[int, typer.Option("--grace", min=0, max=300, help="Seconds that its work gets.")] = 30,
    debug: options.DebugFlag = None,
    json_output: options.JsonFlag = None,
) -> None:
    """Ask a run to stop."""
    invocation = current(context)
    invocation.begin("runs cancel", json_output, debug)
    asked = {"mode": "force" if force else "graceful", "grace_seconds": grace, "reason": reason}
    with _runs(invocation) as runs:
        status = runs.cancel(run_id, asked)
    if not invocation.json:
        invocation.say(f"{run_id}: {status['status']}")
    invocation.succeed(status=status["status"], result=status)


@app.command("events")
def list_events(
    context: typer.Context,
    run_id: RunId,
    after: Annotated[int, typer.Option("--after", min=0, help="Only events after this sequence.")] = 0,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="At most so many events.", show_default=False)
    ] = None,
    types: Annotated[
        str | None, typer.Option("--types", help="Only these, and the last.", show_default=False)
    ] = None,
    debug: options.DebugFlag = None,
    json_output: options.JsonFlag = None,
) -> None:
    """List what happened in a run so far."""
    invocation = current(context)
    invocation.begin("runs events", json_output, debug)
    with _runs(invocation) as runs:
        found = runs.events(run_id, after=after, limit=limit, types=types)
    if not invocation.json:
        for event in found:
            invocation.say(_line(event))
    invocation.succeed(result={"run_id": run_id, "events": found})


def _document(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UsageProblem("Invalid value for '--request': must hold a JSON object")
    return found


def _label(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise UsageProblem("Invalid value for '--label': must be name=value")
    return name, value


def _facts(status: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    usage, findings, error = status["usage"], status["findings_summary"], status["error"] or {}
    cost = "unknown" if usage["cost_usd"] is None else f"${usage['cost_usd']:.4f}"
    facts = {
        "Run": status["run_id"],
        "Kind": status["kind"],
        "Status": status["status"],
        "Mode": status["mode"],
        "Repo": status["repo"],
        "Model": status["orchestrator_model"],
        "Stage": status["current_stage"],
        "Created": status["created_at"],
        "Ended": status["ended_at"],
        "Exit": status["exit_reason"],
        "Error": error.get("message"),
        "Events": status["total_events"],
        "Tokens": usage["token_usage"],
        "Cost": cost,
        "Findings": ", ".join(
            f"{name} {findings[name]}" for name in ("P0", "P1", "P2", "P3") if findings[name]
        ),
        "Waits for": ", ".join(each["approval_id"] for each in status["pending_approvals"]),
    }
    yield from ((name, str(value)) for name, value in facts.items() if value)


def _line(event: Mapping[str, Any]) -> str:
    parts = (str(event["sequence"]).rjust(5), event["ts"], event["type"], event["payload"].get("summary", ""))
    return "  ".join(one_line(str(part), 1_000) if place else part for place, part in enumerate(parts))
