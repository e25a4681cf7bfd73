"""The states of holmes-driver.md 6.2 as a kubelet would report them."""

from __future__ import annotations

from collections.abc import Callable

from rune.sandbox.kube.outcome import (
    ContainerLog,
    Note,
    Outcome,
    PodMoment,
    running,
    spread,
    terminated,
    waiting,
)

HOUR = 3600.0
EVENT_LIFE = HOUR
"""The API server forgets events after an hour."""


def outcome_of(moment: PodMoment) -> Outcome:
    """How the pod stands, by its workload's state."""
    return STATE_OUTCOMES[moment.spec.state](moment)


def healthy(moment: PodMoment) -> Outcome:
    began = moment.after(3)
    return Outcome(
        state=running(began),
        ready=True,
        started=True,
        restarts=moment.spec.restarts,
        last_state=_earlier_stop(moment),
        ready_since=moment.after(6),
        notes=(*_scheduled(moment), *_recent(moment, _start_notes(moment))),
        log=ContainerLog(_serving_lines(moment, began)),
    )


def not_ready(moment: PodMoment) -> Outcome:
    began = moment.after(3)
    why = moment.spec.reason or "Readiness probe failed: HTTP probe failed with statuscode: 503"
    lines = list(moment.spec.logs) or ["WARN  readiness: database connection pool exhausted (20/20 in use)"]
    return Outcome(
        state=running(began),
        started=True,
        restarts=moment.spec.restarts,
        last_state=_earlier_stop(moment),
        ready_since=began,
        notes=(
            *_scheduled(moment),
            *_recent(moment, _start_notes(moment)),
            _repeated(moment, "Unhealthy", why, every=10, last=4),
        ),
        log=ContainerLog(
            (
                *spread(_startup(moment), began, moment.after(7)),
                *spread(lines, moment.ago(120), moment.ago(1)),
            )
        ),
    )


def crash_loop(moment: PodMoment) -> Outcome:
    telling = list(moment.spec.logs) or ["FATAL could not open the database: connection refused"]
    previous = [*_startup(moment), "INFO  checking dependencies", *telling]
    current = [
        *_startup(moment),
        "INFO  checking dependencies",
        "WARN  dependency check slow, attempt 2 of 5",
    ]
    log = ContainerLog(
        spread(current, moment.ago(178), moment.ago(171)), spread(previous, moment.ago(490), moment.ago(482))
    )
    return _backing_off(moment, "Error", 1, log)


def oom_killed(moment: PodMoment) -> Outcome:
    telling = list(moment.spec.logs) or [
        "INFO  loaded 100000 of 400000 rows",
        f"INFO  loaded 200000 of 400000 rows, heap close to {moment.spec.memory_limit}",
    ]
    log = ContainerLog(
        spread([*_startup(moment), "INFO  loading rows"], moment.ago(178), moment.ago(171)),
        spread([*_startup(moment), "INFO  loading rows", *telling], moment.ago(490), moment.ago(482)),
    )
    return _backing_off(moment, "OOMKilled", 137, log)


def image_pull_error(moment: PodMoment) -> Outcome:
    image = moment.spec.image
    cause = moment.spec.reason or f'failed to resolve reference "{image}": {image}: not found'
    error = f"rpc error: code = NotFound desc = failed to pull and unpack image: {cause}"
    failure = f'Failed to pull image "{image}": {error}'
    back_off = f'Back-off pulling image "{image}"'
    return Outcome(
        phase="Pending",
        state=waiting("ImagePullBackOff", f"{back_off}: ErrImagePull: {cause}"),
        ready_since=moment.created,
        notes=(
            *_scheduled(moment),
            _repeated(moment, "Pulling", f'Pulling image "{image}"', every=300, last=150, normal=True),
            _repeated(moment, "Failed", failure, every=300, last=149),
            _repeated(moment, "Failed", "Error: ErrImagePull", every=300, last=149),
            _repeated(moment, "BackOff", back_off, every=20, last=9, normal=True),
            _repeated(moment, "Failed", "Error: ImagePullBackOff", every=20, last=9),
        ),
        log=ContainerLog(refusal="is waiting to start: trying and failing to pull image"),
    )


def bad_config(moment: PodMoment) -> Outcome:
    lacking = f'{moment.spec.missing_kind} "{moment.spec.missing_name}" not found'
    image = moment.spec.image
    present = f'Container image "{image}" already present on machine'
    return Outcome(
        phase="Pending",
        state=waiting("CreateContainerConfigError", lacking),
        ready_since=moment.created,
        notes=(
            *_scheduled(moment),
            _repeated(moment, "Pulled", present, every=13, last=6, normal=True),
            _repeated(moment, "Failed", f"Error: {lacking}", every=13, last=6),
        ),
        log=ContainerLog(refusal=f"is waiting to start: {lacking}: CreateContainerConfigError"),
    )


def pending(moment: PodMoment) -> Outcome:
    why = moment.spec.reason or f"0/{moment.nodes} nodes are available: {moment.nodes} Insufficient memory."
    note = _repeated(moment, "FailedScheduling", why, every=300, last=100)
    return Outcome(
        phase="Pending",
        scheduled=False,
        scheduling_message=why,
        ready_since=moment.created,
        notes=(Note(note.reason, why, note.first, note.last, note.count, "Warning", "default-scheduler"),),
    )


def evicted(moment: PodMoment) -> Outcome:
    why = moment.spec.reason or (
        "The node was low on resource: ephemeral-storage. Threshold quantity: 1073741824, "
        f"available: 402312Ki. Container {moment.spec.name} was using 3147484Ki, request is 0, "
        "has larger consumption of ephemeral-storage. "
    )
    when = moment.evicted_at
    return Outcome(
        phase="Failed",
        reason="Evicted",
        message=why,
        ready_since=when,
        notes=(
            *_recent(
                moment,
                (
                    Note("Evicted", why, when, when, type="Warning"),
                    Note(
                        "Killing", f"Stopping container {moment.spec.name}", when, when, about_container=True
                    ),
                ),
            ),
        ),
        log=ContainerLog(refusal="is not available"),
    )


def completed(moment: PodMoment) -> Outcome:
    began, ended = moment.after(2), moment.after(95)
    lines = [*_startup(moment), *(moment.spec.logs or ("INFO  processed 400000 rows",)), "INFO  done"]
    return Outcome(
        phase="Succeeded",
        state=terminated(moment, "Completed", 0, began, ended),
        ready_since=ended,
        notes=(*_scheduled(moment), *_recent(moment, _start_notes(moment))),
        log=ContainerLog(spread(lines, began, ended)),
    )


STATE_OUTCOMES: dict[str, Callable[[PodMoment], Outcome]] = {
    "healthy": healthy,
    "crash_loop": crash_loop,
    "oom_killed": oom_killed,
    "image_pull_error": image_pull_error,
    "pending": pending,
    "bad_config": bad_config,
    "not_ready": not_ready,
    "evicted": evicted,
    "completed": completed,
}


def _backing_off(moment: PodMoment, reason: str, code: int, log: ContainerLog) -> Outcome:
    name, image = moment.spec.name, moment.spec.image
    pod = f"{moment.name}_{moment.spec.namespace}({moment.uid})"
    delay = "5m0s" if moment.restarts > 5 else f"{10 * 2 ** max(moment.restarts - 1, 0)}s"
    first, again = moment.ago(EVENT_LIFE), moment.ago(178)
    starts = min(moment.restarts + 1, 13)
    cycle = tuple(
        Note(what, message, first, again, starts, about_container=True)
        for what, message in (
            ("Pulled", f'Container image "{image}" already present on machine'),
            ("Created", f"Created container: {name}"),
            ("Started", f"Started container {name}"),
        )
    )
    back_off = f"Back-off restarting failed container {name} in pod {pod}"
    return Outcome(
        state=waiting("CrashLoopBackOff", f"back-off {delay} restarting failed container={name} pod={pod}"),
        last_state=terminated(moment, reason, code, moment.ago(178), moment.ago(170)),
        restarts=moment.restarts,
        ready_since=moment.ago(170),
        notes=(*_scheduled(moment), *cycle, _repeated(moment, "BackOff", back_off, every=12, last=5)),
        log=log,
    )


def _scheduled(moment: PodMoment) -> tuple[Note, ...]:
    text = f"Successfully assigned {moment.spec.namespace}/{moment.name} to {{node}}"
    note = Note("Scheduled", text, moment.created, moment.created, component="default-scheduler")
    return _recent(moment, (note,))


def _start_notes(moment: PodMoment) -> tuple[Note, ...]:
    name, image = moment.spec.name, moment.spec.image
    messages = (
        ("Pulling", f'Pulling image "{image}"'),
        (
            "Pulled",
            f'Successfully pulled image "{image}" in 1.204s (1.204s including waiting). Image size: 48MB.',
        ),
        ("Created", f"Created container: {name}"),
        ("Started", f"Started container {name}"),
    )
    times = (moment.after(1), moment.after(2), moment.after(2), moment.after(3))
    return tuple(
        Note(what, text, at, at, about_container=True)
        for (what, text), at in zip(messages, times, strict=True)
    )


def _recent(moment: PodMoment, notes: tuple[Note, ...]) -> tuple[Note, ...]:
    return tuple(note for note in notes if moment.now - note.last < EVENT_LIFE)


def _repeated(
    moment: PodMoment, reason: str, message: str, *, every: float, last: float, normal: bool = False
) -> Note:
    first, latest = moment.ago(EVENT_LIFE), moment.ago(last)
    count = 1 + int((latest - first) // every)
    return Note(
        reason, message, first, latest, count, "Normal" if normal else "Warning", about_container=True
    )


def _earlier_stop(moment: PodMoment) -> dict[str, object]:
    if not moment.spec.restarts:
        return {}
    return terminated(moment, "Error", 1, moment.created, moment.after(2))


def _startup(moment: PodMoment) -> list[str]:
    version = moment.spec.image.rpartition(":")[2]
    return [f"INFO  starting {moment.spec.name} {version}", "INFO  configuration loaded"]


def _serving_lines(moment: PodMoment, began: float) -> tuple[tuple[float, str], ...]:
    listening = [*_startup(moment), f"INFO  listening on :{moment.spec.port}"]
    told = list(moment.spec.logs)
    beats = [f"INFO  GET /healthz 200 {2 + i % 3}ms" for i in range(12)]
    recent = spread([*told, *beats], moment.ago(125), moment.now)
    return (
        *spread(listening, began, moment.after(5)),
        *(line for line in recent if line[0] > moment.after(5)),
    )
