from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class HealthView(BaseModel):
    """The process answers; nothing else is checked."""

    status: Literal["ok"]
