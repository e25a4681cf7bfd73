"""`approvals list|approve|deny RUN [APPROVAL]`: what runs wait for (jobs-api.md 15, runs-api.md 6)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rune.cli import options
from rune.cli.failures import CliFailure
from rune.cli.invocation import Invocation, current
from rune.cli.printing import one_line, plain

if TYPE_CHECKING:
    from rune.cli.runs_client import RunsClient

WIDEST = 1_000
DENIED = "denied on the command line"

app = typer.Typer(
    no_args_is_help=True, help="What runs wait for, on a server (http mode only).", rich_markup_mode=None
)


class Scope(StrEnum):
    ONCE = "once"
    RUN = "run"


RunId = Annotated[str, typer.Argument(help="The run's id.", metavar="RUN", show_default=False)]
ApprovalId = Annotated[
    str | None,
    typer.Argument(
        help="The approval's id; may be left out while only one is pending.",
        metavar="[APPROVAL]",
        show_default=False,
    ),
]


@app.command("list")
def list_approvals(
    context: typer.Context,
    run_id: RunId,
    status: Annotated[
        str | None, typer.Option("--status", help="Only these, e.g. pending,denied.", show_default=False)
    ] = None,
    debug: options.DebugFlag = None,
    json_output: options.JsonFlag = None,
) -> None:
    """List what a run asked people to allow."""
    invocation = current(context)
    invocation.begin("approvals list", json_output, debug)
    with _runs(invocation) as runs:
        found = runs.approvals(run_id, status)
    if not invocation.json:
        for approval in found:
            _show(invocation, approval)
        if not found:
            invocation.note("No approvals.")
    invocation.succeed(job_id=run_id, result={"run_id": run_id, "approvals": found})


@app.command("approve")
def approve(
    context: typer.Context,
    run_id: RunId,
    approval_id: ApprovalId = None,
    scope: Annotated[
        Scope, typer.Option("--scope", help="once; run: also later calls that are the same.")
    ] = Scope.ONCE,
    reason: Annotated[
        str | None, typer.Option("--reason", help="Why, for the record.", show_default=False)
    ] = None,
    debug: options.DebugFlag = None,
    json_output: options.JsonFlag = None,
) -> None:
    """Allow what a run waits for, exactly as it is shown."""
    given = {"decision": "approve", "scope": scope.value, **({"reason": reason} if reason else {})}
    _decide(context, "approve", run_id, approval_id, given, debug, json_output)


@app.command("deny")
def deny(
    context: typer.Context,
    run_id: RunId,
    approval_id: ApprovalId = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; whoever asked is told.")] = DENIED,
    debug: options.DebugFlag = None,
    json_output: options.JsonFlag = None,
) -> None:
    """Refuse what a run waits for."""
    given = {"decision": "deny", "reason": reason or DENIED}
    _decide(context, "deny", run_id, approval_id, given, debug, json_output)


@contextmanager
def _runs(invocation: Invocation) -> Iterator[RunsClient]:
    from rune.cli.backends import open_server
    from rune.cli.runs_client import RunsClient

    with open_server(invocation) as client:
        yield RunsClient(client)


def _decide(
    context: typer.Context,
    verb: str,
    run_id: str,
    approval_id: str | None,
    given: Mapping[str, Any],
    debug: bool | None,
    json_output: bool | None,
) -> None:
    """What is decided about is shown first, and bound by both its id and its digest."""
    invocation = current(context)
    invocation.begin(f"approvals {verb}", json_output, debug)
    with _runs(invocation) as runs:
        approval = _chosen(runs.approvals(run_id, None), approval_id)
        if not invocation.json:
            _show(invocation, approval)
        ids = {"approval_id": approval["approval_id"], "subject_digest": approval["subject"]["digest"]}
        decided = runs.decide(run_id, {**ids, **given})
    state = decided["run"]["status"]
    if not invocation.json:
        invocation.say(f"{approval['approval_id']}: {decided['approval']['status']}; the run is {state}")
    invocation.succeed(job_id=run_id, status=state, result=decided)


def _chosen(found: list[dict[str, Any]], approval_id: str | None) -> dict[str, Any]:
    """Raises CliFailure unless exactly one approval is meant."""
    if approval_id is not None:
        named = [each for each in found if each["approval_id"] == approval_id]
        if not named:
            raise CliFailure("the run has no such approval", code="approval_not_found")
        return named[0]
    pending = [each for each in found if each["status"] == "pending"]
    if not pending:
        raise CliFailure("nothing is pending", code="no_pending_approval")
    if len(pending) > 1:
        names = ", ".join(each["approval_id"] for each in pending)
        raise CliFailure(
            "several approvals are pending", code="approval_ambiguous", hint=f"name one of {names}"
        )
    return pending[0]


def _show(invocation: Invocation, approval: Mapping[str, Any]) -> None:
    subject = approval["subject"]
    document = json.dumps(subject["document"], ensure_ascii=False, sort_keys=True)
    facts = {
        "Approval": approval["approval_id"],
        "Status": approval["status"],
        "Gate": approval["gate"],
        "Asked by": approval["requested_by"],
        "What": approval["summary"],
        "Why": approval.get("why"),
        "Risk": approval.get("risk"),
        "Expires": approval["expires_at"],
        "Subject": f"{document} (redacted)" if subject["redacted"] else document,
        "Digest": subject["digest"],
    }
    for name, value in facts.items():
        if value:
            invocation.say(f"{name + ':':<10} {one_line(plain(str(value)), WIDEST)}")
    invocation.say("")
