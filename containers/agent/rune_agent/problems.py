"""The one exception of the agent: a condition with an error code of the protocol (holmes-driver.md 2.6)."""

from __future__ import annotations

from rune_common.domain.driver_protocol import DriverFailure, Json, failure


class AgentProblem(Exception):
    """`code` is a driver error code; `text` one English sentence for people, without addresses or values."""

    def __init__(self, code: str, text: str, details: Json | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.details = details or {}

    def failure(self) -> DriverFailure:
        return failure(self.code, self.text, self.details)
