"""Honest nodes among liars: what no strategy, and no mixture of them, must break. A run is the same with its seed.

    strategies/   what liars do: `claims` about others, `invented` members, `floods`, lies `timed` for their moment, and
                  false `holders` of keys
    catalogue     all of them; a strategy that is not in it fails a test
    liar          a peer on the simulated wire that is decent but for its strategy; `knowledge`: of the honest members
    protocol      every byte that a liar says, from docs/protocol.md and not from the nodes' codecs
    world         honest nodes with the production actors, and what happens to them in two virtual minutes
    invariants    what must hold all the while, and once the liars have gone
    trial         one world from its beginning to its end; `test_harness` tries it without liars and with broken nodes
    real          a liar as a process of its own; `test_real` lets it loose on nodes over loopback
    finding/      a world of its own for lies about who has which key, in which few are connected
    test_isolated what a newcomer says of which all contacts lie: nothing else here is about such a one

Quick: every strategy with two seeds in a small world, each time beside three others, so that a third of the members lie
in four ways at once. Full: each of `WORST` by itself in a small world, all of them with 20 seeds in a larger one, and
500 mixtures. To try one by itself: `trial.run("Crowd 0", 12, [floods.Crowd] * 4)`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from tests.liars.catalogue import STRATEGIES, WORST
from tests.liars.liar import Strategy
from tests.liars.trial import run

pytestmark = pytest.mark.timeout(600)  # who is flooded is slow
SMALL, LARGE = 12, 24  # nodes, a third of them liars
SEEDS, MANY_SEEDS, MIXTURES = 2, 20, 500


def companies(seed: int) -> list[list[type[Strategy]]]:
    """Every strategy once, with three others that the seed draws."""
    drawn = random.Random(f"companies {seed}").sample(STRATEGIES, len(STRATEGIES))
    return [drawn[start : start + SMALL // 3] for start in range(0, len(drawn), SMALL // 3)]


def mixture(seed: int) -> list[type[Strategy]]:
    """One to four strategies, perhaps the same ones, for the liars of a small world."""
    rng = random.Random(f"mixture {seed}")
    return rng.choices(STRATEGIES, k=rng.randint(1, SMALL // 3))


def named(strategies: Sequence[type[Strategy]]) -> str:
    return "+".join(strategy.__name__ for strategy in strategies)


def broken(seed: str, size: int, strategies: Sequence[type[Strategy]]) -> list[str]:
    return [str(each) for each in run(seed, size, strategies).values()]


@pytest.mark.parametrize(
    ("seed", "strategies"),
    [pytest.param(seed, each, id=f"{named(each)}-{seed}") for seed in range(SEEDS) for each in companies(seed)],
)
def test_honest_nodes_among_liars_of_four_strategies_are_none_the_worse(
    seed: int, strategies: list[type[Strategy]]
) -> None:
    assert broken(f"company {seed}", SMALL, strategies) == []


@pytest.mark.full
@pytest.mark.parametrize("strategy", WORST, ids=lambda strategy: strategy.__name__)
def test_honest_nodes_among_liars_of_one_strategy_are_none_the_worse(strategy: type[Strategy]) -> None:
    assert broken(f"{strategy.__name__} 0", SMALL, [strategy] * (SMALL // 3)) == []


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("five", range(MANY_SEEDS // 5))
@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: strategy.__name__)
def test_many_honest_nodes_among_liars_of_one_strategy_are_none_the_worse(strategy: type[Strategy], five: int) -> None:
    names = [f"{strategy.__name__} {seed}" for seed in range(5 * five, 5 * (five + 1))]
    found = {name: broken(name, LARGE, [strategy] * (LARGE // 3)) for name in names}
    assert {name: each for name, each in found.items() if each} == {}


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("ten", range(MIXTURES // 10))
def test_honest_nodes_among_five_hundred_mixtures_of_liars_are_none_the_worse(ten: int) -> None:
    found = {seed: broken(f"mixture {seed}", SMALL, mixture(seed)) for seed in range(10 * ten, 10 * (ten + 1))}
    assert {(seed, named(mixture(seed))): each for seed, each in found.items() if each} == {}
