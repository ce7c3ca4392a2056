"""Whoever lies about who has a key: a file that an honest node has is had, and liars pay for it. See `world`."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from rookery.actors.providers.core.search.inquiries import Inquiries
from tests.liars.catalogue import FINDING, STRATEGIES
from tests.liars.finding import world as scenes
from tests.liars.finding.world import Fault, World, run
from tests.liars.liar import Strategy
from tests.liars.strategies import holders
from tests.liars.strategies.holders import Finder

pytestmark = pytest.mark.timeout(600)
FULL = pytest.mark.full
SMALL, LARGE = 12, 24  # nodes, a third of them liars
SEEDS, MANY_SEEDS, MIXTURES = 2, 4, 20


class NamesNobodyFalsely(Finder):
    """Decent, though it is to be passed over."""

    charged = True


def broken(seed: str, size: int, strategies: list[type[Strategy]], path: Path) -> list[str]:
    world, found = run(seed, size, strategies, path)
    assert sum(node.counted("providers_found_total", "index") for node in world.honest) > 0
    assert any(liar.heard["finding"] for liar in world.everybody_lying)
    return [str(each) for each in found.values()]


@pytest.mark.parametrize("seed", range(SEEDS))
def test_files_are_had_among_liars_of_all_strategies_about_keys(seed: int, tmp_path: Path) -> None:
    assert broken(f"all {seed}", 8 + len(FINDING), list(FINDING), tmp_path) == []


@FULL
@pytest.mark.parametrize("seed", range(MANY_SEEDS))
@pytest.mark.parametrize("strategy", FINDING, ids=lambda strategy: strategy.__name__)
def test_files_are_had_among_many_liars_of_one_strategy_about_keys(
    strategy: type[Strategy], seed: int, tmp_path: Path
) -> None:
    assert broken(f"{strategy.__name__} {seed}", LARGE, [strategy] * (LARGE // 3), tmp_path) == []


@FULL
@pytest.mark.parametrize("seed", range(MIXTURES))
def test_files_are_had_among_mixtures_of_liars_about_keys(seed: int, tmp_path: Path) -> None:
    strategies = random.Random(f"finding {seed}").choices(FINDING, k=SMALL // 3)
    assert broken(f"mixture {seed}", SMALL, strategies, tmp_path) == []


# The trial itself ----------------------------------------------------------------------------------------------------


@FULL
def test_files_are_had_beside_peers_that_do_not_lie_about_keys(tmp_path: Path) -> None:
    assert broken("decent", SMALL, [Finder] * (SMALL // 3), tmp_path) == []


@FULL
def test_trial_of_a_seed_is_the_same_again(tmp_path: Path) -> None:
    worlds = [run(7, SMALL, [holders.RepeatsOthers, holders.SaysYes], tmp_path)[0] for _ in range(2)]
    assert worlds[0].simulation.digest() == worlds[1].simulation.digest()


def blocks_an_honest_one(world: World) -> None:
    world.honest[0].tracker.block(world.honest[1].peer)


def charges_an_honest_one(world: World) -> None:
    world.charges["n0"].charged.append(world.honest[1].peer)


def cuts_one_off(world: World) -> None:
    world.simulation.network.partition(["n5"], [f"n{number}" for number in range(8) if number != 5])


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (blocks_an_honest_one, {"blocked"}),
        pytest.param(charges_an_honest_one, {"charged"}, marks=FULL),
        pytest.param(cuts_one_off, {"members"}, marks=FULL),
    ],
)
def test_invariant_of_finding_breaks_with_what_it_guards(fault: Fault, expected: set[str], tmp_path: Path) -> None:
    assert run("fault", 9, [Finder], tmp_path, fault=fault, until=expected)[1].keys() >= expected


@FULL
def test_files_are_not_had_where_the_index_is_eclipsed_and_no_member_is_swept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Inquiries, "begin_sweep", lambda _inquiries, _hashed, _rank: None)
    assert "had" in run("fault", SMALL, [holders.Eclipses] * 4, tmp_path, until={"had"})[1]


@pytest.mark.parametrize(
    ("limits", "strategy", "expected"),
    [
        (("KEPT", "DIALS", "DIALS_AT_ONCE", "DIALLED_BACK"), holders.AsksToBeDialled, {"index", "dials", "knocks"}),
        pytest.param(("ANSWERS",), holders.FloodsQuestions, {"work"}, marks=FULL),
        pytest.param(("HAD_WITHIN",), Finder, {"had", "after"}, marks=FULL),
        pytest.param(("MANY_FALSE",), NamesNobodyFalsely, {"unpunished"}, marks=FULL),
        pytest.param(("COST_OF_A_LIAR", "COST_OF_A_KEY"), holders.ProvidesTooMuch, {"size"}, marks=FULL),
    ],
)
def test_invariant_of_finding_whose_limit_is_nothing_breaks(
    limits: tuple[str, ...],
    strategy: type[Strategy],
    expected: set[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for limit in limits:
        monkeypatch.setattr(scenes, limit, 0)
    assert run("limit", 9, [strategy], tmp_path, until=expected)[1].keys() >= expected


def test_catalogue_has_every_strategy_about_keys_once() -> None:
    there = {
        each
        for name, each in vars(holders).items()
        if isinstance(each, type) and issubclass(each, Finder) and not name.startswith("_")
    }
    assert there - {Finder} == set(FINDING)
    assert len(set(FINDING)) == len(FINDING)
    assert not set(FINDING) & set(STRATEGIES)
