"""Runs with everything in their logs that a bundle shows, made by the same functions that the product uses."""

from __future__ import annotations

import base64
import hashlib
import io
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rune_common.adapters.ed25519 import Ed25519Signer, ed25519_verify
from rune_common.domain.artifact_events import artifact_added
from rune_common.domain.artifacts import make_artifact
from rune_common.domain.chain import genesis
from rune_common.domain.events import EventDraft, EventUsage, append_event
from rune_common.domain.evidence.bundle import Built, build_bundle
from rune_common.domain.evidence.collector import NamedArtifact
from rune_common.domain.evidence.keys import EvidenceKey
from rune_common.domain.evidence.report import Report, TrustedKeys
from rune_common.domain.evidence.verify import verify_bundle
from rune_common.domain.redaction import Redactor
from rune_common.domain.runs import LogHead

SIGNER = Ed25519Signer("rune.local", bytes(32))
OTHER_SIGNER = Ed25519Signer("rune.local", b"\x01" * 32)
START_MS = 1_767_225_600_000
REPORT = b"The image of pod/web does not exist.\n"
STDOUT = b"out \xe2\x82\xac\n" + bytes(range(128, 160))


@dataclass
class Recorded:
    """A run's stored lines and the bytes of its artifacts."""

    tenant: str
    run_id: str
    lines: list[bytes] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)

    def artifact(self, artifact: NamedArtifact) -> Iterable[bytes] | None:
        content = self.blobs.get(artifact.artifact_id)
        return None if content is None else [content]

    def build(self, signer: Any = SIGNER, sequence: int | None = None) -> tuple[bytes, Built]:
        out = io.BytesIO()
        lines = self.lines[: len(self.lines) if sequence is None else sequence]
        built = build_bundle(
            self.tenant, self.run_id, lines, self.artifact, signer, out=out, scratch=io.BytesIO
        )
        return out.getvalue(), built


def record(
    drafts: Sequence[EventDraft], *, tenant: str = "default", run_id: str = "run-1", step_ms: int = 1_500
) -> Recorded:
    run = Recorded(tenant, run_id)
    head = LogHead(tenant, run_id, 0, genesis(tenant, run_id))
    for number, draft in enumerate(drafts):
        event, head = append_event(
            head, draft, now_ms=START_MS + number * step_ms, redactor=Redactor(["known-secret-value"])
        )
        run.lines.append(event.body)
    return run


def full_run(*, tenant: str = "default", run_id: str = "run-1", seed: int = 0) -> Recorded:
    """A command run in an edit mode with output, artifacts, findings, gates, approvals and redactions."""
    random_bytes = random.Random(seed)
    report = make_artifact("report", "report.md", REPORT, now_ms=START_MS)
    output = make_artifact("log", "main.stderr.log", b"err\n", now_ms=START_MS)
    spilled = random_bytes.randbytes(200).hex().encode()
    moved = {
        "artifact_id": f"a_{hashlib.sha256(spilled).hexdigest()[:24]}",
        "sha256": hashlib.sha256(spilled).hexdigest(),
        "bytes": len(spilled),
    }
    digests = {"stdout_sha256": hashlib.sha256(STDOUT).hexdigest(), "stdout_bytes": len(STDOUT)}
    run = record(
        [
            EventDraft("run_queued", {**QUEUED, "request": {**REQUEST, "labels": {"seed": str(seed)}}}),
            EventDraft("run_started", {"runtime_profile": "container_write", "context_files": []}),
            EventDraft("step_started", {"step_id": "main", "command": "make fix password=hunter22"}),
            *_output(STDOUT),
            artifact_added(report),
            artifact_added(output),
            EventDraft("tool_call", {"call_id": "c1", "tool_name": "bash", "badge": "RUN", "args": {}}),
            EventDraft(
                "tool_result",
                {"call_id": "c1", "tool_name": "bash", "status": "success", "data": moved},
                usage=EventUsage(120, 30, 1, 1, cost_micro_usd=1_250, model="m1"),
            ),
            *_governance(),
            *_findings(),
            EventDraft(
                "step_completed", {"step_id": "main", "state": "succeeded", "exit_code": 0, **digests}
            ),
            EventDraft("narrative", {"message_id": "m", "text": "All is well. ü 𝄞", "final": True}),
            EventDraft("run_completed", ENDED),
        ],
        tenant=tenant,
        run_id=run_id,
    )
    run.blobs = {report.artifact_id: REPORT, output.artifact_id: b"err\n", moved["artifact_id"]: spilled}
    return run


REQUEST = {
    "kind": "command",
    "mode": "edit_gated",
    "repo": "acme/shop",
    "ref": "main",
    "model": "m1",
    "budget": {"max_cost_usd": 1, "max_tool_calls": 10},
    "api_key": "known-secret-value",
}
QUEUED = {"summary": "accepted", "request_sha256": "ab" * 32, "product_version": "9.9.9"}
ENDED = {
    "summary": "done",
    "status": "completed",
    "exit_reason": "completed",
    "stop_class": "clean",
    "stop_code": "NONE",
    "totals": {},
}


def finding(fingerprint: str, severity: str = "P1", **more: Any) -> dict[str, Any]:
    return {
        "fingerprint": fingerprint,
        "finding_id": f"f_{fingerprint[3:19]}",
        "rule_id": "py/eval",
        "severity": severity,
        "message": "eval of input",
        "path": "src/a.py",
        "line_start": 3,
        "line_end": 4,
        "sources": ["scanner"],
        **more,
    }


def _findings() -> list[EventDraft]:
    first, second = "v1:" + "a" * 64, "v1:" + "b" * 64
    return [
        EventDraft("finding_opened", {"finding": finding(first)}),
        EventDraft("finding_opened", {"finding": finding(second, "P3")}),
        EventDraft("finding_resolved", {"fingerprint": first, "resolution": "fixed"}),
        EventDraft("gate_result", {"gate_id": "tests", "gate_status": "passed", "required": True}),
    ]


def _governance() -> list[EventDraft]:
    asked = {"approval_id": "ap1", "gate": "edit", "subject_digest": "cd" * 32, "expires_at": "later"}
    approval = {"risk": "low", "approvers": [], "subject": {"kind": "edit", "digest": "cd" * 32}}
    given = {"approval_id": "ap1", "gate": "edit", "decision": "approve", "reason": None}
    return [
        EventDraft("approval_requested", {**asked, "approval": approval}),
        EventDraft("approval_approved", given, actor="seed-00000000"),
        EventDraft("run_resumed", {"approval_ids": ["ap1"]}),
    ]


def _output(content: bytes) -> list[EventDraft]:
    found, cut = [], 6
    for seq, part in enumerate((content[:cut], content[cut:]), start=1):
        data = {"encoding": "base64", "data": base64.b64encode(part).decode(), "bytes": len(part)}
        place = {"terminal_seq": seq, "stream": "stdout", "step_id": "main", "offset": 0 if seq == 1 else cut}
        found.append(EventDraft("terminal_output", {**place, **data}))
    return found


def check(bundle: bytes, *keys: EvidenceKey, **options: Any) -> Report:
    """The report on a bundle; without keys the key of SIGNER is trusted."""
    trusted = TrustedKeys(ed25519_verify, keys or (SIGNER.key,), **options)
    return verify_bundle(io.BytesIO(bundle), trusted, scratch=io.BytesIO)
