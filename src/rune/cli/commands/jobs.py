"""`jobs list|get|cancel|release|events|logs|artifacts|download`: jobs on a server (jobs-api.md 15)."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rune.cli import options
from rune.cli.invocation import Invocation, current
from rune.cli.job_view import EventView, JobView
from rune.cli.printing import milliseconds, moment, one_line

app = typer.Typer(no_args_is_help=True, help="Jobs on a server (http mode only).", rich_markup_mode=None)


class Order(StrEnum):
    DESC = "desc"
    ASC = "asc"


JobId = Annotated[str, typer.Argument(help="The job's id.", show_default=False)]


@app.command("list")
def list_jobs(
    context: typer.Context,
    limit: Annotated[int, typer.Option("--limit", min=1, max=200, help="Jobs on this page.")] = 50,
    cursor: Annotated[
        str | None, typer.Option("--cursor", help="Go on where the page before ended.", show_default=False)
    ] = None,
    status: Annotated[
        str | None, typer.Option("--status", help="Only these, e.g. running,failed.", show_default=False)
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", help="Only these, e.g. agentic-agent.", show_default=False)
    ] = None,
    order: Annotated[
        Order, typer.Option("--order", help="desc: newest first; asc: oldest first.")
    ] = Order.DESC,
    debug: options.DebugFlag = None,
    json_output: options.JsonFlag = None,
) -> None:
    """List jobs, newest first."""
    from rich.table import Table

    from rune.cli.backends import open_server

    invocation = current(context)
    invocation.begin("jobs list", json_output, debug)
    with open_server(invocation) as client:
        page = client.jobs(limit=limit, cursor=cursor, status=status, kind=kind, order=order.value)
    if not invocation.json:
        table = Table()
        table.add_column("Job", no_wrap=True)
        for heading in ("Kind", "Status", "Created", "Message"):
            table.add_column(heading, overflow="fold")
        for record in page.get("jobs", []):
            job = JobView.of(record)
            created = moment(record.get("created_at"))
            table.add_row(job.job_id, str(record.get("kind", "")), job.status, created, one_line(job.message))
        if page.get("jobs"):
            invocation.out.print(table, markup=False, highlight=False)
        else:
            invocation.note("No jobs.")
        if page.get("next_cursor"):
            invocation.note(f"More: --cursor {page['next_cursor']}")
    invocation.succeed(result=page)


@app.command("get")
def get_job(
    context: typer.Context,
    job_id: JobId,
    debug: options.DebugFlag = None,
    json_output: options.JsonFlag = None,
) -> None:
    """Show one job and, when it has one, its answer."""
    from rune.cli.answer import show_answer
    from rune.cli.backends import open_server
    from rune.cli.rental_view import show_benchmark

    invocation = current(context)
    invocation.begin("jobs get", json_output, debug)
    with open_server(invocation) as client:
        job = JobView.of(client.job(job_id))
        answered = job.result is not None and "answer" in job.result and not invocation.json
        events = client.events(job_id) if answered else []
    if not invocation.json:
        _show_facts(invocation, job)
        if answered:
            show_answer(invocation.out, job.result or {}, map(EventView.of, events))
            show_benchmark(invocation.out, job.result or {})
    invocation.succeed(job_id=job_id, status=job.status, result=job.record)


def _show_facts(invocation: Invocation, job: JobView) -> None:
    facts = {
        "Job": job.job_id,
        "Kind": str(job.record.get("kind", "")),
        "Status": job.status,
        "Phase": job.phase,
        "Message": job.message,
        "Created": moment(job.record.get("created_at")),
        "Started": moment(job.record.get("started_at")),
        "Finished": moment(job.record.get("finished_at")),
        "Error": job.error_code if job.record.get("error") else "",
    }
    for name, value in facts.items():
        if value:
            invocation.say(f"{name + ':':<10} {one_line(value, 1_000)}")


@app.command("cancel")
def cancel_job(
    context: typer.Context,
    job_id: JobId,
    debug: options.DebugFlag = None,
    json_output: options.JsonFlag = None,
) -> None:
    """Ask a job to stop. Its work is torn down before it shows as cancelled."""
    from rune.cli.backends import open_server

    invocation = current(context)
    invocation.begin("jobs cancel", json_output, debug)
    with open_server(invocation) as client:
        status = client.cancel(job_id)
    if not invocation.json:
        invocation.say(f"{job_id}: {status}")
    invocation.succeed(job_id=job_id, status=status)


@app.command("release")
def release_job(
    context: typer.Context,
    job_id: JobId,
    debug: options.DebugFlag = None,
    json_output: options.JsonFlag = None,
) -> None:
    """Hand back the instance that a finished job keeps under a lease."""
    from rune.cli.backends import open_server

    invocation = current(context)
    invocation.begin("jobs release", json_output, debug)
    with open_server(invocation) as client:
        status = client.release(job_id)
    if not invocation.json:
        invocation.say(f"{job_id}: {status}")
    invocation.succeed(job_id=job_id, status=status)


@app.command("events")
def list_events(
    context: typer.Context,
    job_id: JobId,
    after: Annotated[int, typer.Option("--after", min=0, help="Only events after this sequence number.")] = 0,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="At most so many events.", show_default=False)
    ] = None,
    debug: options.DebugFlag = None,
    json_output: options.JsonFlag = None,
) -> None:
    """List what happened in a job so far."""
    from rich.table import Table

    from rune.cli.backends import open_server

    invocation = current(context)
    invocation.begin("jobs events", json_output, debug)
    with open_server(invocation) as client:
        found = client.events(job_id, after, limit)
    if not invocation.json:
        table = Table()
        table.add_column("Seq", justify="right")
        table.add_column("Time", no_wrap=True)
        table.add_column("Event", overflow="fold")
        table.add_column("Status")
        table.add_column("ms", justify="right")
        table.add_column("Message", overflow="fold")
        for event in map(EventView.of, found):
            duration = milliseconds(event.duration_ms) if event.duration_ms else "–"
            text = one_line("  ".join(part for part in (event.label, event.message) if part))
            time = moment(event.recorded_at)
            table.add_row(str(event.seq), time, one_line(event.name), event.status, duration, text)
        invocation.out.print(table, markup=False, highlight=False)
    invocation.succeed(job_id=job_id, result={"job_id": job_id, "events": found})


@app.command("logs")
def follow_logs(
    context: typer.Context,
    job_id: JobId,
    debug: options.DebugFlag = None,
    json_output: options.JsonFlag = None,
) -> None:
    """Follow a job's events until it ends; a lost connection is taken up where it broke."""
    from rune.cli.backends import open_server
    from rune.cli.log_follower import followed_events

    invocation = current(context)
    invocation.begin("jobs logs", json_output, debug)
    show = invocation.note if invocation.json else invocation.say
    found = []
    with open_server(invocation) as client:
        for raw in followed_events(client, job_id, invocation.surroundings):
            found.append(raw)
            show(_log_line(EventView.of(raw)))
        status = JobView.of(client.job(job_id)).status if invocation.json else ""
    invocation.succeed(job_id=job_id, status=status, result={"job_id": job_id, "events": found})


@app.command("artifacts")
def list_artifacts(
    context: typer.Context,
    job_id: JobId,
    debug: options.DebugFlag = None,
    json_output: options.JsonFlag = None,
) -> None:
    """List the files that belong to a job."""
    from rich.table import Table

    from rune.cli.backends import open_server

    invocation = current(context)
    invocation.begin("jobs artifacts", json_output, debug)
    with open_server(invocation) as client:
        found = client.artifacts(job_id)
    if not invocation.json:
        table = Table()
        table.add_column("Artifact", no_wrap=True)
        table.add_column("Kind")
        table.add_column("Name", overflow="fold")
        table.add_column("Bytes", justify="right")
        for each in found:
            facts = [
                one_line(str(each.get(name, ""))) for name in ("artifact_id", "kind", "name", "size_bytes")
            ]
            table.add_row(*facts)
        if found:
            invocation.out.print(table, markup=False, highlight=False)
        else:
            invocation.note("No artifacts.")
    invocation.succeed(job_id=job_id, result={"job_id": job_id, "artifacts": found})


@app.command("download")
def download_artifact(
    context: typer.Context,
    job_id: JobId,
    artifact: Annotated[
        str, typer.Argument(help="The artifact's id, or its name if only one has it.", show_default=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where to put it; its own name by default.", show_default=False),
    ] = None,
    debug: options.DebugFlag = None,
    json_output: options.JsonFlag = None,
) -> None:
    """Download one file of a job and compare it with its digest. A file that is there is not replaced."""
    from rune.cli.artifact_file import chosen_artifact, save_artifact
    from rune.cli.backends import open_server

    invocation = current(context)
    invocation.begin("jobs download", json_output, debug)
    with open_server(invocation) as client:
        found = chosen_artifact(client.artifacts(job_id), artifact)
        folder = invocation.surroundings.working_directory
        path = save_artifact(client, job_id, found, output, folder)
    if not invocation.json:
        invocation.say(f"{one_line(str(found['name']))}: {path}")
    invocation.succeed(job_id=job_id, result={"job_id": job_id, "artifact": found, "path": str(path)})


def _log_line(event: EventView) -> str:
    duration = f"{milliseconds(event.duration_ms)} ms" if event.duration_ms else ""
    parts = (moment(event.recorded_at), event.name, event.outcome, duration, event.label, event.message)
    return "  ".join(one_line(part, 1_000) for part in parts if part)
