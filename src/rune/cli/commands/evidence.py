"""`evidence export|verify`: what a run's log proves, and whether it does (runs-api.md 7)."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rune.cli import options
from rune.cli.failures import UsageProblem
from rune.cli.invocation import Invocation, current

if TYPE_CHECKING:
    from rune_common.domain.evidence.keys import EvidenceKey
    from rune_common.domain.evidence.report import Report

MISMATCHES, NO_TRUSTED_KEY = 1, 3

app = typer.Typer(no_args_is_help=True, help="Evidence of what a run did.", rich_markup_mode=None)


class Form(StrEnum):
    ZIP = "zip"
    JSON = "json"
    DSSE = "dsse"


@app.command("export")
def export_evidence(
    context: typer.Context,
    run: Annotated[str, typer.Argument(help="The run's id.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where to write it; by default the name that the server gives."),
    ] = None,
    form: Annotated[Form, typer.Option("--format", help="What to export.")] = Form.ZIP,
    at_sequence: Annotated[
        int | None,
        typer.Option("--at-sequence", min=1, help="Only the events up to this one.", show_default=False),
    ] = None,
    require_sealed: Annotated[
        bool,
        typer.Option("--require-sealed", help="Refuse evidence of a run that goes on.", show_default=False),
    ] = False,
    debug: options.DebugFlag = None,
    json_output: options.JsonFlag = None,
) -> None:
    """Download the evidence bundle of a run from a server."""
    from rune.cli.backends import open_server
    from rune.cli.evidence_file import save_evidence

    invocation = current(context)
    invocation.begin("evidence export", json_output, debug)
    with open_server(invocation) as client:
        saved = save_evidence(
            client,
            run,
            invocation.surroundings.working_directory,
            output,
            form=form.value,
            at_sequence=at_sequence,
            require_sealed="true" if require_sealed else None,
        )
    if not invocation.json:
        invocation.say(f"{saved['path']}  {saved['bytes']} bytes  sha256 {saved['sha256']}")
    invocation.succeed(job_id=run, result=saved)


@app.command("verify")
def verify_evidence(
    context: typer.Context,
    bundle: Annotated[Path, typer.Argument(help="The bundle, a zip file.", show_default=False)],
    key: Annotated[
        Path | None,
        typer.Option(
            "--key",
            help="File with the trusted keys: the service's list, verifier keys, or a public key.",
            show_default=False,
        ),
    ] = None,  # fmt: skip
    verifier_key: Annotated[
        str | None,
        typer.Option("--verifier-key", help="A trusted key, <name>+<hash>+<key>.", show_default=False),
    ] = None,
    expect_head: Annotated[
        str | None,
        typer.Option("--expect-head", help="The hash that the last event must have.", show_default=False),
    ] = None,
    trust_bundle_key: Annotated[
        bool,
        typer.Option(
            "--trust-bundle-key",
            help="Trust the key that the bundle names; says nothing about who made it.",
            show_default=False,
        ),
    ] = False,  # fmt: skip
    debug: options.DebugFlag = None,
    json_output: options.JsonFlag = None,
) -> None:
    """Check a bundle offline. Exit codes: 0 verified, 1 mismatches, 2 unreadable, 3 no trusted key was given."""
    from rune_common.adapters.ed25519 import ed25519_verify
    from rune_common.adapters.scratch_files import ScratchFiles
    from rune_common.domain.evidence.report import TrustedKeys
    from rune_common.domain.evidence.verify import verify_bundle
    from rune_common.domain.evidence.zip_reader import BundleUnreadable

    invocation = current(context)
    invocation.begin("evidence verify", json_output, debug)
    keys = _keys(key, verifier_key)
    trusted = TrustedKeys(
        ed25519_verify, keys, trust_bundle_key, expect_head.lower() if expect_head else None
    )
    try:
        with bundle.open("rb") as file, ScratchFiles() as scratch:
            report = verify_bundle(file, trusted, scratch=scratch)
    except OSError as exc:
        raise UsageProblem(f"{bundle} cannot be read: {exc.strerror}") from exc
    except BundleUnreadable as exc:
        raise UsageProblem(str(exc)) from exc
    _show(invocation, report)
    raise typer.Exit(_exit_code(report))


def _keys(file: Path | None, verifier_key: str | None) -> tuple[EvidenceKey, ...]:
    from rune.cli.evidence_keys import read_keys

    if file is not None and verifier_key is not None:
        raise UsageProblem("--key and --verifier-key exclude each other")
    try:
        content = file.read_bytes() if file is not None else (verifier_key or "").encode()
        return read_keys(content) if content or file is not None else ()
    except OSError as exc:
        raise UsageProblem(f"{file} cannot be read: {exc.strerror}") from exc
    except (ValueError, KeyError) as exc:
        raise UsageProblem("the trusted key cannot be read") from exc


def _exit_code(report: Report) -> int:
    if report.mismatches:
        return MISMATCHES
    return 0 if report.ok else NO_TRUSTED_KEY


def _show(invocation: Invocation, report: Report) -> None:
    if invocation.json:
        invocation.reported = True
        invocation.surroundings.stdout.write(json.dumps(report.document()) + "\n")
        return
    for fault in report.mismatches:
        place = fault.path or (f"event {fault.sequence}" if fault.sequence else "the bundle")
        told = f"expected {fault.expected}, found {fault.actual}" if fault.expected is not None else ""
        invocation.say(f"{fault.type:<28} {place}  {told}".rstrip())
    about = f"run {report.run_id}, {report.event_count} events, head {report.head_hash}"
    if report.mismatches:
        invocation.note(f"NOT verified: {about}")
    elif report.ok:
        invocation.say(f"Verified: {about}, signed by {report.key_id}")
    else:
        invocation.note(f"Everything matches, but no trusted key was given: {about}, key {report.key_id}")
