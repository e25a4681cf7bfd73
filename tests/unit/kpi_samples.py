"""Rows of ended runs, as tests need them."""

from __future__ import annotations

from itertools import count
from typing import Any

from rune_common.domain.kpi_rows import RunRow

AS_OF = 1_790_000_000_000
DAY = 86_400_000
_numbers = count(1)


def ended(ago_ms: int, **fields: Any) -> RunRow:
    """A successful run that ended so long before AS_OF."""
    known: dict[str, Any] = {
        "run_id": f"run-{next(_numbers):06d}",
        "ended_at": AS_OF - ago_ms,
        "kind": "agent",
        "status": "completed",
        "mode": "audit_readonly",
        "exit_reason": "completed",
        "stop_class": "clean",
    }
    return RunRow(**(known | fields))
