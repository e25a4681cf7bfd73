"""A search reads a bounded number of runs for one page, and goes on where it stopped."""

from __future__ import annotations

from tests.integration.run_samples import NOON, stored
from tests.integration.test_run_store_lists import pages

from rune_common.adapters.dynamodb import DynamoRunStore
from rune_common.adapters.dynamodb_index import MOST_LOOKED_AT
from rune_common.adapters.memory import MemoryBlobStore, MemorySealer
from rune_common.domain.ports import RunFilter


def test_pages_of_a_search_may_be_empty_before_its_end(tables, table_clients):
    store = DynamoRunStore(
        tables.runs,
        table_clients["pydynox"],
        sealer=MemorySealer(),
        blobs=MemoryBlobStore(),
        retention_days=90,
    )
    wanted = stored(store, at=NOON, repo="needle")
    for turn in range(1, MOST_LOOKED_AT + 50):
        stored(store, at=NOON + turn, repo="hay")
    found = list(pages(store, RunFilter(repo="needle"), limit=5))
    assert [run for page in found for run in page.runs] == [wanted]
    assert len(found) == 2
    assert found[0].runs == ()
