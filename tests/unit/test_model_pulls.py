"""How a pull goes on, and what an instance's status means (jobs-api.md 5.3, 6.4)."""

from __future__ import annotations

import pytest

from rune_common.domain.boot import Boot, boot_state
from rune_common.domain.gpu_market import Instance
from rune_common.domain.model_pulls import PullRefused, PullTally


def test_layers_are_added_up():
    tally = PullTally()
    assert tally.read({"status": "pulling manifest"}).percent is None
    assert tally.read({"status": "pulling", "digest": "a", "total": 100}).percent == 0
    assert tally.read({"status": "pulling", "digest": "a", "total": 100, "completed": 50}).percent == 50
    assert tally.read({"status": "pulling", "digest": "b", "total": 100}).percent == 25
    assert tally.bytes_done == 50
    assert tally.read({"status": "success"}).done


def test_an_error_ends_the_pull():
    with pytest.raises(PullRefused):
        PullTally().read({"error": "no such model"})


@pytest.mark.parametrize(
    "line",
    [
        {"digest": 7, "total": 1},
        {"digest": "a", "total": "many"},
        {"digest": "a", "completed": 10},
        {"digest": "a", "total": True},
        {"digest": "a", "total": -5, "completed": -5},
    ],
    ids=str,
)
def test_a_line_of_another_form_counts_for_nothing(line):
    tally = PullTally()
    assert tally.read(line).percent is None
    assert tally.bytes_done == 0


def test_more_than_everything_is_everything():
    tally = PullTally()
    assert tally.read({"digest": "a", "total": 10, "completed": 99}).percent == 100


@pytest.mark.parametrize(
    ("status", "intended", "state"),
    [
        (None, None, Boot.WAIT),
        ("loading", "running", Boot.WAIT),
        ("rebooting", None, Boot.WAIT),
        ("running", "running", Boot.RUNNING),
        ("exited", "running", Boot.FAILED),
        ("offline", None, Boot.FAILED),
        ("stopped", None, Boot.FAILED),
        ("frozen", None, Boot.FAILED),
        ("running", "stopped", Boot.FAILED),
        ("loading", "frozen", Boot.FAILED),
        ("unknown", "running", Boot.ODD),
        ("dreaming", "running", Boot.STRANGE),
    ],
)
def test_every_status_means_something(status, intended, state):
    assert boot_state(Instance("1", "l", status, intended)) is state


def test_an_absent_instance_is_odd():
    assert boot_state(None) is Boot.ODD
