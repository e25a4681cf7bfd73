"""A run's findings and gates as its events leave them (runs-api.md 2.5, 11.3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rune_common.domain.json_fields import count, members, text

SEVERITIES = ("P0", "P1", "P2", "P3")
STATES = ("open", "fixed", "resurfaced", "waived", "false_positive", "unobserved")
OPEN_STATES = frozenset({"open", "resurfaced"})
FINDING_MEMBERS = (
    "fingerprint", "finding_id", "rule_id", "severity", "severity_defaulted", "category", "title", "message",
    "path", "line_start", "line_end", "confidence", "sources", "state", "remediation",
    "first_seen_iteration", "last_seen_iteration",
)  # fmt: skip
_BLOCKING = ("P0", "P1")
_STATE_AFTER = {"finding_opened": "open", "finding_updated": None, "finding_resurfaced": "resurfaced"}


@dataclass(slots=True)
class FoldedFindings:
    """Findings by fingerprint, in order of appearance; gates by id, the newest result of each."""

    findings: dict[str, dict[str, Any]] = field(default_factory=dict)
    gates: dict[str, dict[str, Any]] = field(default_factory=dict)
    reported: Mapping[str, Any] = field(default_factory=dict)

    def add(self, event: Mapping[str, Any]) -> None:
        kind, payload = event.get("type"), members(event, "payload")
        if kind in _STATE_AFTER:
            self._seen(payload, event, _STATE_AFTER[kind])
        elif kind == "finding_resolved":
            self._resolved(payload)
        elif kind == "gate_result":
            self._gate(payload, event)

    def summary(self) -> dict[str, int]:
        """`findings_summary` of the status: the open ones; what a client reported when no event told any."""
        if not self.findings and self.reported:
            found = {severity: count(self.reported, severity) for severity in SEVERITIES}
            total = count(self.reported, "total") or sum(found.values())
            return {**found, "total": total, "blocking": _reported_blocking(self.reported, found)}
        open_ones = [each["severity"] for each in self.findings.values() if each["state"] in OPEN_STATES]
        found = {severity: open_ones.count(severity) for severity in SEVERITIES}
        blocking = sum(found[severity] for severity in _BLOCKING)
        return {**found, "total": len(open_ones), "blocking": blocking}

    def by_state(self) -> dict[str, dict[str, int]]:
        """How many findings there are of each severity in each state."""
        found = {severity: dict.fromkeys(STATES, 0) for severity in SEVERITIES}
        for finding in self.findings.values():
            found[finding["severity"]][finding["state"]] += 1
        return found

    def gate_status(self, *, final_tree: str | None, required: Iterable[str] = ()) -> str | None:
        """None without gates. A gate that reported on another tree than the final one did not report."""
        wanted = set(required) | {name for name, gate in self.gates.items() if gate["required"]}
        if not self.gates and not wanted:
            return None
        results = {self._result(name, final_tree) for name in wanted}
        if results - {"passed", "failed"}:
            return "error"
        return "blocked" if "failed" in results or self.summary()["blocking"] else "passed"

    def _result(self, name: str, final_tree: str | None) -> str:
        gate = self.gates.get(name)
        if gate is None or (final_tree and gate["tree_sha"] and gate["tree_sha"] != final_tree):
            return "missing"
        return str(gate["status"])

    def _seen(self, payload: Mapping[str, Any], event: Mapping[str, Any], state: str | None) -> None:
        given = members(payload, "finding")
        # A client's finding may have no fingerprint; its event then is what makes it one of its own.
        key = text(payload, "fingerprint") or text(given, "fingerprint") or str(event.get("event_id", ""))
        known = self.findings.get(key, {"state": "open"})
        finding = {**dict.fromkeys(FINDING_MEMBERS), **known, **given, "fingerprint": key}
        finding["severity"] = given["severity"] if given.get("severity") in SEVERITIES else "P1"
        told = given.get("state") if given.get("state") in STATES else known["state"]
        finding["state"] = state or told
        self.findings[key] = finding

    def _resolved(self, payload: Mapping[str, Any]) -> None:
        key, resolution = text(payload, "fingerprint"), text(payload, "resolution")
        if key in self.findings and resolution in STATES:
            self.findings[key] = self.findings[key] | {"state": resolution}

    def _gate(self, payload: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        name = text(payload, "gate_id") or str(event.get("event_id", ""))
        exit_code = payload.get("exit_code")
        self.gates[name] = {
            "id": name,
            "status": text(payload, "gate_status") or "error",
            "required": payload.get("required") is not False,
            "tree_sha": text(payload, "tree_sha"),
            "exit_code": exit_code if type(exit_code) is int else None,
            "event_id": event.get("event_id"),
        }


def _reported_blocking(reported: Mapping[str, Any], found: Mapping[str, int]) -> int:
    """A client says how many block, or only whether any does."""
    told = reported.get("blocking")
    worst = sum(found[severity] for severity in _BLOCKING)
    if told is True:
        return max(1, worst)
    return 0 if told is False else count(reported, "blocking") if type(told) is int else worst
