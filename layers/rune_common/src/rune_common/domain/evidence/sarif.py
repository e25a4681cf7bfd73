"""Findings as SARIF 2.1.0 (runs-api.md 7.2, 11.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rune_common.domain.json_fields import text

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
FINGERPRINT = "runeFingerprint/v1"
_LEVELS = {"P0": "error", "P1": "error", "P2": "warning", "P3": "note"}
_SECURITY_SEVERITIES = {"P0": "9.0", "P1": "7.0", "P2": "4.0", "P3": "1.0"}
_SUPPRESSED = {"waived": "accepted", "false_positive": "accepted"}


def sarif(findings: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """One run of the tool `rune`; waived findings and false positives are there, suppressed."""
    known = list(findings)
    rules = sorted({_rule(each) for each in known})
    driver = {"name": "rune", "rules": [{"id": rule} for rule in rules]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": list(map(_result, known)),
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(finding: Mapping[str, Any]) -> str:
    return text(finding, "rule_id") or "unknown"


def _result(finding: Mapping[str, Any]) -> dict[str, Any]:
    severity = str(finding["severity"])
    said = text(finding, "message") or text(finding, "title") or _rule(finding)
    found: dict[str, Any] = {
        "ruleId": _rule(finding),
        "level": _LEVELS[severity],
        "message": {"text": said},
        "partialFingerprints": {FINGERPRINT: finding["fingerprint"]},
        "properties": {
            "security-severity": _SECURITY_SEVERITIES[severity],
            "severity": severity,
            "state": finding["state"],
        },
    }
    path = text(finding, "path")
    if path:
        location: dict[str, Any] = {"artifactLocation": {"uri": path}}
        region = _region(finding)
        found["locations"] = [{"physicalLocation": location | ({"region": region} if region else {})}]
    if finding["state"] in _SUPPRESSED:
        found["suppressions"] = [{"kind": "external", "status": _SUPPRESSED[finding["state"]]}]
    return found


def _region(finding: Mapping[str, Any]) -> dict[str, int]:
    lines = {"startLine": finding.get("line_start"), "endLine": finding.get("line_end")}
    found = {name: line for name, line in lines.items() if type(line) is int and line >= 1}
    return found if "startLine" in found else {}
