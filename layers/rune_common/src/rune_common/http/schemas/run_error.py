"""Errors of the Runtime Runs API on the wire (runs-api.md 1.4)."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class RunErrorBody(BaseModel):
    """`code` is contractual, `message` is not. `details.fields`: `{path, reason}` of what does not fit."""

    code: str
    message: str
    request_id: str
    details: dict[str, Any] = {}


class RunErrorView(BaseModel):
    error: RunErrorBody
