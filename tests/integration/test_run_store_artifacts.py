"""The run store's index of artifacts (jobs-api.md 10), on every adapter."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.integration.run_samples import NOON, change_of, stored

from rune_common.domain.artifacts import make_artifact
from rune_common.domain.errors import RunChanged


def added(run, *artifacts):
    return replace(change_of(run, "added"), artifacts=artifacts)


def test_artifacts_come_back_oldest_first(run_store):
    run = stored(run_store)
    younger = make_artifact("log", "run.log", b"text", now_ms=NOON + 5)
    older = make_artifact("sbom", "z.json", b"{}", now_ms=NOON)
    assert list(run_store.artifacts(run.tenant, run.run_id)) == []
    run_store.commit(added(run, younger, older))
    assert list(run_store.artifacts(run.tenant, run.run_id)) == [older, younger]
    assert run_store.artifact(run.tenant, run.run_id, older.artifact_id) == older
    assert run_store.artifact(run.tenant, run.run_id, "a_none") is None


def test_an_artifact_that_is_added_again_is_one_and_keeps_its_time(run_store):
    run = stored(run_store)
    first = make_artifact("log", "run.log", b"text", now_ms=NOON)
    change = added(run, first)
    run_store.commit(change)
    run_store.commit(added(change.after, replace(first, created_at=NOON + 9)))
    assert list(run_store.artifacts(run.tenant, run.run_id)) == [first]


def test_an_artifact_enters_the_index_only_with_its_change(run_store):
    run = stored(run_store)
    run_store.commit(change_of(run, "somebody was first"))
    artifact = make_artifact("log", "run.log", b"text", now_ms=NOON)
    with pytest.raises(RunChanged):
        run_store.commit(added(run, artifact))
    assert list(run_store.artifacts(run.tenant, run.run_id)) == []


def test_another_tenant_and_another_run_do_not_have_it(run_store):
    run, other = stored(run_store), stored(run_store)
    artifact = make_artifact("log", "run.log", b"text", now_ms=NOON)
    run_store.commit(added(run, artifact))
    for tenant, run_id in (("teamb", run.run_id), (run.tenant, other.run_id)):
        assert list(run_store.artifacts(tenant, run_id)) == []
        assert run_store.artifact(tenant, run_id, artifact.artifact_id) is None


def test_a_full_append_with_many_artifacts_fits_one_transaction(run_store):
    run = stored(run_store)
    artifacts = [make_artifact("other", f"{n}.txt", b"x", now_ms=NOON + n) for n in range(40)]
    change = replace(change_of(run, *map(str, range(40))), artifacts=tuple(artifacts))
    run_store.commit(change)
    assert list(run_store.artifacts(run.tenant, run.run_id)) == artifacts
