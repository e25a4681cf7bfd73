"""What every simulator shares: a loopback server, a clock, faults, a request log and control routes.

holmes-driver.md 6. A subclass answers requests in `handle`; it may also know fault kinds of its own.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, ClassVar, Self

from rune.sandbox.clock import Clock
from rune.sandbox.connection import SimServer
from rune.sandbox.exchange import Cut, SimRequest, SimResponse
from rune.sandbox.faults import COMMON_KINDS, BadFault, Fault, FaultPlan, apply_common
from rune.sandbox.request_log import LoggedRequest, RequestLog

__all__ = [
    "Clock",
    "Cut",
    "Fault",
    "LoggedRequest",
    "SandboxRefused",
    "SimRequest",
    "SimResponse",
    "Simulator",
    "refuse_in_aws",
]

log = logging.getLogger(__name__)

CONTROL_PREFIX = "/_sandbox/"
AWS_MARKERS = (
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "ECS_CONTAINER_METADATA_URI",
    "ECS_CONTAINER_METADATA_URI_V4",
)


class SandboxRefused(RuntimeError):
    """The sandbox was asked to start where real work is done."""


def refuse_in_aws(environ: Mapping[str, str]) -> None:
    """Raise SandboxRefused inside Lambda or ECS: an answer invented there could pass for a real one."""
    managed = environ.get("AWS_EXECUTION_ENV", "").startswith(("AWS_Lambda", "AWS_ECS"))
    if managed or any(environ.get(name) for name in AWS_MARKERS):
        raise SandboxRefused("simulators do not start inside Lambda or ECS")


class Simulator:
    """An HTTP(S) server on 127.0.0.1 that a `with` block starts and stops.

    `port` 0 takes a free one; `url` and `port` are valid once started. `handle` runs in one thread per
    connection, concurrently. `tls` makes it HTTPS.
    """

    name: ClassVar[str] = "simulator"
    fault_kinds: ClassVar[frozenset[str]] = frozenset()
    """Kinds this simulator knows beyond the common ones; `apply_fault` shows them."""

    def __init__(
        self,
        *,
        port: int = 0,
        clock: Clock | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.port = port
        self.clock = clock or Clock()
        self._tls = tls
        self._faults = FaultPlan(COMMON_KINDS | self.fault_kinds)
        self._log = RequestLog()
        self._server: SimServer | None = None

    # What a subclass provides.

    def handle(self, request: SimRequest) -> SimResponse:
        """Answer one request."""
        raise NotImplementedError

    def state(self) -> dict[str, object]:
        """What `GET /_sandbox/state` shows, as JSON values."""
        return {}

    def on_reset(self) -> None:
        """Return to the state at construction."""

    def apply_fault(
        self, fault: Fault, request: SimRequest, proceed: Callable[[], SimResponse]
    ) -> SimResponse:
        """The answer under a fault. Override for own `fault_kinds` and leave the rest to `super()`.

        `proceed()` is the normal answer; an answer's `cut` breaks the connection where it says.
        """
        stop = request.client_gone
        return apply_common(fault, request, proceed, clock=self.clock, stop=stop)

    # What everyone uses.

    @property
    def url(self) -> str:
        """Base address without trailing slash."""
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self.port}"

    @property
    def requests(self) -> list[LoggedRequest]:
        """All requests since the last reset, oldest first, control routes left out."""
        return self._log.entries()

    def start(self) -> None:
        """Bind and serve; OSError when the port is taken."""
        if self._server is not None:
            raise RuntimeError(f"{self.name} is already running")
        self._server = SimServer(self.port, self._answer, self._tls)
        self.port = self._server.server_address[1]
        self._server.start()

    def stop(self) -> None:
        """Stop serving and hang up on every caller; harmless when not running."""
        server, self._server = self._server, None
        if server is not None:
            server.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def fault(self, **fault: Any) -> None:
        """Add a fault, e.g. `fault(kind="status", status=429, match={"path": "/api/chat"}, times=2)`."""
        self._faults.add(fault)

    def clear_faults(self) -> None:
        self._faults.clear()

    def reset(self) -> None:
        """Forget faults, requests and all state; the clock keeps its time."""
        self.clear_faults()
        self._log.clear()
        self.on_reset()

    def pause(self, seconds: float, request: SimRequest) -> bool:
        """Hold a request for clock seconds; False when the caller hung up or the server stopped meanwhile."""
        return self.clock.sleep(seconds, stop=request.client_gone)

    # How requests get there.

    def _answer(self, request: SimRequest) -> tuple[SimResponse, Callable[[bool], None]]:
        if request.path.startswith(CONTROL_PREFIX):
            return self._control(request), lambda whole: None
        number = self._log.add(request, self.clock.time())
        fault = self._faults.pick(request)
        if fault is not None:
            self._log.note(number, fault=fault.kind)
        response = self._handled(request, fault)
        unanswered = response.cut is not None and response.cut.after_bytes is None
        self._log.note(number, status=None if unanswered else response.status)

        def done(whole: bool) -> None:
            if not whole and response.cut is None:
                self._log.note(number, abandoned=True)

        return response, done

    def _handled(self, request: SimRequest, fault: Fault | None) -> SimResponse:
        try:
            if fault is None:
                return self.handle(request)
            return self.apply_fault(fault, request, lambda: self.handle(request))
        except Exception:
            log.exception("%s failed on %s %s", self.name, request.method, request.path)
            return SimResponse.json({"error": "the simulator failed; its log has the reason"}, 500)

    def _control(self, request: SimRequest) -> SimResponse:
        try:
            return self._control_route(request)
        except (ValueError, TypeError, KeyError, AttributeError) as exc:
            return SimResponse.json({"error": str(exc)}, 400)

    def _control_route(self, request: SimRequest) -> SimResponse:
        match request.method, request.path.removeprefix(CONTROL_PREFIX):
            case "GET", "requests":
                return SimResponse.json({"requests": self._log.as_json()})
            case "GET", "state":
                shared = {
                    "simulator": self.name,
                    "time": self.clock.time(),
                    "faults": self._faults.as_json(),
                }
                return SimResponse.json({**shared, **self.state()})
            case "POST", "faults":
                self._faults.add(_object(request))
            case "DELETE", "faults":
                self.clear_faults()
            case "POST", "clock":
                self.clock.advance(float(_object(request)["advance_seconds"]))
                return SimResponse.json({"time": self.clock.time()})
            case "POST", "reset":
                self.reset()
            case _:
                return self.control(request)
        return SimResponse.json({"ok": True})

    def control(self, request: SimRequest) -> SimResponse:
        """A `/_sandbox/` route of this simulator's own; the default knows none."""
        return SimResponse.json({"error": f"no control route {request.method} {request.path}"}, 404)


def _object(request: SimRequest) -> dict[str, Any]:
    body = request.json()
    if not isinstance(body, dict):
        raise BadFault("the body must be a JSON object")
    return body
