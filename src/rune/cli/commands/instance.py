"""`run-llm-instance` and `vastai-reap`: a model server to use, and the end of what was rented (jobs-api.md 15)."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rune.cli import options, rental_options
from rune.cli.failures import CliFailure
from rune.cli.invocation import current
from rune.cli.job_options import checked_key
from rune.cli.printing import dollars, one_line, without_credentials
from rune_common.domain.runs import RunKind

INSTANCE, REAP = "run-llm-instance", "vastai-reap"


def run_llm_instance(
    context: typer.Context,
    backend_url: options.BackendUrl = None,
    vastai: rental_options.Vastai = None,
    vastai_template: rental_options.Template = None,
    vastai_min_dph: rental_options.MinDph = None,
    vastai_max_dph: rental_options.MaxDph = None,
    vastai_reliability: rental_options.Reliability = None,
    lease_seconds: rental_options.LeaseSeconds = 3600,
    idempotency_key: options.IdempotencyKey = None,
    yes: options.Yes = None,
    timeout: options.Timeout = 3600,
    max_cost_usd: options.MaxCost = None,
    no_wait: options.NoWait = False,
    debug: options.DebugFlag = None,
    json_output: options.JsonFlag = None,
) -> None:
    """Get a model server: look at the one of `--backend-url`, or rent a GPU with the largest model that fits.

    A rented one is kept for `--lease-seconds`. A server then destroys it, or earlier by `jobs release`. In local
    mode nothing runs that would: `vastai-reap` does it then, `vastai-reap --kept` earlier.
    """
    from rune.cli.job_run import Errand, run_job
    from rune.cli.rental_view import show_instance

    invocation = current(context)
    invocation.begin(context.info_name or INSTANCE, json_output, debug)
    configuration = invocation.configuration
    key = checked_key(
        invocation, idempotency_key=idempotency_key, yes=yes, max_cost_usd=max_cost_usd, no_wait=no_wait
    )
    document: dict[str, Any] = rental_options.rental_fields(
        configuration,
        vastai=vastai,
        template=vastai_template,
        min_dph=vastai_min_dph,
        max_dph=vastai_max_dph,
        reliability=vastai_reliability,
    )
    url = configuration.get("backend_url", backend_url).value
    if document["vastai"]:
        document |= {"lease_seconds": lease_seconds, "vastai_stop_instance": False}
    elif url is not None:
        document["backend_url"] = url
    document["timeout_seconds"] = timeout
    if max_cost_usd is not None:
        document["max_cost_usd"] = max_cost_usd
    place = (
        f"a GPU at Vast.ai for at most {dollars(float(document['max_dph']))}/h"
        if document["vastai"]
        else without_credentials(str(url or ""))
    )
    errand = Errand(
        RunKind.LLM_INSTANCE,
        "Rune · model server",
        {"Model server": place},
        document,
        key,
        yes=yes,
        wait=not no_wait,
        answers=False,
    )
    finished = run_job(invocation, errand)
    if finished is None:
        return
    result = finished.job.result or {}
    if not invocation.json:
        http = configuration.text("backend") == "http"
        release = (
            f"rune --backend http jobs release {finished.job.job_id}" if http else "rune vastai-reap --kept"
        )
        show_instance(invocation.out, result, release)
        if document["vastai"] and not http:
            invocation.note("warning: nothing here ends the lease by itself; run `rune vastai-reap` after it")
    invocation.succeed(job_id=finished.job.job_id, status=finished.job.status, result=result)


def reap_rented(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be destroyed.")] = False,
    kept: Annotated[
        bool, typer.Option("--kept", help="Also what is kept under a lease that still runs.")
    ] = False,
    debug: options.DebugFlag = None,
    json_output: options.JsonFlag = None,
) -> None:
    """Destroy what this machine's command line has rented and nobody needs any more.

    Only instances with this machine's own label count, and of them those that are expired or whose command
    has ended. VAST_API_KEY is the account's key.
    """
    from rune.cli.product_errors import product_errors
    from rune.local.give_back import Account, reap
    from rune.local.user_folder import UserFolder

    invocation = current(context)
    invocation.begin(REAP, json_output, debug)
    around = invocation.surroundings
    found = []
    with product_errors():
        account = Account(
            around.open_market(around.environ), UserFolder(around.home), around.clock, around.sleep
        )
        for each in reap(account, dry_run=dry_run, kept=kept):
            outcome = {None: "would be destroyed", True: "destroyed", False: "still there"}[each.gone]
            found.append({"contract_id": each.contract_id, "reason": each.reason, "outcome": outcome})
            if not invocation.json:
                invocation.say(f"{one_line(each.contract_id)}: {outcome} ({each.reason})")
    result = {"instances": found, "dry_run": dry_run}
    left = sum(each["outcome"] == "still there" for each in found)
    if left:
        raise CliFailure(f"{left} instances are still there; try again", code="not_destroyed", result=result)
    if not found and not invocation.json:
        invocation.say("Nothing to hand back.")
    invocation.succeed(result=result)
