"""Where things lie in the tables (docs/reference/tables.md): every key, index and key condition.

A tenant's name has no `#` (jobs-api.md 2), so no two things share a key, whatever a run id or an operation
may hold.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence

from rune_common.adapters.dynamodb_client import Key
from rune_common.domain.runs import RunKind, RunState

BY_TENANT = "by_tenant"
BY_KIND_STATE = "by_kind_state"
BY_DUE = "by_due"
TENANT_RANGE = "gsi1pk = :of AND gsi1sk BETWEEN :low AND :high"
KIND_STATE_RANGE = "gsi2pk = :of AND gsi2sk BETWEEN :low AND :high"
DUE_UNTIL = "gsi3pk = :of AND gsi3sk <= :high"
EVENTS_AFTER = "pk = :of AND sk BETWEEN :low AND :high"
ARTIFACTS = EVENTS_AFTER
APPROVALS = EVENTS_AFTER
METRIC_DAYS = EVENTS_AFTER
DAILY = EVENTS_AFTER
SNAPSHOTS = EVENTS_AFTER
SNAPSHOTS_PARTITION = "MODELS"
ABSENT = "attribute_not_exists(pk)"
PRESENT = "attribute_exists(pk)"

HEAD = "HEAD"
REQUEST = "REQ"
RESULT = "RESULT"
CHAIN = "CHAIN"
FOLD = "FOLD"
CONVERSATION = "CONV"
LOWEST_ID, HIGHEST_ID = "!", "~"
DUE_SHARDS = 4
DUE_STEP_MS = 120_000
"""The due index knows times in steps of two minutes, so that a beat every 30 s seldom writes to it."""


def run_partition(tenant: str, run_id: str) -> str:
    return f"T#{tenant}#R#{run_id}"


def head_key(tenant: str, run_id: str) -> Key:
    return {"pk": run_partition(tenant, run_id), "sk": HEAD}


def request_key(tenant: str, run_id: str) -> Key:
    return {"pk": run_partition(tenant, run_id), "sk": REQUEST}


def result_key(tenant: str, run_id: str) -> Key:
    return {"pk": run_partition(tenant, run_id), "sk": RESULT}


def chain_key(tenant: str, run_id: str) -> Key:
    return {"pk": run_partition(tenant, run_id), "sk": CHAIN}


def event_key(tenant: str, run_id: str, sequence: int) -> Key:
    return {"pk": run_partition(tenant, run_id), "sk": event_place(sequence)}


def event_place(sequence: int) -> str:
    return f"EVT#{sequence:012d}"


LAST_EVENT_PLACE = "EVT#~"


def artifact_key(tenant: str, run_id: str, artifact_id: str) -> Key:
    return {"pk": run_partition(tenant, run_id), "sk": f"ART#{artifact_id}"}


def approval_key(tenant: str, run_id: str, approval_id: str) -> Key:
    return {"pk": run_partition(tenant, run_id), "sk": f"APPR#{approval_id}"}


def conversation_key(tenant: str, run_id: str) -> Key:
    return {"pk": run_partition(tenant, run_id), "sk": CONVERSATION}


FIRST_APPROVAL_PLACE, LAST_APPROVAL_PLACE = "APPR#", "APPR#~"
FIRST_ARTIFACT_PLACE, LAST_ARTIFACT_PLACE = "ART#", "ART#~"


def run_metrics_key(tenant: str, run_id: str) -> Key:
    return {"pk": run_partition(tenant, run_id), "sk": "METRICS"}


def metrics_partition(tenant: str) -> str:
    return f"T#{tenant}#METRICS"


def metrics_day_key(tenant: str, day: str) -> Key:
    return {"pk": metrics_partition(tenant), "sk": metrics_day_place(day)}


def metrics_day_place(day: str) -> str:
    return f"DAY#{day}"


def producer_key(tenant: str, run_id: str, key: str) -> Key:
    return {"pk": run_partition(tenant, run_id), "sk": f"PK#{key}"}


def fold_key(tenant: str, run_id: str) -> Key:
    return {"pk": run_partition(tenant, run_id), "sk": FOLD}


def counts_key(tenant: str) -> Key:
    return {"pk": f"T#{tenant}", "sk": "COUNTS"}


def settings_key(tenant: str) -> Key:
    return {"pk": f"T#{tenant}", "sk": "SETTINGS"}


def spend_key(tenant: str, day: str) -> Key:
    return {"pk": tenant_partition(tenant), "sk": f"SPEND#{day}"}


def daily_key(tenant: str, series: str, day: str, part: int) -> Key:
    return {"pk": tenant_partition(tenant), "sk": f"{series}#{day}#{part:04d}"}


def daily_part(place: str) -> int:
    return int(place.rpartition("#")[2])


def daily_range(series: str, first_day: str, last_day: str) -> tuple[str, str]:
    return f"{series}#{first_day}#", f"{series}#{last_day}#~"


def snapshot_key(backend_url: str) -> Key:
    return {"pk": SNAPSHOTS_PARTITION, "sk": hashlib.sha256(backend_url.encode()).hexdigest()}


def rented_key(run_id: str) -> Key:
    return {"pk": f"RENTED#{run_id}", "sk": "RENTED"}


def quote_key(gpu: str) -> Key:
    return {"pk": f"GPU#{gpu}", "sk": "QUOTE"}


def claim_key(tenant: str, operation: str, key: str) -> Key:
    digest = hashlib.sha256(key.encode()).hexdigest()
    return {"pk": f"IDEM#{tenant}#{operation}#{digest}", "sk": "IDEM"}


def token_key(token_hash: str) -> Key:
    return {"pk": f"TOKEN#{token_hash}", "sk": "TOKEN"}


def failures_key(ip: str) -> Key:
    return {"pk": f"IP#{ip}", "sk": "FAILURES"}


def tenant_partition(tenant: str) -> str:
    return f"T#{tenant}"


def kind_state_partition(tenant: str, kind: RunKind, state: RunState) -> str:
    return f"T#{tenant}#{kind}#{state}"


def due_partition(run_id: str) -> str:
    return f"DUE#{zlib.crc32(run_id.encode()) % DUE_SHARDS}"


def due_partitions() -> Sequence[str]:
    return [f"DUE#{shard}" for shard in range(DUE_SHARDS)]


def due_place(due_at: int) -> str:
    """The first step at which the run is certainly due."""
    return due_place_at(-(-due_at // DUE_STEP_MS) * DUE_STEP_MS)


def due_place_at(epoch_ms: int) -> str:
    return f"{epoch_ms:015d}"


def run_of_partition(partition: str) -> tuple[str, str]:
    """Tenant and run id of a run's partition."""
    tenant, _, run_id = partition.removeprefix("T#").partition("#R#")
    return tenant, run_id


def id_bound(epoch_ms: int) -> str:
    """The lowest UUIDv7 of a millisecond."""
    digits = f"{max(0, epoch_ms):012x}"
    return f"{digits[:8]}-{digits[8:]}-7000-8000-000000000000"
