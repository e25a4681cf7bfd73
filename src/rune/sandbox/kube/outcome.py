"""What a state means for one pod: container statuses, events and logs, before they become API objects."""

from __future__ import annotations

from dataclasses import dataclass, field

from rune.sandbox.kube.parts import Json, hex_id, stamp
from rune.sandbox.kube.shapes import WorkloadSpec

Line = tuple[float, str]
"""A log line: epoch seconds and text."""


@dataclass(frozen=True, slots=True)
class PodMoment:
    """A pod at a moment: who it is, when it was made, how often its container was restarted by `now`."""

    spec: WorkloadSpec
    name: str
    uid: str
    created: float
    now: float
    restarts: int
    nodes: int
    evicted_at: float = 0.0

    def ago(self, seconds: float) -> float:
        """That many seconds before now, but never before the pod existed."""
        return max(self.created, self.now - seconds)

    def after(self, seconds: float) -> float:
        """That many seconds after the pod was made, but never later than now."""
        return min(self.created + seconds, self.now)

    @property
    def container_id(self) -> str:
        return f"containerd://{hex_id(64, self.uid, self.spec.name, self.restarts)}"


@dataclass(frozen=True, slots=True)
class Note:
    """An event: seen `count` times between `first` and `last` (epoch seconds).

    `component` reports it; `about_container` ties it to the main container rather than to the whole object.
    """

    reason: str
    message: str
    first: float
    last: float
    count: int = 1
    type: str = "Normal"
    component: str = "kubelet"
    about_container: bool = False


@dataclass(frozen=True, slots=True)
class ContainerLog:
    """What one container wrote.

    `refusal` stands in for lines that cannot be had; `previous` is None when no earlier instance ran.
    """

    current: tuple[Line, ...] = ()
    previous: tuple[Line, ...] | None = None
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The status of a pod whose main container is as `state` and `last_state` say."""

    phase: str = "Running"
    state: Json = field(default_factory=dict)
    last_state: Json = field(default_factory=dict)
    ready: bool = False
    started: bool = False
    restarts: int = 0
    scheduled: bool = True
    scheduling_message: str = ""
    reason: str = ""
    message: str = ""
    ready_since: float = 0.0
    notes: tuple[Note, ...] = ()
    log: ContainerLog = ContainerLog()


def running(since: float) -> Json:
    return {"running": {"startedAt": stamp(since)}}


def waiting(reason: str, message: str = "") -> Json:
    return {"waiting": {"reason": reason, **({"message": message} if message else {})}}


def terminated(moment: PodMoment, reason: str, code: int, started: float, finished: float) -> Json:
    return {
        "terminated": {
            "exitCode": code,
            "reason": reason,
            "startedAt": stamp(started),
            "finishedAt": stamp(finished),
            "containerID": f"containerd://{hex_id(64, moment.uid, moment.spec.name, 'last')}",
        }
    }


def spread(lines: list[str], start: float, end: float) -> tuple[Line, ...]:
    """Lines evenly between two times, the last one just before `end`."""
    step = max(end - start, 0.001) / (len(lines) + 1)
    return tuple((start + step * (i + 1), text) for i, text in enumerate(lines))
