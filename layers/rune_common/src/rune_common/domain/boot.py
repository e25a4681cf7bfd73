"""What an instance's status means while it starts (jobs-api.md 6.4)."""

from __future__ import annotations

from enum import StrEnum

from rune_common.domain.gpu_market import Instance

ODD_POLLS = 2
"""So many looks in a row at an absent or `unknown` instance mean that it has failed."""

MAPPING_MS = 60_000
"""How long a running instance may be without its port."""

_FAILED = frozenset({"exited", "offline", "stopped", "frozen"})
_STARTING = frozenset({None, "loading", "rebooting"})


class Boot(StrEnum):
    WAIT = "wait"
    RUNNING = "running"
    FAILED = "failed"
    ODD = "odd"
    STRANGE = "strange"


def boot_state(instance: Instance | None) -> Boot:
    """ODD is a failure when it is seen twice; STRANGE is a word that nobody knows: wait."""
    if instance is None or instance.status == "unknown":
        return Boot.ODD
    if instance.status in _FAILED or instance.intended not in (None, "running"):
        return Boot.FAILED
    if instance.status == "running":
        return Boot.RUNNING
    return Boot.WAIT if instance.status in _STARTING else Boot.STRANGE
