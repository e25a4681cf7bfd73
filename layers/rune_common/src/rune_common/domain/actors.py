"""Who made an event happen, as the event tells it (runs-api.md 3.1)."""

from __future__ import annotations

from rune_common.domain.access import Principal


def actor_of(caller: Principal) -> dict[str, str]:
    """An event's `actor_detail`. The status's `created_by` is the one of the log's first event."""
    return {"kind": "human" if caller.kind == "human" else "service", "id": caller.subject}
