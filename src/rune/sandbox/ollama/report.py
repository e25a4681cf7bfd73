"""The diagnostician's answer, and how one is read back from a conversation (holmes-driver.md 6.1, step 5)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rune.sandbox.ollama.causes import Finding
from rune.sandbox.ollama.kubectl_text import Pod

FINDING = re.compile(r"^\d+\. \*\*([^/\s*]+)/([^*\s]+)\*\* — (.+)(?:\n +> (.+))?", re.MULTILINE)
SUMMARY = re.compile(r"^## Summary\n+(.+)", re.MULTILINE)
NOTHING = re.compile(r"No unhealthy pods found[^\n]*")
UNINSPECTED = re.compile(r"The cluster could not be inspected[^\n]*")


@dataclass(frozen=True, slots=True)
class Report:
    """What an investigation came to. `inspected` is false when the cluster was not read."""

    summary: str
    findings: tuple[Finding, ...] = ()
    inspected: bool = True

    @property
    def healthy(self) -> bool:
        return self.inspected and not self.findings

    def text(self) -> str:
        """The answer in Markdown; a report without findings is its summary."""
        if not self.findings:
            return self.summary
        found = "\n".join(
            f"{n}. **{f.pod}** — {f.cause}" + (f"\n   > {f.quote}" if f.quote else "")
            for n, f in enumerate(self.findings, 1)
        )
        actions = "\n".join(f"- {f.pod}: {f.action}" for f in self.findings)
        return f"## Summary\n\n{self.summary}\n\n## Findings\n\n{found}\n\n## Recommended action\n\n{actions}"


def report_on(pods: Sequence[Pod], findings: Sequence[Finding], namespace: str | None) -> Report:
    """Sum up: `pods` are all that were listed, `findings` one per suspect."""
    if not pods:
        place = f"namespace {namespace}" if namespace else "the cluster"
        return Report(f"No unhealthy pods found: there are 0 pods in {place}.")
    where = f"namespace {namespace}" if namespace else _count(len({p.namespace for p in pods}), "namespace")
    counted = _count(len(pods), "pod")
    if not findings:
        return Report(f"No unhealthy pods found: {counted} in {where} checked, all Running or Completed.")
    verb = "is" if len(findings) == 1 else "are"
    return Report(
        f"{len(findings)} of {counted} in {where} {verb} unhealthy.",
        tuple(findings),
    )


def not_inspected(reason: str) -> Report:
    return Report(f"The cluster could not be inspected: {reason}", inspected=False)


def read_back(text: str) -> Report | None:
    """A report found in text, such as an earlier answer; None when there is none."""
    if unseen := UNINSPECTED.search(text):
        return Report(unseen.group(0), inspected=False)
    findings = tuple(Finding(m[1], m[2], m[3], m[4] or "", "") for m in FINDING.finditer(text))
    if findings:
        summary = SUMMARY.search(text)
        return Report(
            summary[1] if summary else f"{_count(len(findings), 'pod')} unhealthy.",
            findings,
        )
    nothing = NOTHING.search(text)
    return Report(nothing.group(0)) if nothing else None


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
