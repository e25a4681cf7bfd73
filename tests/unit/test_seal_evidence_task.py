"""The consumer that seals: it acts on ends, and counts what its check found (runs-api.md 7.1, 8)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.unit.evidence_place import RUN, Place

from rune_common.adapters.dynamodb_stream import RunMoved
from rune_common.adapters.scratch_files import ScratchFiles
from rune_common.domain.runs import RunState
from rune_common.tasks import seal_evidence
from rune_common.usecases.seal_evidence import find_sealed


@pytest.fixture
def place() -> Iterator[Place]:
    with ScratchFiles() as scratch:
        found = Place(scratch)
        found.work()
        yield found


@pytest.fixture
def services(place: Place, build_services: Callable[..., Any]) -> Any:
    ports = {"runs": place.runs, "blobs": place.blobs, "evidence_keys": place.ports.keys}
    return build_services(ports)


def moved(before: RunState, after: RunState) -> RunMoved:
    return RunMoved("default", RUN, before, after)


def test_an_end_is_sealed_and_repeating_it_changes_nothing(place: Place, services: Any) -> None:
    place.end()
    for _ in range(2):
        seal_evidence.consume(moved(RunState.RUNNING, RunState.SUCCEEDED), services)
    sealed = find_sealed("default", RUN, blobs=place.blobs)
    assert sealed is not None
    assert (sealed.verified, sealed.at_sequence) == (True, place.size)


def test_other_moves_are_passed_over(place: Place, services: Any) -> None:
    seal_evidence.consume(moved(RunState.QUEUED, RunState.RUNNING), services)
    assert find_sealed("default", RUN, blobs=place.blobs) is None
