"""A driver that does as it is told, for whatever asks agents."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rune_common.domain.driver_protocol import DriverEvent, DriverResult, DriverSuccess, failure

Json = dict[str, Any]
TOOL = ("start_tool_calling", {"tool_name": "bash", "id": "call-1", "params": {}})


class Call:
    def __init__(self, events: Sequence[DriverEvent], result: DriverResult, holds: bool) -> None:
        self._events, self._result, self._holds = events, result, holds
        self._cancelled = threading.Event()

    def events(self) -> Iterator[DriverEvent]:
        yield from self._events
        if self._holds:
            assert self._cancelled.wait(10)

    def result(self) -> DriverResult:
        return failure("cancelled", "cancelled") if self._cancelled.is_set() else self._result

    def cancel(self, reason: str) -> None:
        self._cancelled.set()


class Driver:
    """Answers with the question's last word; `says` has other ends, by question. `holds`: until it is stopped."""

    def __init__(self) -> None:
        self.says: dict[str, DriverResult] = {}
        self.holds: set[str] = set()
        self.asked: list[Json] = []

    def start(self, action: str, params: Json, *, request_id: str, deadline: float) -> Call:
        question = params["question"]
        self.asked.append(params)
        said = self.says.get(question) or answer(f"[{question}]")
        event = DriverEvent(TOOL[0], 1, 1, dict(TOOL[1]))
        tools = [] if getattr(said, "retryable", False) else [event]
        return Call(tools, said, question in self.holds)


def answer(text: str) -> DriverSuccess:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "llm_calls": 1}
    metadata = {"agent_version": "0.45.0", "warnings": ["no_cluster_access"]}
    telemetry = {"tokens": {"output": 5, "total": 15}}
    return DriverSuccess({"answer": text, "token_usage": usage, "metadata": metadata, "telemetry": telemetry})


class Folders:
    @contextmanager
    def open(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
