"""From what was read about a pod to the cause of its trouble (holmes-driver.md 6.1, step 4)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rune.sandbox.ollama.kubectl_text import Container, Pod, PodDescription

TELLING = re.compile(r"\b(FATAL|ERROR|panic)\b|Exception")
MISSING = re.compile(
    r'(configmap|secret)s? "([^"]+)" not found|references non-existent (configmap|secret) key: (\S+)'
)
LOG_METADATA = re.compile(r"^=+$\nLOG QUERY METADATA", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Finding:
    """One pod's trouble: a short cause, the line that shows it as it was read, and what to do."""

    namespace: str
    name: str
    cause: str
    quote: str
    action: str

    @property
    def pod(self) -> str:
        return f"{self.namespace}/{self.name}"

    def line(self) -> str:
        return f"{self.pod}: {self.cause}" + (f" ({self.quote})" if self.quote else "")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known about a suspect. `unread` is the reason its description could not be had, if so."""

    pod: Pod
    description: PodDescription
    logs: str = ""
    unread: str | None = None
    nodes: tuple[str, ...] = ()


Cause = tuple[str, str, str]
"""cause, quoted line, recommended action."""


def find_cause(evidence: Evidence) -> Finding:
    """The first cause that explains the pod; what the table alone shows when nothing else does."""
    pod = evidence.pod
    for explain in EXPLANATIONS:
        if (cause := explain(evidence)) is not None:
            return Finding(pod.namespace, pod.name, *cause)
    seen = f"status {pod.status}, {pod.ready}/{pod.total} containers ready, {pod.restarts} restarts"
    if evidence.unread is not None:
        return Finding(
            pod.namespace,
            pod.name,
            f"{seen}; its details could not be read",
            evidence.unread,
            LOOK,
        )
    warning = next(
        (e.message for e in reversed(evidence.description.events) if e.type == "Warning"),
        "",
    )
    return Finding(pod.namespace, pod.name, seen, warning, LOOK)


LOOK = "Look at the pod's events and logs."


def _evicted(evidence: Evidence) -> Cause | None:
    fields = evidence.description.fields
    if "Evicted" not in (evidence.pod.status, fields.get("Reason")):
        return None
    told = fields.get("Message") or next(iter(evidence.description.warnings("Evicted")), "")
    return (
        "Evicted from its node",
        told,
        "Free the resource the node ran out of, or lower the pod's use of it.",
    )


def _image(evidence: Evidence) -> Cause | None:
    reasons = {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
    }
    container = _with_reason(evidence, reasons)
    if container is None and evidence.pod.status.removeprefix("Init:") not in reasons:
        return None
    image = container.get("Image") if container else ""
    failed = evidence.description.warnings("Failed", "InspectFailed", "ErrImageNeverPull")
    told = next((m for m in failed if "pull image" in m or image and image in m), "")
    if not image and (quoted := re.search(r'image "([^"]+)"', told)):
        image = quoted[1]
    reason = evidence.pod.status.removeprefix("Init:")
    reason = (
        reason
        if reason in reasons
        else next(iter(container.said("Reason") if container else []), "ErrImagePull")
    )
    return (
        f"{reason}: the image {image} cannot be pulled",
        told,
        "Correct the image name or tag, or the pull secret.",
    )


def _config(evidence: Evidence) -> Cause | None:
    reason = "CreateContainerConfigError"
    if _with_reason(evidence, {reason}) is None and evidence.pod.status.removeprefix("Init:") != reason:
        return None
    told = next(
        (m for m in evidence.description.warnings("Failed") if "not found" in m or "non-existent" in m),
        "",
    )
    missing = MISSING.search(told)
    if missing is None:
        return reason, told, "Create what the container's configuration refers to."
    kind = "config map" if (missing[1] or missing[3]) == "configmap" else "secret"
    name = missing[2] or missing[4]
    return (
        f"{reason}: {kind} {name} is missing",
        told,
        f"Create the {kind} {name}, or correct the reference.",
    )


def _memory(evidence: Evidence) -> Cause | None:
    for container in evidence.description.containers:
        if "OOMKilled" in container.said("Reason") or "137" in container.said("Exit Code"):
            limit = container.get("Limits/memory")
            reason = next(
                iter(r for r in container.said("Reason") if r == "OOMKilled"),
                "exit code 137",
            )
            cause = f"{reason}: container {container.name} exceeded its memory limit" + (
                f" of {limit}" if limit else ""
            )
            quote = f"Limits: memory: {limit}" if limit else "no memory limit is set"
            return (
                cause,
                quote,
                "Raise the memory limit, or lower the memory the container needs.",
            )
    if evidence.pod.status.removeprefix("Init:") == "OOMKilled":
        return (
            "OOMKilled: a container exceeded its memory limit",
            "OOMKilled",
            "Raise the memory limit.",
        )
    return None


def _scheduling(evidence: Evidence) -> Cause | None:
    failed = evidence.description.warnings("FailedScheduling")
    if not failed or evidence.pod.status != "Pending":
        return None
    action = "Add capacity, or lower what the pod requests."
    if evidence.nodes:
        action += f" Not ready: {', '.join(evidence.nodes)}."
    return "Pending: FailedScheduling", failed[-1], action


def _crash(evidence: Evidence) -> Cause | None:
    container = _with_reason(evidence, {"CrashLoopBackOff", "Error", "RunContainerError", "StartError"})
    shown = evidence.pod.status.removeprefix("Init:")
    if container is None and shown not in (
        "CrashLoopBackOff",
        "Error",
        "RunContainerError",
    ):
        return None
    code = next(iter(container.said("Exit Code") if container else []), "")
    restarts = evidence.pod.restarts
    what = f"{shown if shown != 'Running' else 'CrashLoopBackOff'}: the container keeps exiting"
    what += f" ({f'exit code {code}, ' if code else ''}{restarts} restarts)"
    told = telling_line(evidence.logs) or next(iter(evidence.description.warnings("BackOff")), "")
    probe = next(iter(evidence.description.warnings("Unhealthy")), "")
    if probe.startswith("Liveness"):
        what += ", killed by its liveness probe"
        told = told or probe
    return (
        what,
        told,
        "Fix what the quoted line reports, then let the workload start the pod anew.",
    )


def _probe(evidence: Evidence) -> Cause | None:
    failed = evidence.description.warnings("Unhealthy")
    if not failed or evidence.pod.ready >= evidence.pod.total:
        return None
    kind = failed[-1].split(" ", 1)[0]
    return (
        f"Not ready: {kind} probe failed",
        failed[-1],
        "Check what the probe asks for and why it is refused.",
    )


def _node(evidence: Evidence) -> Cause | None:
    told = evidence.description.warnings("NodeNotReady")
    name = evidence.pod.node
    if not told and name not in evidence.nodes:
        return None
    return (
        f"Node {name} is not ready",
        told[-1] if told else f"{name} NotReady",
        f"Repair the node {name}.",
    )


EXPLANATIONS: tuple[Callable[[Evidence], Cause | None], ...] = (
    _evicted, _image, _config, _memory, _scheduling, _node, _crash, _probe,
)  # fmt: skip


def _with_reason(evidence: Evidence, reasons: set[str]) -> Container | None:
    found = (c for c in evidence.description.containers if reasons.intersection(c.said("Reason")))
    return next(found, None)


def telling_line(logs: str) -> str:
    """The last log line with FATAL, ERROR, Exception or panic; else the last line; empty without logs."""
    lines = [line.strip() for line in _log_lines(logs)]
    return next(
        (line for line in reversed(lines) if TELLING.search(line)),
        lines[-1] if lines else "",
    )


def _log_lines(logs: str) -> Iterable[str]:
    end = LOG_METADATA.search(logs)
    body = logs[: end.start()] if end else logs
    return [line for line in body.splitlines() if line.strip() and line.strip() != "[TRUNCATED]"]
