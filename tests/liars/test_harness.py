"""The trial itself: without liars nothing is broken, and each invariant breaks with what it guards."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.liars import invariants
from tests.liars.catalogue import STRATEGIES
from tests.liars.liar import Strategy
from tests.liars.strategies.claims import SuspectsEverybody
from tests.liars.strategies.invented import InventsMembersWithRecords, KeysThatComeOnce
from tests.liars.trial import Fault, run
from tests.liars.world import World

FULL = pytest.mark.full
EVERYBODY = [*(f"n{number}" for number in range(8)), "newcomer", "latecomer"]


class Decent(Strategy):
    """Does nothing but what a decent member does."""


class DecentAndToBeCaught(Decent):
    """As if that were a cheat."""

    caught = True


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=FULL)])
def test_honest_nodes_beside_peers_that_do_not_lie_break_nothing(seed: int) -> None:
    assert run(seed, 12, [Decent] * 4) == {}


def test_honest_nodes_by_themselves_break_nothing() -> None:
    assert run("alone", 8, []) == {}


def test_trial_of_a_seed_is_the_same_again() -> None:
    worlds: list[World] = []
    broken = [run(7, 6, [SuspectsEverybody], fault=worlds.append) for _ in range(2)]
    assert broken[0] == broken[1]
    assert worlds[0].simulation.digest() == worlds[1].simulation.digest()


# Faults of the nodes, which are not the work of any liar -------------------------------------------------------------


def cuts_off(name: str) -> Fault:
    """The world takes it for reachable, and it is not."""

    def cut(world: World) -> None:
        for other in EVERYBODY:
            if other != name:
                world.simulation.network.set_link(name, other, loss=1.0)

    return cut


def pretends_a_death(world: World) -> None:
    """It is said to have ended, and runs."""
    world.lives["n5"].ended = world.now


def renews(world: World) -> None:
    members = world.nodes.all["n0"].membership
    for number in range(8):
        world.simulation.call_after(2.0 * number, partial(members.set_tags, {"number": str(number)}))


def empties_the_holders(world: World) -> None:
    world.withholds = True


def fattens(world: World) -> None:
    engine: Any = world.nodes.all["n0"].runtime.engines[0]
    engine.ballast = [bytes(2000) for _ in range(2000)]


def blocks_an_honest_one(world: World) -> None:
    world.nodes.all["n0"].tracker.block(world.nodes.all["n1"].peer)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        pytest.param(cuts_off("n0"), {"false down", "after: pairs"}, marks=FULL),
        (cuts_off("newcomer"), {"newcomer"}),
        pytest.param(cuts_off("latecomer"), {"after: newcomer"}, marks=FULL),
        (pretends_a_death, {"death"}),
        (renews, {"renewed"}),
        pytest.param(empties_the_holders, {"fetch", "after: fetch"}, marks=FULL),
        pytest.param(fattens, {"size", "after: size"}, marks=FULL),
        (blocks_an_honest_one, {"blocked"}),
    ],
    ids=["cut off", "newcomer cut off", "latecomer cut off", "not dead", "renews", "no values", "fat", "blocks"],
)
def test_invariant_of_what_is_broken_on_purpose_breaks(fault: Fault, expected: set[str]) -> None:
    assert run("fault", 12, [Decent] * 4, fault=fault, until=expected).keys() >= expected


@pytest.mark.parametrize(
    ("limits", "strategy", "expected"),
    [
        (("INCARNATION", "PER_INTRODUCER"), SuspectsEverybody, {"incarnation", "backlog"}),
        pytest.param(("PER_INTRODUCER",), InventsMembersWithRecords, {"list"}, marks=FULL),
        pytest.param(("FORGOTTEN_AFTER", "REMEMBERED_DEAD"), KeysThatComeOnce, {"after: remembered"}, marks=FULL),
        pytest.param(("ANSWERS", "IP_SHARE"), DecentAndToBeCaught, {"work", "slots", "unpunished"}, marks=FULL),
    ],
)
def test_invariant_whose_limit_is_nothing_breaks(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[str, ...], strategy: type[Strategy], expected: set[str]
) -> None:
    for limit in limits:
        monkeypatch.setattr(invariants, limit, 0)
    assert run("limit", 12, [strategy] * 4, until=expected).keys() >= expected


@FULL
def test_invariant_of_dials_breaks_where_none_may_fail_and_a_node_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invariants, "DIALS", 0)
    assert "dials" in run("limit", 12, [Decent] * 4, fault=cuts_off("n0"), until={"dials"})


def test_catalogue_has_every_strategy_once() -> None:
    from tests.liars.strategies import claims, floods, invented, timed

    there = {
        each
        for module in (claims, floods, invented, timed)
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, Strategy) and each.__module__ == module.__name__
    }
    assert {each for each in there if not each.__name__.startswith("_")} == set(STRATEGIES)
    assert len(set(STRATEGIES)) == len(STRATEGIES) >= 20
