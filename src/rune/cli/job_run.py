"""One job from its request to its end, the same for every kind that the command line starts (jobs-api.md 15)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rune.cli.configuration import environment_flag
from rune.cli.invocation import Invocation
from rune.cli.printing import moment, without_credentials
from rune_common.domain.runs import RunKind

if TYPE_CHECKING:
    from rune.cli.progress import Progress
    from rune.cli.workflow import Finished
    from rune.local.booked_market import Proposed


@dataclass(frozen=True, slots=True)
class Errand:
    """What is to be done: `heading` and `facts` for people, `document` for the API.

    `key` is the idempotency key, `cluster` a kubeconfig, `yes` the option as it was given. `answers`: the kind
    has an answer, and without one it failed.
    """

    kind: RunKind
    heading: str
    facts: Mapping[str, str]
    document: dict[str, Any]
    key: str | None
    cluster: str | None = None
    yes: bool | None = None
    wait: bool = True
    answers: bool = True


def run_job(invocation: Invocation, errand: Errand) -> Finished | None:
    """The job's end; None when it is not waited for or a person did not want it, which was then told.

    Raises CliFailure; a GPU is rented only behind the spend gate.
    """
    from rune.cli.backends import HTTP, open_backend
    from rune.cli.failures import Declined
    from rune.cli.progress import Progress
    from rune.cli.spend_gate import pass_spend_gate, rents, wants
    from rune.cli.workflow import Workflow

    around, configuration = invocation.surroundings, invocation.configuration
    http = configuration.text("backend") == HTTP
    renting = rents(errand.document)
    with Progress(invocation.err, around.monotonic) as progress:
        server = without_credentials(configuration.text("api_base_url"))
        runs = f"on {server}" if http else "in this process"
        progress.title(errand.heading, {**errand.facts, "Runs": runs})
        if not http:
            report_leftovers(invocation)
        if renting:
            pass_spend_gate(invocation, errand.document, yes=errand.yes)
        if not http:
            progress.phase("starting the local stack")
        asks = renting and not http and not environment_flag(around.environ, "RUNE_YES", errand.yes)

        def consent(proposed: Proposed) -> bool:
            progress.pause()
            return wants(invocation, proposed)

        with open_backend(invocation, errand.kind, consent if asks else None) as backend:
            workflow = Workflow(backend, progress, around.sleep, around.monotonic)
            job_id = workflow.submit(errand.document, errand.cluster, errand.key)
            if not errand.wait:
                invocation.succeed(job_id=job_id, status="accepted")
                if not invocation.json:
                    invocation.say(job_id)
                return None
            try:
                return workflow.wait(job_id, answers=errand.answers)
            except Declined as declined:
                _end_declined(invocation, progress, declined.message)
                return None


def report_leftovers(invocation: Invocation) -> None:
    """What earlier commands of this machine left rented, or keep."""
    from rune.local.user_folder import UserFolder

    around = invocation.surroundings
    folder = UserFolder(around.home)
    if not folder.rented_before:
        return
    now = around.clock()
    left = folder.leftovers(now)
    if left:
        names = ", ".join(each.contract_id or "unknown contract" for each in left)
        invocation.note(f"warning: still rented by an earlier command and not handed back: {names}")
        invocation.note("Hint: `rune vastai-reap` hands it back")
    for each in folder.book.open():
        if each.kept(now) and each.kept_until:
            invocation.note(f"kept: instance {each.contract_id}, until {moment(each.kept_until / 1000)}")


def _end_declined(invocation: Invocation, progress: Progress, message: str) -> None:
    progress.pause()
    invocation.note(message)
    invocation.succeed(status="declined")
