"""The phases of a benchmark on a rented GPU, as data: how a job is kept in one, and how one sees that it is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Simulator = Literal["market", "models"]
"""The provider, or the model servers of what is rented."""

SEARCH = {"method": "POST", "path": "*/bundles/*"}
RENT = {"method": "PUT", "path": "*/asks/*"}
LOOK = {"method": "GET", "path": "*/instances/[0-9]*"}
LIST = {"method": "GET", "path": "*/v1/instances/"}
DESTROY = {"method": "DELETE", "path": "*/instances/*"}
ANYTHING = {"path": "/api/*"}
READY = {"method": "GET", "path": "/api/[vt]*"}
SHOW = {"method": "POST", "path": "/api/show"}
PULL = {"method": "POST", "path": "/api/pull"}
WARM_UP = {"method": "POST", "path": "/api/generate"}

FOR_EVER = 60
"""Seconds that outlast every deadline of this suite."""


@dataclass(frozen=True, slots=True)
class SimFault:
    """What a simulator is told to do wrong: the arguments of its `fault`."""

    simulator: Simulator
    kind: str
    match: Mapping[str, str] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def arguments(self) -> dict[str, Any]:
        where = {"match": dict(self.match)} if self.match else {}
        return {"kind": self.kind, **where, **self.options}


@dataclass(frozen=True, slots=True)
class Request:
    """A simulator was asked this since the job was submitted."""

    simulator: Simulator
    match: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class InLog:
    """The job's log has an event of this name."""

    name: str


@dataclass(frozen=True, slots=True)
class DriverAsked:
    """The driver has been started for the job."""


@dataclass(frozen=True, slots=True)
class After:
    """So many seconds after the job was accepted, wherever it is."""

    seconds: float


Sign = Request | InLog | DriverAsked | After


@dataclass(frozen=True, slots=True)
class Phase:
    """`holds` keep the job there for as long as a strike takes, `long_holds` past its deadline."""

    name: str
    sign: Sign
    holds: tuple[SimFault, ...] = ()
    long_holds: tuple[SimFault, ...] = ()
    question: str = "answered"
    long_question: str = "answered"


def _market(kind: str, match: Mapping[str, str] | None = None, **options: Any) -> tuple[SimFault, ...]:
    return (SimFault("market", kind, match, options),)


def _models(kind: str, match: Mapping[str, str], **options: Any) -> tuple[SimFault, ...]:
    return (SimFault("models", kind, match, options),)


ADMIT = Phase("admit", After(0))
SEARCHING = Phase("search", Request("market", SEARCH), _market("hang", SEARCH), _market("hang", SEARCH))
CREATE = Phase("create", Request("market", RENT), _market("hang", RENT), _market("hang", RENT))
CREATE_UNHEARD = Phase("create_unheard", Request("market", RENT), _market("latency", RENT, seconds=2))
"""The create call arrives, and its answer finds nobody when the caller has gone meanwhile."""

BOOT = Phase("boot", Request("market", LOOK), _market("stuck_loading"), _market("stuck_loading"))
WAIT_READY = Phase(
    "wait_ready",
    Request("models", READY),
    _models("status", READY, status=503),
    _models("status", READY, status=503),
)
PULLING = Phase("pull", Request("models", PULL), _models("latency", PULL, seconds=3), _models("hang", PULL))
WARMING_UP = Phase(
    "warm_up", Request("models", WARM_UP), _models("latency", WARM_UP, seconds=3), _models("hang", WARM_UP)
)
ASK = Phase("ask", DriverAsked(), question="sleep:3 answered", long_question=f"sleep:{FOR_EVER}")
ASKED = Phase(
    "asked",
    InLog("agent.tool_call"),
    question="called tool sleep:3 answered",
    long_question=f"called tool sleep:{FOR_EVER}",
)
"""From here on the model was asked something, so the attempt is not repeated."""

RECORD = Phase("record", InLog("agent.ask"))
TEARDOWN = Phase(
    "teardown",
    Request("market", DESTROY),
    _market("delete_ignored", seconds=3),
    _market("delete_ignored", seconds=12),
)

PHASES = (
    ADMIT,
    SEARCHING,
    CREATE,
    CREATE_UNHEARD,
    BOOT,
    WAIT_READY,
    PULLING,
    WARMING_UP,
    ASK,
    ASKED,
    RECORD,
    TEARDOWN,
)

MOMENTS = tuple(
    Phase(f"after_{seconds:g}s", After(seconds)) for seconds in (0.2, 0.4, 0.6, 0.8, 1.2, 1.6, 2, 2.5)
)
"""Nothing holds the job: the strike meets whatever is being done just then."""
