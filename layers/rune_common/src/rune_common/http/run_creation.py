"""From an HTTP request to a new run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends

from rune_common.domain.errors import KindDisabled
from rune_common.domain.jobs import KIND_WORDS
from rune_common.domain.run_requests import NewRun
from rune_common.domain.runs import RunKind
from rune_common.http.authentication import CanWrite
from rune_common.http.job_submission import job_rules, tenant_defaults
from rune_common.http.run_replies import Body
from rune_common.http.schemas.create_run import parse_create_run
from rune_common.http.wired import Wired
from rune_common.usecases.create_run import CreationPorts
from rune_common.usecases.submit_job import PLANNERS
from rune_common.wiring import Services


@dataclass(frozen=True, slots=True)
class CheckedRun:
    """A valid request for a run; `ignored` are the names of what has no meaning in it."""

    run: NewRun
    body_sha256: str
    ignored: tuple[str, ...]


def asked_run(body: Body, caller: CanWrite, services: Wired) -> CheckedRun:
    """Raises InvalidRequest and its kinds, KindDisabled, InsufficientScope."""
    run, ignored = parse_create_run(body)
    if run.kind is RunKind.COMMAND:
        caller.require("runs:execute")
    disabled = services.settings.disabled_kinds
    # The deployed stack has no task yet that would run a command without the worker's rights.
    built = run.kind in PLANNERS and not (run.kind is RunKind.COMMAND and services.settings.on_aws)
    built = built or run.kind is RunKind.EXTERNAL
    if not built or str(run.kind) in disabled or KIND_WORDS[run.kind] in disabled:
        raise KindDisabled
    return CheckedRun(run, body.sha256, ignored)


AskedRun = Annotated[CheckedRun, Depends(asked_run)]


def creation_ports(tenant: str, services: Services) -> CreationPorts:
    return CreationPorts(
        rules=job_rules(services),
        defaults=tenant_defaults(tenant, services),
        runs=services.runs,
        blobs=services.blobs,
        spend=services.spend,
        kubeconfigs=services.kubeconfigs,
        clock=services.clock,
        new_id=services.new_id,
        redactor=services.redactor,
    )
