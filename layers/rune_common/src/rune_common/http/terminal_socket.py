"""`runtime.terminal.v1` as an ASGI WebSocket (runs-api.md 5.1 to 5.3), under both prefixes."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from rune_common.domain.access import Principal
from rune_common.domain.errors import FieldProblem, Forbidden, InvalidRequest
from rune_common.domain.runs import Run
from rune_common.domain.terminal import AUTH_SECONDS, HEARTBEAT_SECONDS, PROTOCOL, Terminal, terminal_session
from rune_common.domain.terminal_frames import frame_text
from rune_common.domain.terminal_inputs import LATE, Appended, Input, Opened, Received, Signal
from rune_common.http.authentication import OpenRouter
from rune_common.http.dialects import error_answer
from rune_common.http.edge import answer
from rune_common.http.event_stream import log_tails
from rune_common.http.run_replies import RUNS, RUNTIME_RUNS
from rune_common.http.terminal_access import caller_of, known_caller, refused, same_site
from rune_common.usecases.log_tails import LogTail
from rune_common.usecases.open_streams import OpenStreams
from rune_common.usecases.open_terminal import open_terminal
from rune_common.wiring import Services

router = OpenRouter(tags=["runs"])

logger = logging.getLogger("rune.streams")


@router.websocket(f"{RUNS}/{{run_id}}/terminal")
@router.websocket(f"{RUNTIME_RUNS}/{{run_id}}/terminal")
async def follow_terminal(websocket: WebSocket, run_id: str) -> None:
    """Refuse the handshake, or serve the connection to its end."""
    services: Services = websocket.app.state.services
    if PROTOCOL not in websocket.scope.get("subprotocols", ()):
        await _deny(
            websocket,
            InvalidRequest(FieldProblem("Sec-WebSocket-Protocol", "missing", f"must be {PROTOCOL}")),
        )
    elif not same_site(websocket, services):
        await _deny(websocket, Forbidden("pages of another site"))
    else:
        await websocket.accept(subprotocol=PROTOCOL)
        with suppress(WebSocketDisconnect):
            await _Connection(websocket, run_id, services).serve()


async def _deny(websocket: WebSocket, error: Exception) -> None:
    found = error_answer(error, websocket.scope["path"], websocket.state.request_id)
    await websocket.send_denial_response(answer(found))


class _Connection:
    def __init__(self, websocket: WebSocket, run_id: str, services: Services) -> None:
        self._socket, self._run_id, self._services = websocket, run_id, services
        self._state = Terminal()
        self._now = asyncio.get_running_loop().time
        self._spoken = self._now()

    async def serve(self) -> None:
        """Raises WebSocketDisconnect when the client is gone."""
        try:
            caller = await self._caller()
            if caller is not None:
                await self._serve(caller)
        except WebSocketDisconnect:
            raise
        except Exception as exc:
            ending = refused(exc)
            if ending.code == "RUN_STREAM_INTERNAL":
                logger.exception("a terminal broke")
            await self._feed(ending)

    async def _caller(self) -> Principal | None:
        """None when the connection was ended."""
        found = await known_caller(self._socket, self._run_id, self._services)
        if found is not None:
            return found
        try:
            message = await asyncio.wait_for(self._socket.receive(), AUTH_SECONDS)
        except TimeoutError:
            await self._feed(LATE)
            return None
        await self._feed(_received(message))
        if self._state.closed:
            return None
        return await caller_of(self._socket, self._state.token, self._run_id, self._services)

    async def _serve(self, caller: Principal) -> None:
        streams = _open_sockets(self._socket, self._services)
        streams.take(caller)
        try:
            run, opened = await self._open(caller)
            await self._feed(opened)
            tails = await log_tails(self._socket, self._services)
            async with tails.follow(run.tenant, run.run_id, runs=self._services.runs) as tail:
                await self._follow(tail)
        finally:
            streams.release(caller)

    async def _open(self, caller: Principal) -> tuple[Run, Opened]:
        query = self._socket.query_params
        return await asyncio.to_thread(
            open_terminal,
            self._run_id,
            caller,
            cursor=query.get("cursor"),
            acknowledges=query.get("ack") == "1",
            runs=self._services.runs,
        )

    async def _follow(self, tail: LogTail) -> None:
        """Send what the log has and answer what the client says, until one of them is at its end."""
        receiving = asyncio.create_task(self._socket.receive())
        reading: asyncio.Task[Any] | None = None
        try:
            while not self._state.closed:
                if reading is None and self._state.ready:
                    reading = asyncio.create_task(tail.after(self._state.position))
                waiting = {receiving} if reading is None else {receiving, reading}
                quiet = max(0.0, self._spoken + HEARTBEAT_SECONDS - self._now())
                done, _ = await asyncio.wait(waiting, timeout=quiet, return_when=asyncio.FIRST_COMPLETED)
                if receiving in done:
                    before = self._state.position
                    await self._feed(_received(receiving.result()))
                    receiving = asyncio.create_task(self._socket.receive())
                    if reading is not None and self._state.position != before:
                        reading.cancel()
                        reading = None
                elif reading is not None and reading in done:
                    events, reading = reading.result(), None
                    for event in events:
                        await self._feed(Appended(event))
                elif not done:
                    await self._feed(Signal.SILENT)
        finally:
            receiving.cancel()
            if reading is not None:
                reading.cancel()

    async def _feed(self, given: Input) -> None:
        self._state, frames = terminal_session(self._state, given)
        for frame in frames:
            self._spoken = self._now()
            if self._socket.client_state is not WebSocketState.CONNECTED:
                raise WebSocketDisconnect(1005)
            await self._socket.send_text(frame_text(frame))
            if (code := frame.get("close_code")) is not None:
                await self._socket.close(code)


def _received(message: Any) -> Received:
    """Raises WebSocketDisconnect."""
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    return Received(message.get("text"))


def _open_sockets(websocket: WebSocket, services: Services) -> OpenStreams:
    """The terminals that this application has open."""
    state = websocket.app.state
    if not hasattr(state, "open_sockets"):
        state.open_sockets = OpenStreams(services.settings.streams_per_token)
    found: OpenStreams = state.open_sockets
    return found
