"""Run ids: UUIDv7, in order of creation."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

from rune_common.adapters.ids import new_run_id
from rune_common.domain.jobs import checked_job_id


def test_an_id_is_a_uuid_of_version_seven_with_the_time_in_it() -> None:
    before = time.time_ns() // 1_000_000
    found = uuid.UUID(new_run_id())
    after = time.time_ns() // 1_000_000
    assert (found.version, found.variant) == (7, uuid.RFC_4122)
    # Ids made faster than the clock ticks run ahead of it by fractions of a millisecond.
    assert before <= found.int >> 80 <= after + 1
    assert checked_job_id(str(found)) == str(found)


def test_ids_of_one_process_ascend() -> None:
    found = [new_run_id() for _ in range(20_000)]
    assert found == sorted(set(found))


def test_ids_made_at_once_are_all_different() -> None:
    with ThreadPoolExecutor(8) as pool:
        found = [
            each for part in pool.map(lambda _: [new_run_id() for _ in range(500)], range(8)) for each in part
        ]
    assert len(set(found)) == len(found)


def test_the_random_part_differs() -> None:
    tails = {new_run_id()[-17:] for _ in range(1000)}
    assert len(tails) == 1000
