"""The short form of the faults' suite: a benchmark is struck in each phase, and always ends with nothing rented.

The long form is `make faults`.
"""

from __future__ import annotations

import pytest
from tests.e2e.faults.matrix import Combination, matrix, short
from tests.e2e.faults.suite import Tally, run


@pytest.fixture(scope="module")
def tally(tmp_path_factory: pytest.TempPathFactory) -> Tally:
    return run(short(), tmp_path_factory.mktemp("faults"), lanes=3)


@pytest.mark.parametrize("combination", short(), ids=lambda each: each.name)
def test_a_struck_benchmark_ends_with_a_reason_and_nothing_rented(
    tally: Tally, combination: Combination
) -> None:
    (verdict,) = [each for each in tally.verdicts if each.combination == combination]
    assert not verdict.wrong, verdict.line()


def test_no_money_is_set_aside_any_more_and_what_was_spent_adds_up(tally: Tally) -> None:
    assert tally.wrong == []


def test_the_long_form_has_a_hundred_combinations_each_with_a_name_of_its_own() -> None:
    names = [each.name for each in matrix()]
    assert len(names) == len(set(names)) >= 100
