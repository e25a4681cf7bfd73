"""Errors on the wire (jobs-api.md 1.2)."""

from __future__ import annotations

from pydantic import BaseModel


class FieldProblemView(BaseModel):
    """One field that does not fit: its dotted name and the rule, never the value."""

    field: str
    code: str
    message: str


class ErrorView(BaseModel):
    """Every error of the Jobs API; `details` only for invalid requests."""

    error: str
    code: str
    request_id: str
    details: list[FieldProblemView] = []
