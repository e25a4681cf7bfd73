"""A thousand ways to tamper with a bundle: each is found, and by the right name (runs-api.md 7.5, 18: 25)."""

from __future__ import annotations

import random

import pytest
from tests.unit.evidence_mutations import Mutations
from tests.unit.evidence_runs import check, full_run

from rune_common.domain.evidence.zip_reader import BundleUnreadable

RUNS, EACH = 20, 50


@pytest.mark.parametrize("seed", range(RUNS))
def test_no_change_goes_unseen(seed: int) -> None:
    dice = random.Random(seed)
    mutations = Mutations(full_run(seed=seed), dice)
    for _ in range(EACH):
        changed = mutations.any()
        try:
            report = check(changed.bundle)
        except BundleUnreadable:
            assert changed.name == "flip_anywhere"
            continue
        types = {each.type for each in report.mismatches}
        told = f"{changed.name}: {report.mismatches}"
        assert types, told
        assert not report.ok, told
        assert changed.expected <= types, told
        assert not changed.among or changed.among & types, told
        places = [(each.type, each.path, each.sequence) for each in report.mismatches]
        assert len(places) == len(set(places)), told
        assert places == sorted(places, key=lambda each: (each[0], each[2] or 0, each[1] or "")), told
