"""What each access pattern consumes, against what docs/reference/tables.md says that it does."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.integration.boto3_tables import Boto3Tables
from tests.integration.conftest import ROOT
from tests.integration.metric_samples import sample
from tests.integration.run_samples import (
    NOON,
    REQUEST,
    change_of,
    claim_for,
    moved,
    new_run,
    run_id_at,
    stored,
)
from tests.integration.test_run_store_approvals import approval
from tests.integration.test_run_store_approvals import waiting as begun_to_wait

from rune_common.adapters.dynamodb import (
    DynamoFailureWindow,
    DynamoMetricsStore,
    DynamoRunStore,
    DynamoSettingsStore,
    DynamoTokenStore,
)
from rune_common.adapters.dynamodb_backend_models import DynamoBackendModels
from rune_common.adapters.dynamodb_daily_rows import DynamoDailyRows
from rune_common.adapters.dynamodb_open_runs import DynamoOpenRuns
from rune_common.adapters.dynamodb_quotes import DynamoGpuQuotes
from rune_common.adapters.dynamodb_rentals import DynamoRentedRuns
from rune_common.adapters.dynamodb_spend import DynamoSpendLedger
from rune_common.adapters.memory import MemoryBlobStore, MemorySealer
from rune_common.adapters.model_servers import HttpModelServers
from rune_common.domain.access import TokenRecord
from rune_common.domain.addresses import AddressPolicy
from rune_common.domain.artifacts import make_artifact
from rune_common.domain.chains import ChainState, StepRecord
from rune_common.domain.errors import RunChanged
from rune_common.domain.finops import GpuQuote
from rune_common.domain.ports import FoldSnapshot, RunFilter
from rune_common.domain.runs import RunKind, RunState
from rune_common.domain.tenant_settings import TenantSettings
from rune_common.usecases.simulate_finops import history

ROW = re.compile(r"^\| (?P<name>[a-z_]+) \|.*\| (?P<reads>[\d.]+) \| (?P<writes>[\d.]+) \|[^|]*\|$")
HOUR = 3_600_000
SNAPSHOT = FoldSnapshot(500, "form", b"x" * 1_500)
NO_SERVERS = HttpModelServers(AddressPolicy(allow_public=False))
ROW_TEXT = "x" * 220


def documented() -> dict[str, tuple[float, float]]:
    page = (ROOT / "docs/reference/tables.md").read_text()
    rows = filter(None, map(ROW.match, page.splitlines()))
    return {row["name"]: (float(row["reads"]), float(row["writes"])) for row in rows}


def waiting_run(store, run):
    """The run, waiting for two decisions."""
    found = tuple(approval(run, number, shown={"why": "x" * 600}) for number in (1, 2))
    change = begun_to_wait(run, *found, conversation={"messages": [os.urandom(5_000).hex()]})
    store.commit(change)
    return change.after


class Patterns:
    """One method per row of the page: it prepares, and returns the request to measure."""

    def __init__(
        self, store: DynamoRunStore, tokens: DynamoTokenStore, failures: DynamoFailureWindow
    ) -> None:
        self.store, self.tokens, self.failures = store, tokens, failures

    def running(self):
        return stored(
            self.store,
            state=RunState.RUNNING,
            holds_slot=True,
            attempt_id=run_id_at(NOON),
            started_at=NOON,
            heartbeat_at=NOON,
            model="llama3.1:8b",
        )

    def sixty(self):
        kinds = (RunKind.AGENT, RunKind.LOOP)
        return [stored(self.store, at=NOON + turn, kind=kinds[turn % 2], owner="e") for turn in range(60)]

    def create(self):
        run, events = new_run(model="llama3.1:8b")
        stored(self.store)
        return lambda: self.store.create(run, REQUEST, events, claim=claim_for(run), max_active=100)

    def get(self):
        run = self.running()
        return lambda: self.store.get(run.tenant, run.run_id)

    def claimed(self):
        run, events = new_run()
        self.store.create(run, REQUEST, events, claim=claim_for(run))
        return lambda: self.store.claimed(run.tenant, "create_run", "key")

    def request(self):
        run = self.running()
        return lambda: self.store.request(run.tenant, run.run_id)

    def result(self):
        (run,) = self.with_results(1)
        return lambda: self.store.result(run.tenant, run.run_id)

    def fifty_steps(self):
        steps = [
            StepRecord(f"step-{number}", "holmes", (f"step-{number - 1}",) if number else ())
            for number in range(50)
        ]
        return ChainState(tuple(steps), token="x" * 600)

    def chain_state(self):
        run, events = new_run(kind=RunKind.CHAIN)
        self.store.create(run, REQUEST, events, chain=self.fifty_steps())
        return lambda: self.store.chain(run.tenant, run.run_id)

    def chain_step(self):
        change = replace(change_of(self.running(), "a step ended"), chain=self.fifty_steps())
        return lambda: self.store.commit(change)

    def results(self):
        ids = [run.run_id for run in self.with_results(10)]
        return lambda: self.store.results("default", ids)

    def with_results(self, number):
        runs = [self.running() for _ in range(number)]
        for run in runs:
            self.store.commit(replace(change_of(run, "done"), result={"answer": "x" * 3000}))
        return runs

    def claim_slot(self):
        run = stored(self.store)
        return lambda: self.store.claim_slot(run, owner="engine", max_running=10, now_ms=NOON)

    def append(self):
        change = change_of(self.running(), "one")
        return lambda: self.store.commit(change)

    def append_batch(self):
        keys = tuple(f"key-{number}" for number in range(40))
        change = change_of(self.running(), *(f"event {number}" for number in range(40)), keys=keys)
        return lambda: self.store.commit(change)

    def append_keyed(self):
        run = self.running()
        change = replace(change_of(run, "one", keys=("key",)), claim=claim_for(run, operation="append"))
        return lambda: self.store.commit(change)

    def keep_claim(self):
        run, _ = new_run()
        return lambda: self.store.keep_claim(claim_for(run), now_ms=NOON)

    def producers(self):
        run = self.running()
        keys = tuple(f"key-{number}" for number in range(40))
        self.store.commit(change_of(run, *(f"event {number}" for number in range(40)), keys=keys))
        return lambda: self.store.producers(run.tenant, run.run_id, keys)

    def fold_snapshots(self):
        runs = [self.running() for _ in range(10)]
        for run in runs:
            self.store.keep_snapshot(run, SNAPSHOT)
        return lambda: self.store.snapshots("default", [run.run_id for run in runs])

    def keep_snapshot(self):
        run = self.running()
        return lambda: self.store.keep_snapshot(run, SNAPSHOT)

    def search(self):
        for turn in range(60):
            stored(self.store, at=NOON + turn, repo="needle" if turn == 0 else "hay")
        return lambda: self.store.list("default", RunFilter(repo="needle"), limit=50)

    def change_state(self):
        run = stored(self.store)
        claimed = self.store.claim_slot(run, owner="engine", max_running=10, now_ms=NOON)
        change = change_of(claimed, "start", state=RunState.RUNNING, started_at=NOON, heartbeat_at=NOON)
        return lambda: self.store.commit(change)

    def finish(self):
        change = change_of(self.running(), "end", state=RunState.SUCCEEDED, finished_at=NOON)
        return lambda: self.store.commit(replace(change, result={"answer": "42"}, forget_request=True))

    def conflict(self):
        run = self.running()
        moved(self.store, run, RunState.CANCELLING)
        change = change_of(run, "too late")

        def commit():
            with pytest.raises(RunChanged):
                self.store.commit(change)

        return commit

    def beat(self):
        run = self.running()
        self.store.beat(run.tenant, run.run_id, run.attempt_id, now_ms=NOON + HOUR)
        return lambda: self.store.beat(run.tenant, run.run_id, run.attempt_id, now_ms=NOON + HOUR + 1)

    def beat_due(self):
        run = self.running()
        return lambda: self.store.beat(run.tenant, run.run_id, run.attempt_id, now_ms=NOON + HOUR)

    def list(self):
        self.sixty()
        return lambda: self.store.list("default", RunFilter(), limit=50)

    def list_filtered(self):
        self.sixty()
        where = RunFilter(states=(RunState.QUEUED,), kinds=(RunKind.AGENT,))
        return lambda: self.store.list("default", where, limit=20)

    def list_states(self):
        self.sixty()
        return lambda: self.store.list("default", RunFilter(states=(RunState.QUEUED,)), limit=50)

    def waiting(self):
        self.sixty()
        return lambda: self.store.waiting("default", limit=10)

    def due(self):
        self.sixty()
        return lambda: self.store.due(now_ms=NOON + HOUR, limit=10)

    def due_idle(self):
        self.sixty()
        return lambda: self.store.due(now_ms=NOON, limit=100)

    def unfinished(self):
        self.sixty()
        return lambda: self.store.unfinished("e", limit=100)

    def artifact_of(self, number=0):
        return make_artifact("log", f"{number}.log", b"text", now_ms=NOON)

    def artifacts(self):
        run = self.running()
        files = tuple(self.artifact_of(number) for number in range(5))
        self.store.commit(replace(change_of(run, "added"), artifacts=files))
        return lambda: self.store.artifacts(run.tenant, run.run_id)

    def artifact(self):
        run, file = self.running(), self.artifact_of()
        self.store.commit(replace(change_of(run, "added"), artifacts=(file,)))
        return lambda: self.store.artifact(run.tenant, run.run_id, file.artifact_id)

    def append_artifact(self):
        change = replace(change_of(self.running(), "added"), artifacts=(self.artifact_of(),))
        return lambda: self.store.commit(change)

    def pause(self):
        run = self.running()
        change = begun_to_wait(run, approval(run), conversation={"messages": [os.urandom(1_000).hex()]})
        return lambda: self.store.commit(change)

    def approvals(self):
        run = waiting_run(self.store, self.running())
        return lambda: self.store.approvals(run.tenant, run.run_id)

    def conversation(self):
        run = waiting_run(self.store, self.running())
        return lambda: self.store.conversation(run.tenant, run.run_id)

    def decide(self):
        run = waiting_run(self.store, self.running())
        settled = replace(run.pause, settled_at=NOON)
        change = change_of(run, "approved", "resumed", state=RunState.RUNNING, pause=settled)
        return lambda: self.store.commit(replace(change, approvals=(approval(run),)))

    def metrics_known(self, days=1):
        store = DynamoMetricsStore(self.store._table, self.store._client, retention_days=90)
        for day in range(days):
            events = [sample(name + 1, name % 20, day=day + 1) for name in range(20)]
            store.add("default", f"run-{day}", events)
        return store

    def metrics_add(self):
        store = self.metrics_known()
        return lambda: store.add("default", "run-0", [sample(30 + n, n) for n in range(10)])

    def metrics_days(self):
        store = self.metrics_known(30)
        return lambda: store.of_days("default", first="20260101", last="20260130")

    def metrics_run(self):
        store = self.metrics_known()
        return lambda: store.of_run("default", "run-0")

    def events(self):
        run = self.running()
        self.store.commit(change_of(run, *(f"event {number}" for number in range(29))))
        return lambda: self.store.events(run.tenant, run.run_id, limit=500)

    def record(self):
        record = TokenRecord("a" * 64, "seed-aaaaaaaa", "human", ("default",), ("*",), NOON)
        self.tokens.add(record)
        return record

    def token_find(self):
        record = self.record()
        return lambda: self.tokens.find(record.token_hash)

    def token_add(self):
        return self.record

    def token_revoke(self):
        record = self.record()
        return lambda: self.tokens.revoke(record.token_hash)

    def failures_recent(self):
        self.failures.record("192.0.2.1", now_ms=NOON)
        return lambda: self.failures.recent("192.0.2.1", since_ms=0)

    def failures_record(self):
        return lambda: self.failures.record("192.0.2.1", now_ms=NOON)

    def history(self):
        kinds = (RunKind.AGENT, RunKind.BENCHMARK)
        for turn in range(60):
            stored(self.store, at=NOON + turn, kind=kinds[turn % 2], state=RunState.SUCCEEDED)
        return lambda: history("default", kinds, runs=self.store, limit=20)

    def ledger(self):
        found = DynamoSpendLedger(self.store._table, self.store._client, retention_days=90)
        found.reserve("default", "job-1", 3_000_000, "2026-11-24", 25_000_000)
        return found

    def spent(self):
        ledger = self.ledger()
        return lambda: ledger.spent("default", "2026-11-24")

    def spend_reserve(self):
        ledger = self.ledger()
        return lambda: ledger.reserve("default", "job-2", 1_000_000, "2026-11-24", 25_000_000)

    def spend_settle(self):
        ledger = self.ledger()
        return lambda: ledger.settle("default", "job-1", 1_000_000, "2026-11-24")

    def rented_note(self):
        rented = DynamoRentedRuns(self.store._table, self.store._client)
        return lambda: rented.note("r", "default", expires_at=1_760_000_000)

    def rented_tenant(self):
        rented = DynamoRentedRuns(self.store._table, self.store._client)
        rented.note("r", "default", expires_at=1_760_000_000)
        return lambda: rented.tenant_of("r")

    def quotes(self):
        found = DynamoGpuQuotes(self.store._table, self.store._client)
        found.remember(GpuQuote("RTX 4090", 300_000, 400_000, 500_000, NOON))
        return found

    def quote_latest(self):
        quotes = self.quotes()
        return lambda: quotes.latest("rtx4090")

    def quote_remember(self):
        return self.quotes

    def daily(self, runs, days=1):
        """Daily rows of so many runs on each of these days."""
        rows = DynamoDailyRows(self.store._table, self.store._client)
        for day in range(days):
            for number in range(runs):
                rows.add(
                    "default",
                    "KPI",
                    f"2026-{11 + day // 28}-{1 + day % 28:02d}",
                    f"run-{day}-{number}",
                    ROW_TEXT,
                )
        return rows

    def daily_add(self):
        rows = self.daily(runs=12)
        return lambda: rows.add("default", "KPI", "2026-11-01", "run", ROW_TEXT)

    def daily_open(self):
        rows = self.daily(runs=0)
        return lambda: rows.add("default", "KPI", "2026-11-01", "run", ROW_TEXT)

    def daily_between(self):
        rows = self.daily(runs=10, days=35)
        return lambda: list(rows.between("default", "KPI", "2026-11-01", "2026-12-07"))

    def open_runs(self):
        self.sixty()
        counter = DynamoOpenRuns(self.store._table, self.store._client)
        return lambda: counter.open_runs("default")

    def snapshots(self):
        return DynamoBackendModels(self.store._table, self.store._client, NO_SERVERS, lambda: NOON)

    def snapshot_read(self):
        snapshots = self.snapshots()
        snapshots.of("http://127.0.0.1:1")
        return lambda: snapshots.of("http://127.0.0.1:1")

    def snapshot_take(self):
        snapshots = self.snapshots()
        return lambda: snapshots.of("http://127.0.0.1:1")

    def snapshot_renew(self):
        snapshots = self.snapshots()
        snapshots.of("http://127.0.0.1:1")
        return lambda: snapshots.renew("http://127.0.0.1:1")

    def settings(self):
        """A store with settings in it, and those."""
        store = DynamoSettingsStore(self.store._table, self.store._client)
        return store, store.write("default", TenantSettings({"model": "llama3.1:8b"}))

    def settings_read(self):
        store, _ = self.settings()
        return lambda: store.read("default")

    def settings_write(self):
        store, stored = self.settings()
        return lambda: store.write("default", replace(stored, active_profile=None))


HELPERS = {
    "daily",
    "snapshots",
    "ledger",
    "quotes",
    "settings",
    "running",
    "sixty",
    "with_results",
    "fifty_steps",
    "record",
    "artifact_of",
    "metrics_known",
}
NAMES = sorted(name for name in vars(Patterns) if not name.startswith("_") and name not in HELPERS)


def test_every_row_of_the_page_is_measured_and_every_measured_pattern_is_on_the_page():
    assert set(NAMES) == set(documented())


@pytest.mark.parametrize("name", NAMES)
def test_a_request_costs_what_the_page_says_and_no_more(name, tables, admin):
    meter = Boto3Tables(admin)
    store = DynamoRunStore(
        tables.runs, meter, sealer=MemorySealer(), blobs=MemoryBlobStore(), retention_days=90
    )
    patterns = Patterns(
        store, DynamoTokenStore(tables.identity, meter), DynamoFailureWindow(tables.identity, meter)
    )
    request: Callable[[], object] = getattr(patterns, name)()
    meter.reset()
    request()
    reads, writes = documented()[name]
    assert meter.reads <= reads
    assert meter.writes <= writes
    # A page that says far too much would hide a request that grew.
    assert meter.reads + meter.writes > 0.8 * (reads + writes)
