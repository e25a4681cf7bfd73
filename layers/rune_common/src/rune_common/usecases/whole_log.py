"""Reading a run's log from its first event to its last."""

from __future__ import annotations

from collections.abc import Iterator

from rune_common.domain.events import Event
from rune_common.domain.ports import RunStore
from rune_common.domain.runs import Run


def whole_log(run: Run, runs: RunStore) -> Iterator[Event]:
    after, more = 0, True
    while more:
        page = runs.events(run.tenant, run.run_id, after=after)
        yield from page.events
        after, more = (page.events[-1].sequence if page.events else after), page.more
