"""Owner labels: how a deployment knows its instances again (jobs-api.md 6.3)."""

from __future__ import annotations

import re
from dataclasses import dataclass

DEPLOYMENT_ID = re.compile(r"[a-z0-9-]{8,32}", re.ASCII)
_LABEL = re.compile(r"rune/([a-z0-9-]{8,32})/([A-Za-z0-9_-]{1,64})/([1-9][0-9]{9,10})", re.ASCII)
GRACE_SECONDS = 600


@dataclass(frozen=True, slots=True)
class OwnerLabel:
    """`expires_at` in epoch seconds: after it nobody needs the instance, whatever the records say."""

    deployment_id: str
    job_id: str
    expires_at: int

    def __str__(self) -> str:
        return f"rune/{self.deployment_id}/{self.job_id}/{self.expires_at}"


def owner_label(deployment_id: str, job_id: str, *, deadline_ms: int, lease_seconds: int) -> OwnerLabel:
    """The label of a job's instance. Raises ValueError for a deployment id that labels cannot hold."""
    if not DEPLOYMENT_ID.fullmatch(deployment_id):
        raise ValueError("the deployment's id must match [a-z0-9-]{8,32}")
    return OwnerLabel(deployment_id, job_id, -(-deadline_ms // 1000) + lease_seconds + GRACE_SECONDS)


def parse_label(text: str | None) -> OwnerLabel | None:
    """None for everything that is not exactly such a label: it belongs to somebody else."""
    found = _LABEL.fullmatch(text or "")
    return None if found is None else OwnerLabel(found[1], found[2], int(found[3]))
