"""Every phase of a benchmark under every fault, as data (jobs-api.md 4.10, 17: 15, 16, 20, 21, 22)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tests.e2e.faults.phases import (
    ADMIT,
    ANYTHING,
    ASK,
    ASKED,
    BOOT,
    CREATE_UNHEARD,
    DESTROY,
    LIST,
    LOOK,
    MOMENTS,
    PHASES,
    PULL,
    PULLING,
    READY,
    RECORD,
    RENT,
    SEARCH,
    SHOW,
    TEARDOWN,
    WAIT_READY,
    WARM_UP,
    WARMING_UP,
    Phase,
    SimFault,
    Simulator,
)


class Act(StrEnum):
    """What is done to a job, or around it, once it is in its phase. They are done in this order."""

    CANCEL = "cancel"
    EXIT_INSTANCES = "exit_instances"
    KILL_WORKER = "kill_worker"
    KILL_SERVER = "kill_server"


@dataclass(frozen=True, slots=True)
class Strike:
    """`faults` are armed when the job is in its phase; `on_deadline`: the job is held until its time is over."""

    name: str
    acts: frozenset[Act] = frozenset()
    faults: tuple[SimFault, ...] = ()
    on_deadline: bool = False


@dataclass(frozen=True, slots=True)
class Combination:
    """`expected`: how the job may end, as `succeeded`, `cancelled` or `failed:<error_code>`.

    `by_reaper`: an instance may be left to a later cycle of the reaper. Otherwise the job gives it back, or the
    worker that is started after a kill.
    """

    phase: Phase
    strike: Strike
    expected: frozenset[str]
    timeout_seconds: int = 120
    by_reaper: bool = False

    @property
    def name(self) -> str:
        return f"{self.phase.name}-{self.strike.name}"


SUCCEEDED = frozenset({"succeeded"})
CANCELLED = frozenset({"cancelled"})
TIMED_OUT = frozenset({"failed:timeout"})
LOST = frozenset({"failed:worker_lost"})
FAILED = frozenset({"failed:instance_failed"})
DEADLINE_SECONDS = 10

OUTAGE = (SimFault("market", "status", ANYTHING, {"status": 503, "times": 4}),)
"""One more refusal than a call is repeated."""

WORKER_KILLED = Strike("worker_killed", frozenset({Act.KILL_WORKER}))
SERVER_KILLED = Strike("server_killed", frozenset({Act.KILL_SERVER}))
CANCEL = Strike("cancel", frozenset({Act.CANCEL}))
DEADLINE = Strike("deadline", on_deadline=True)
INSTANCE_LOST = Strike("instance_lost", frozenset({Act.EXIT_INSTANCES}))
PROVIDER_OUTAGE = Strike("outage", faults=OUTAGE)
KILLED_IN_OUTAGE = Strike("outage_worker_killed", frozenset({Act.KILL_WORKER}), OUTAGE)
CANCEL_IN_OUTAGE = Strike("outage_cancel", frozenset({Act.CANCEL}), OUTAGE)
CANCEL_AND_KILLED = Strike("cancel_worker_killed", frozenset({Act.CANCEL, Act.KILL_WORKER}))

KINDS: Mapping[str, Mapping[str, Any]] = {
    "500": {"kind": "status", "status": 500, "times": 2},
    "429": {"kind": "status", "status": 429, "times": 2},
    "401": {"kind": "status", "status": 401, "times": 2},
    "reset": {"kind": "reset", "times": 2},
    "truncate": {"kind": "truncate", "times": 2},
    "garbage": {"kind": "garbage", "times": 2},
    "hang": {"kind": "hang", "times": 1},
}
"""What a caller of any HTTP server may meet."""

MARKET_ROUTES: Mapping[str, Mapping[str, str]] = {
    "search": SEARCH,
    "rent": RENT,
    "look": LOOK,
    "list": LIST,
    "destroy": DESTROY,
}
MODEL_ROUTES: Mapping[str, Mapping[str, str]] = {
    "ready": READY,
    "show": SHOW,
    "pull": PULL,
    "generate": WARM_UP,
}
REPLY_LOST = SimFault("market", "rent_reply_lost", options={"times": 1})
"""Only after it is the list asked for: nobody knows whether there is an instance."""


def _own(name: str, kind: str, expected: frozenset[str] = SUCCEEDED, **options: Any) -> Combination:
    fault = SimFault("market", kind, options={"times": 1, **options})
    return Combination(ADMIT, Strike(name, faults=(fault,)), expected)


OWN_KINDS = (
    _own("offer_gone", "offer_gone", times=2),
    _own("rent_reply_lost", "rent_reply_lost"),
    _own("label_missing", "label_missing"),
    _own("label_refused", "label_missing", FAILED, refused=True),
    _own("stuck_loading", "stuck_loading"),
    _own("exits_while_loading", "exits_while_loading"),
    _own("always_exits", "exits_while_loading", FAILED, times=9),
    _own("becomes_offline", "becomes", seconds=0.2, status="offline"),
    _own("becomes_strange", "becomes", seconds=0.2, status="meditating"),
    _own("port_missing", "port_missing"),
    _own("no_credit", "no_credit", FAILED),
    _own("delete_ignored", "delete_ignored", times=None, seconds=3),
    _own("delete_fails", "delete_fails", times=5),
    Combination(
        ADMIT,
        Strike(
            "reply_lost_stale_list",
            faults=(REPLY_LOST, SimFault("market", "list_stale", options={"seconds": 8, "times": 5})),
        ),
        SUCCEEDED,
        by_reaper=True,
    ),
)
"""What this provider does of its own. An instance that shows after it was looked for is the reaper's."""


def matrix() -> tuple[Combination, ...]:
    """The long form."""
    return (*_phases(), *_moments(), *_market_errors(), *OWN_KINDS, *_model_errors())


def short() -> tuple[Combination, ...]:
    """A few that meet every phase and every way to strike."""
    chosen = {
        "search-cancel",
        "create_unheard-worker_killed",
        "create-outage_worker_killed",
        "boot-deadline",
        "boot-server_killed",
        "wait_ready-instance_lost",
        "pull-worker_killed",
        "warm_up-cancel_worker_killed",
        "asked-server_killed",
        "ask-cancel",
        "record-cancel",
        "teardown-worker_killed",
        "admit-destroy_500",
        "admit-list_401",
    }
    found = tuple(each for each in matrix() if each.name in chosen)
    if len(found) != len(chosen):
        raise ValueError("the short form names a combination that the long form lacks")
    return found


def _phases() -> Sequence[Combination]:
    found = []
    for phase in PHASES:
        resumed = LOST if phase is ASKED else SUCCEEDED
        # The last event that shows before the result is recorded may be too late for a cancel.
        stopped = CANCELLED | SUCCEEDED if phase is RECORD else CANCELLED
        found += [
            Combination(phase, WORKER_KILLED, resumed),
            Combination(phase, SERVER_KILLED, resumed),
            Combination(phase, CANCEL, stopped),
            Combination(phase, CANCEL_AND_KILLED, stopped),
        ]
        if phase is not RECORD:  # which asks the provider nothing and is over in a moment
            # A job with nothing left to do but its teardown ends at once when it is taken up after a kill.
            by_reaper = phase in (ASKED, TEARDOWN)
            found += [
                Combination(phase, PROVIDER_OUTAGE, SUCCEEDED),
                Combination(phase, KILLED_IN_OUTAGE, resumed, by_reaper=by_reaper),
                Combination(phase, CANCEL_IN_OUTAGE, CANCELLED),
            ]
        if phase not in (ADMIT, CREATE_UNHEARD, RECORD):
            # What was done before the deadline counts, however long the teardown takes.
            ended = SUCCEEDED if phase is TEARDOWN else TIMED_OUT
            found.append(Combination(phase, DEADLINE, ended, DEADLINE_SECONDS))
    return [*found, *(Combination(phase, INSTANCE_LOST, ended) for phase, ended in _AFTER_LOSS)]


_AFTER_LOSS: Sequence[tuple[Phase, frozenset[str]]] = (
    (BOOT, SUCCEEDED),
    (WAIT_READY, frozenset({"failed:backend_not_ready"})),
    (PULLING, frozenset({"failed:model_pull_failed"})),
    (WARMING_UP, frozenset({"failed:backend_warmup_failed"})),
    # The driver of this suite asks no model server.
    (ASK, SUCCEEDED),
    (ASKED, SUCCEEDED),
    (TEARDOWN, SUCCEEDED),
)
"""How a job ends whose instance exits: another offer is tried only until one has started."""


def _moments() -> Sequence[Combination]:
    """The driver of this suite ends within a moment, so a job has either not been asked yet or has its answer."""
    return [
        Combination(moment, strike, ended)
        for moment in MOMENTS
        for strike, ended in (
            (WORKER_KILLED, SUCCEEDED),
            (SERVER_KILLED, SUCCEEDED),
            (CANCEL, CANCELLED | SUCCEEDED),
        )
    ]


def _market_errors() -> Sequence[Combination]:
    found = []
    for route, match in MARKET_ROUTES.items():
        for name, options in KINDS.items():
            fault = _fault("market", match, options)
            faults = (REPLY_LOST, fault) if route == "list" else (fault,)
            ended = FAILED if name == "401" and route != "destroy" else SUCCEEDED
            found.append(Combination(ADMIT, Strike(f"{route}_{name}", faults=faults), ended))
    return found


def _model_errors() -> Sequence[Combination]:
    """A model server that fails a few times: some of it is waited out, some ends the job."""
    found = []
    for route, match in MODEL_ROUTES.items():
        for name in ("500", "reset", "truncate", "garbage"):
            strike = Strike(f"model_{route}_{name}", faults=(_fault("models", match, KINDS[name]),))
            found.append(Combination(ADMIT, strike, SUCCEEDED | _ENDED_BY[route]))
    return found


_ENDED_BY = {
    "ready": frozenset({"failed:backend_not_ready"}),
    "show": frozenset({"failed:backend_not_ready", "failed:driver_error", "failed:model_lacks_tools"}),
    "pull": frozenset({"failed:model_pull_failed"}),
    "generate": frozenset({"failed:backend_warmup_failed"}),
}


def _fault(simulator: Simulator, match: Mapping[str, str], options: Mapping[str, Any]) -> SimFault:
    rest = {name: value for name, value in options.items() if name != "kind"}
    return SimFault(simulator, str(options["kind"]), match, rest)
