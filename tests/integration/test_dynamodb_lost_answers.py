"""Writes whose answers get lost: each is stored once, and its writer learns that it was."""

from __future__ import annotations

from tests.integration.run_samples import NOON, REQUEST, change_of, claim_for, new_run, whole_log

from rune_common.adapters.dynamodb import DynamoRunStore
from rune_common.adapters.memory import MemoryBlobStore, MemorySealer
from rune_common.domain.runs import RunState


class AnswersLost:
    """A client whose every transaction is sent twice, the first answer having been lost on the way."""

    def __init__(self, client):
        self._client = client

    def __getattr__(self, name):
        return getattr(self._client, name)

    def transact(self, table, writes):
        self._client.transact(table, writes)
        self._client.transact(table, writes)


def test_a_write_whose_answer_was_lost_is_stored_once_and_known_to_be(tables, table_clients):
    client = AnswersLost(table_clients["pydynox"])
    store = DynamoRunStore(
        tables.runs, client, sealer=MemorySealer(), blobs=MemoryBlobStore(), retention_days=90
    )
    run, events = new_run()
    store.create(run, REQUEST, events, claim=claim_for(run), max_active=1)
    claimed = store.claim_slot(run, owner="engine", max_running=1, now_ms=NOON)
    assert claimed is not None
    change = change_of(claimed, "one", "two", keys=("k-1",), state=RunState.RUNNING)
    store.commit(change)
    assert store.get(run.tenant, run.run_id) == change.after
    assert len(list(whole_log(store, run))) == 3
    counts = client.get(tables.runs, {"pk": "T#default", "sk": "COUNTS"})
    assert (counts["active"], counts["running"]) == (1, 1)
