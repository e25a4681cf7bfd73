"""`vastai-reap` and the book of rented instances (jobs-api.md 15)."""

from __future__ import annotations

from pathlib import Path

import pytest

from rune.local.give_back import Account, hand_back
from rune.local.instance_book import Booked, InstanceBook
from rune.local.user_folder import UserFolder
from rune_common.adapters.memory_market import MemoryMarket
from rune_common.domain.errors import SpendLimitExceeded
from rune_common.domain.labels import OwnerLabel

from .conftest import World

DAY = "2026-01-01"


@pytest.fixture
def folder(world: World) -> UserFolder:
    return UserFolder(world.home)


def left_behind(
    world: World, folder: UserFolder, *, job: str = "job-1", session: str = "gone", late: int = 3600
) -> tuple[MemoryMarket, Booked]:
    """An instance of an earlier command, in the account and in the book; it expires `late` seconds from now."""
    market = world.market if isinstance(world.market, MemoryMarket) else MemoryMarket()
    world.market = market
    label = str(OwnerLabel(folder.deployment_id(), job, world.now_ms // 1000 + late))
    booked = Booked(label, 7, 3.6, world.now_ms - 120_000, session)
    folder.book.create(booked)
    contract = market.add_foreign(label, started_at=booked.asked_at)
    folder.book.created(label, contract)
    return market, booked


def test_what_an_earlier_command_left_is_reported_and_reaped(world: World, folder: UserFolder) -> None:
    market, _ = left_behind(world, folder)
    (contract,) = market.instances
    told = world.run("run-agentic-agent").err
    assert f"not handed back: {contract}" in told
    assert "rune vastai-reap" in told
    ran = world.run("vastai-reap", "--dry-run")
    assert (ran.code, ran.out) == (0, f"{contract}: would be destroyed (job has ended)\n")
    assert market.instances
    assert folder.book.open()
    ran = world.run("vastai-reap", "--json")
    assert ran.json["result"]["instances"] == [
        {"contract_id": contract, "reason": "job has ended", "outcome": "destroyed"}
    ]
    assert market.instances == {}
    assert "handed back" not in world.run("run-agentic-agent").err
    assert world.run("vastai-reap").out == "Nothing to hand back.\n"


def test_what_a_running_command_uses_is_left_alone_until_it_is_expired(
    world: World, folder: UserFolder
) -> None:
    with folder.session() as session:
        market, _ = left_behind(world, folder, session=session.name)
        assert world.run("vastai-reap").out == "Nothing to hand back.\n"
        assert "handed back" not in world.run("run-agentic-agent").err
        world.now_ms += 3_601_000
        world.run("vastai-reap")
        assert market.instances == {}


def test_a_lease_is_kept_and_can_be_ended_early(world: World, folder: UserFolder) -> None:
    market, booked = left_behind(world, folder)
    folder.book.kept(booked.label, world.now_ms + 1000)
    assert "kept: instance" in world.run("run-agentic-agent").err
    assert world.run("vastai-reap").code == 0
    assert market.instances
    world.run("vastai-reap", "--kept")
    assert market.instances == {}


def test_nobody_elses_instances_are_touched(world: World, folder: UserFolder) -> None:
    market, _ = left_behind(world, folder)
    late = world.now_ms // 1000 - 10
    others = [None, "mine", f"rune/cli-0000000000000000/job-1/{late}", f"rune/{folder.deployment_id()}/x"]
    kept = {market.add_foreign(label) for label in others}
    world.run("vastai-reap", "--kept")
    assert set(market.instances) == kept


def test_an_instance_that_stays_is_a_failure(world: World, folder: UserFolder) -> None:
    left_behind(world, folder)

    class Deaf(MemoryMarket):
        def destroy(self, contract_id: str) -> None:
            world.now_ms += 60_000

    deaf = Deaf()
    assert isinstance(world.market, MemoryMarket)
    deaf.instances = world.market.instances
    world.market = deaf
    ran = world.run("vastai-reap", "--json")
    assert (ran.code, ran.json["code"]) == (1, "not_destroyed")
    assert folder.book.open()


def test_the_end_of_a_command_hands_back_its_own_and_nothing_that_is_leased(
    world: World, folder: UserFolder
) -> None:
    market, _ = left_behind(world, folder, job="mine", session="this")
    _, leased = left_behind(world, folder, job="leased", session="this")
    folder.book.kept(leased.label, world.now_ms + 1000)
    _, other = left_behind(world, folder, job="other", session="that")
    hand_back("this", Account(market, folder, lambda: world.now_ms, world.clock.sleep))
    assert {each.label for each in market.instances.values()} == {leased.label, other.label}
    assert [each.label for each in folder.book.open()] == [leased.label, other.label]


def test_without_a_key_there_is_no_account(world: World) -> None:
    ran = world.run("vastai-reap", "--json")
    assert (ran.code, ran.json["code"]) == (1, "provider_not_configured")


def test_the_name_of_this_machine_is_made_once_and_private(folder: UserFolder) -> None:
    name = folder.deployment_id()
    assert name.startswith("cli-")
    assert UserFolder(folder.path.parent).deployment_id() == name
    assert folder.path.stat().st_mode & 0o077 == 0


def test_the_days_money_counts_across_commands(tmp_path: Path) -> None:
    book = InstanceBook(tmp_path / "instances.jsonl")
    book.reserve("t", "a/1", 6, DAY, 10)
    again = InstanceBook(tmp_path / "instances.jsonl")
    with pytest.raises(SpendLimitExceeded):
        again.reserve("t", "b/1", 5, DAY, 10)
    book.settle("t", "a/1", 1, DAY)
    book.settle("t", "a/1", 100, DAY)
    again.reserve("t", "b/1", 9, DAY, 10)
    again.reserve("t", "b/1", 9, DAY, 10)
    assert (again.spent("t", DAY), again.spent("t", "2026-01-02")) == (10, 0)
    again.settle_run("b", 3)
    assert again.spent("t", DAY) == 4


def test_a_line_that_was_cut_off_hides_no_other(tmp_path: Path) -> None:
    path = tmp_path / "instances.jsonl"
    book = InstanceBook(path)
    book.create(Booked("rune/cli-00000000/j/1760000000", 1, 2.0, 3, "s"))
    with path.open("a") as file:
        file.write('{"event": "cre')
    book.created("rune/cli-00000000/j/1760000000", "11")
    (found,) = book.open()
    assert (found.contract_id, found.job_id, found.dph) == ("11", "j", 2.0)
    assert path.stat().st_mode & 0o077 == 0


def test_money_of_an_instance_that_was_reaped_is_settled(world: World, folder: UserFolder) -> None:
    left_behind(world, folder)
    folder.book.reserve("default", "job-1/1", 3_000_000, DAY, 10_000_000)
    world.run("vastai-reap")
    assert folder.book.spent("default", DAY) == 120_000, "two minutes at 3.60 $/h"
