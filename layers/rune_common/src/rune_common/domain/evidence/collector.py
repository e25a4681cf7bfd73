"""One pass over a run's log: everything that the files of its bundle are made of (runs-api.md 7.2)."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rune_common.domain.artifacts import plain_name
from rune_common.domain.chain import LogCheck, Mismatch, genesis, leaf_hash
from rune_common.domain.evidence.spool import Scratch, Spool, SpooledStream
from rune_common.domain.fold import RunStatus
from rune_common.domain.json_fields import count, items, members, text
from rune_common.domain.merkle import merkle_root
from rune_common.domain.stored_lines import plain_json

LOG_KIND = "log"
_SPILLED = {"artifact_id", "sha256", "bytes"}
SPILLED_NAME = "payload.txt"


@dataclass(frozen=True, slots=True)
class NamedArtifact:
    """An artifact as the log names it. `recorded`: by `artifact_added`, not only from inside a payload."""

    artifact_id: str
    name: str
    kind: str
    size: int
    sha256: str
    media_type: str | None
    recorded: bool = True


@dataclass(frozen=True, slots=True)
class Collected:
    """What one log gives. `terminal` holds the joined chunks by file name, without those that are artifacts."""

    tenant: str
    run_id: str
    status: RunStatus
    event_count: int
    merkle_root: str
    faults: tuple[Mismatch, ...]
    timeline: SpooledStream
    leaves: SpooledStream
    terminal: Mapping[str, SpooledStream]
    artifacts: Mapping[str, NamedArtifact]
    redacted_fields: SpooledStream
    redacted_by_rule: Mapping[str, int]

    @property
    def genesis(self) -> str:
        return genesis(self.tenant, self.run_id)

    @property
    def head_hash(self) -> str:
        return self.status.head_hash or self.genesis


def collect(tenant: str, run_id: str, lines: Iterable[bytes], scratch: Scratch) -> Collected:
    """Read the stored lines, without line ends, once. Memory does not grow with their number."""
    pass_ = _Pass(tenant, run_id, scratch)
    root = merkle_root(pass_.leaves_of(lines))
    return Collected(
        tenant=tenant,
        run_id=run_id,
        status=pass_.status,
        event_count=pass_.lines,
        merkle_root=root,
        faults=tuple(sorted(pass_.check.faults, key=lambda fault: (fault.type, fault.sequence))),
        timeline=pass_.timeline,
        leaves=pass_.leaves,
        terminal=pass_.terminal_files(),
        artifacts=pass_.artifact_files(),
        redacted_fields=pass_.redacted_fields,
        redacted_by_rule=pass_.by_rule,
    )


class _Pass:
    def __init__(self, tenant: str, run_id: str, scratch: Scratch) -> None:
        self.check = LogCheck(tenant, run_id)
        self.status = RunStatus()
        self.lines = 0
        self.timeline, self.leaves = Spool(scratch).stream(), Spool(scratch).stream()
        self.redacted_fields = Spool(scratch).stream()
        self.by_rule: dict[str, int] = {}
        self._output = Spool(scratch)
        self._steps: set[str] = set()
        self._streams: dict[tuple[str, str], SpooledStream] = {}
        self._artifacts: dict[str, NamedArtifact] = {}
        self._spilled: dict[str, NamedArtifact] = {}

    def leaves_of(self, lines: Iterable[bytes]) -> Iterator[str]:
        for raw in lines:
            self.lines += 1
            self.timeline.add(raw + b"\n")
            found = self.check.take(raw)
            if found is not None:
                self._take(found.event, raw)
            leaf = leaf_hash(raw) if found is None else found.leaf
            self.leaves.add(bytes.fromhex(leaf))
            yield leaf

    def _take(self, event: Mapping[str, Any], raw: bytes) -> None:
        self.status.take(event)
        kind, payload = event.get("type"), members(event, "payload")
        if kind == "terminal_output":
            self._terminal_output(payload)
        elif kind == "artifact_added":
            self._artifact_added(payload)
        elif kind in ("step_started", "step_completed"):
            self._steps.add(text(payload, "step_id") or "")
        if kind != "artifact_added" and b'"artifact_id"' in raw:
            self._spilled.update((each.artifact_id, each) for each in _spilled(payload))
        for redaction in items(event, "redactions"):
            if isinstance(redaction, Mapping):
                self._redaction(event, redaction)

    def _terminal_output(self, payload: Mapping[str, Any]) -> None:
        step, stream = text(payload, "step_id") or "main", text(payload, "stream") or "stdout"
        self._steps.add(step)
        data = text(payload, "data") or ""
        try:
            content = base64.b64decode(data) if payload.get("encoding") == "base64" else data.encode()
        except ValueError:
            return
        if (step, stream) not in self._streams:
            self._streams[step, stream] = self._output.stream()
        self._streams[step, stream].add(content)

    def _artifact_added(self, payload: Mapping[str, Any]) -> None:
        artifact_id, sha256 = text(payload, "artifact_id"), text(payload, "sha256")
        if artifact_id and sha256:
            name, kind = plain_name(text(payload, "name") or ""), text(payload, "kind") or "other"
            media_type = text(payload, "media_type")
            found = NamedArtifact(
                plain_name(artifact_id), name, kind, count(payload, "bytes"), sha256, media_type
            )
            self._artifacts[f"{found.artifact_id}/{name}"] = found

    def _redaction(self, event: Mapping[str, Any], redaction: Mapping[str, Any]) -> None:
        rule = text(redaction, "rule") or ""
        self.by_rule[rule] = self.by_rule.get(rule, 0) + count(redaction, "count")
        place = {"event_id": text(event, "event_id"), "pointer": text(redaction, "pointer"), "rule": rule}
        comma = "," if self.redacted_fields.digest.size else ""
        self.redacted_fields.add((comma + plain_json(place)).encode())

    def artifact_files(self) -> dict[str, NamedArtifact]:
        """Artifacts by their place in the bundle: what a step wrote is found with its output."""
        found = {}
        recorded = set()
        for path, artifact in self._artifacts.items():
            output = artifact.kind == LOG_KIND and self._is_output(artifact.name)
            found[f"terminal/{artifact.name}" if output else f"artifacts/{path}"] = artifact
            recorded.add(artifact.artifact_id)
        for artifact_id, artifact in self._spilled.items():
            if artifact_id not in recorded:
                found[f"artifacts/{artifact_id}/{SPILLED_NAME}"] = artifact
        return found

    def terminal_files(self) -> dict[str, SpooledStream]:
        taken = self.artifact_files()
        joined = {
            f"terminal/{plain_name(f'{step}.{stream}.log')}": found
            for (step, stream), found in self._streams.items()
        }
        return {name: found for name, found in joined.items() if name not in taken}

    def _is_output(self, name: str) -> bool:
        step, _, stream = name.removesuffix(".log").rpartition(".")
        return name.endswith(".log") and step in self._steps and stream in ("stdout", "stderr")


def _spilled(value: Any) -> Iterator[NamedArtifact]:
    """Every text that left a payload for its length (runs-api.md 3.3)."""
    if isinstance(value, Mapping):
        artifact_id, sha256 = text(value, "artifact_id"), text(value, "sha256")
        if value.keys() == _SPILLED and artifact_id and sha256:
            yield NamedArtifact(
                plain_name(artifact_id), SPILLED_NAME, "other", count(value, "bytes"), sha256, None, False
            )
        else:
            for inner in value.values():
                yield from _spilled(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _spilled(inner)
