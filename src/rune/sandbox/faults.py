"""Faults a simulator can be told to show, and which request gets one (holmes-driver.md 6)."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from rune.sandbox.clock import Clock
from rune.sandbox.exchange import Cut, SimRequest, SimResponse

COMMON_KINDS = frozenset({"latency", "hang", "status", "truncate", "garbage", "reset"})
GARBAGE = b"<html><head><title>502</title></head><body>upstream connect error</body></html>\x00\xfe"
RESERVED = frozenset({"match", "kind", "times", "after", "probability", "seed"})


class BadFault(ValueError):
    """A fault that no simulator could apply; the text says why."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: `match` selects requests, `kind` names the effect, `options` are the kind's own settings.

    The first `after` matching requests are spared, then at most `times` are hit (None: no limit), each with
    `probability` drawn from a generator seeded by `seed`.
    """

    kind: str
    method: str | None = None
    path: str = "*"
    body_contains: str | None = None
    times: int | None = None
    after: int = 0
    probability: float = 1.0
    seed: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, spec: Mapping[str, Any], kinds: frozenset[str]) -> Fault:
        """Check `{"match": {"method", "path", "body_contains"}, "kind", …}`; BadFault if it cannot be."""
        match = spec.get("match") or {}
        if not isinstance(match, Mapping) or match.keys() - {
            "method",
            "path",
            "body_contains",
        }:
            raise BadFault("match takes method, path and body_contains")
        if spec.get("kind") not in kinds:
            raise BadFault(f"unknown kind {spec.get('kind')!r}; known: {', '.join(sorted(kinds))}")
        options = {k: v for k, v in spec.items() if k not in RESERVED}
        if spec["kind"] == "latency" and not isinstance(options.get("seconds"), int | float):
            raise BadFault("latency needs seconds")
        if spec["kind"] == "status" and not isinstance(options.get("status"), int):
            raise BadFault("status needs a status")
        probability = float(spec.get("probability", 1.0))
        if not 0 <= probability <= 1:
            raise BadFault("probability lies between 0 and 1")
        return cls(
            kind=str(spec["kind"]),
            method=str(match["method"]).upper() if match.get("method") else None,
            path=str(match.get("path") or "*"),
            body_contains=match.get("body_contains"),
            times=None if spec.get("times") is None else int(spec["times"]),
            after=int(spec.get("after") or 0),
            probability=probability,
            seed=spec.get("seed"),
            options=options,
        )

    def matches(self, request: SimRequest) -> bool:
        """Whether a request is this fault's concern; `path` is a case-sensitive glob over the whole path."""
        return (
            self.method in (None, "*", request.method)
            and fnmatchcase(request.path, self.path)
            and (self.body_contains is None or self.body_contains.encode() in request.body)
        )


@dataclass(slots=True)
class _Armed:
    fault: Fault
    draw: random.Random
    seen: int = 0
    hit: int = 0

    def fires(self) -> bool:
        self.seen += 1
        spent = self.fault.times is not None and self.hit >= self.fault.times
        if self.seen <= self.fault.after or spent or self.draw.random() >= self.fault.probability:
            return False
        self.hit += 1
        return True


class FaultPlan:
    """The faults in the order they were added; the first that matches and is not spent wins."""

    def __init__(self, kinds: frozenset[str] = COMMON_KINDS) -> None:
        self._kinds = kinds
        self._lock = threading.Lock()
        self._armed: list[_Armed] = []

    def add(self, spec: Mapping[str, Any]) -> None:
        fault = Fault.parse(spec, self._kinds)
        with self._lock:
            self._armed.append(_Armed(fault, random.Random(fault.seed)))

    def clear(self) -> None:
        with self._lock:
            self._armed.clear()

    def pick(self, request: SimRequest) -> Fault | None:
        with self._lock:
            return next(
                (a.fault for a in self._armed if a.fault.matches(request) and a.fires()),
                None,
            )

    def as_json(self) -> list[dict[str, Any]]:
        with self._lock:
            return [
                {
                    "kind": a.fault.kind,
                    "path": a.fault.path,
                    "method": a.fault.method,
                    "hit": a.hit,
                    "seen": a.seen,
                }
                for a in self._armed
            ]


def apply_common(
    fault: Fault,
    request: SimRequest,
    proceed: Callable[[], SimResponse],
    *,
    clock: Clock,
    stop: Callable[[], bool],
) -> SimResponse:
    """The answer under a fault all simulators know; delays follow `clock` and end once `stop()` is true."""
    match fault.kind:
        case "latency":
            clock.sleep(float(fault.options["seconds"]), stop=stop)
            return proceed()
        case "hang":
            clock.sleep(float(fault.options.get("seconds", "inf")), stop=stop)
            return SimResponse(cut=Cut(None))
        case "status":
            return _status(fault.options)
        case "truncate":
            return _truncated(proceed(), fault.options.get("bytes"))
        case "garbage":
            return SimResponse(200, GARBAGE, {"Content-Type": "application/json"})
        case "reset":
            after = fault.options.get("after_bytes")
            return SimResponse(cut=Cut(None, reset=True)) if after is None else _reset(proceed(), int(after))
    raise BadFault(f"no simulator here knows how to show {fault.kind!r}")


def _status(options: Mapping[str, Any]) -> SimResponse:
    body = options.get("body", {"error": f"simulated status {options['status']}"})
    headers = {str(k): str(v) for k, v in (options.get("headers") or {}).items()}
    if isinstance(body, str):
        return SimResponse.text(body, int(options["status"]), headers)
    return SimResponse.json(body, int(options["status"]), headers)


def _truncated(response: SimResponse, kept: int | None) -> SimResponse:
    """Half of a plain body under its full Content-Length; a stream ends inside its first chunk."""
    if isinstance(response.body, bytes):
        return replace(response, cut=Cut(len(response.body) // 2 if kept is None else int(kept)))
    return replace(response, cut=Cut(5 if kept is None else int(kept)))


def _reset(response: SimResponse, after_bytes: int) -> SimResponse:
    return replace(response, cut=Cut(after_bytes, reset=True))
