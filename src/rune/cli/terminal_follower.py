"""Following a run's output to its end (`runs terminal`, runs-api.md 5). A lost connection is resumed."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from websockets.exceptions import InvalidHandshake, InvalidStatus, WebSocketException
from websockets.sync.client import connect

from rune.cli.client import FIRST_DELAY, LONGEST_DELAY, RETRY_SECONDS
from rune.cli.failures import CliFailure
from rune.cli.surroundings import Surroundings

PROTOCOL = "runtime.terminal.v1"
LARGEST_FRAME = 64 * 1024
SILENCE_SECONDS = 90.0
"""A server says something every 30 s; after this long its connection is lost."""

_AGAIN = frozenset({1001, 4401, 4429})
"""Close codes after which the server may be asked again; a ticket is made anew each time."""


def followed_frames(
    address: Callable[[], str], surroundings: Surroundings, cursor: int = 0
) -> Iterator[Mapping[str, Any]]:
    """Every chunk after the cursor once and in order, and the frames between; `exit` is the last.

    `address` makes a URL with a fresh ticket. Raises CliFailure when the server refuses, or stays away for 60 s.
    """
    delay, until = FIRST_DELAY, surroundings.monotonic() + RETRY_SECONDS
    while True:
        lost = "closed the connection"
        try:
            for frame in _frames(f"{address()}&cursor={cursor}"):
                if frame["type"] == "error":
                    if frame.get("close_code") not in _AGAIN:
                        raise CliFailure(f"the server: {frame['message']}", code=str(frame["code"]).lower())
                    lost = f"said: {frame['message']}"
                    continue
                delay, until = FIRST_DELAY, surroundings.monotonic() + RETRY_SECONDS
                yield frame
                if frame["type"] == "exit":
                    return
                cursor = frame["seq"] if frame["type"] == "chunk" else cursor
        except InvalidStatus as exc:
            if exc.response.status_code < 500 and exc.response.status_code != 429:
                raise CliFailure("the server refused the terminal", code="refused") from exc
            lost = f"answered {exc.response.status_code}"
        except InvalidHandshake as exc:
            raise CliFailure("the server has no terminal there", code="bad_answer") from exc
        except (OSError, WebSocketException):
            lost = "does not answer"
        if surroundings.monotonic() + delay > until:
            raise CliFailure(f"the server {lost}", code="server_unreachable")
        surroundings.sleep(delay)
        delay = min(delay * 2, LONGEST_DELAY)


def data_of(frame: Mapping[str, Any]) -> bytes:
    """The bytes of a chunk."""
    data: str = frame["data"]
    return data.encode() if frame["encoding"] == "utf8" else base64.b64decode(data)


def _frames(url: str) -> Iterator[dict[str, Any]]:
    """Until the connection is closed. Raises OSError and WebSocketException when it breaks."""
    subprotocols: Any = [PROTOCOL]
    with connect(url, subprotocols=subprotocols, max_size=LARGEST_FRAME, close_timeout=1) as socket:
        while True:
            text = socket.recv(timeout=SILENCE_SECONDS)
            frame = json.loads(text)
            if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
                raise CliFailure("the server's frames do not have the expected form", code="bad_answer")
            yield frame
