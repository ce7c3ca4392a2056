"""Honest nodes among liars: what no strategy, and no mixture of them, must break. A run is the same with its seed."""

from __future__ import annotations

import random

import pytest

from tests.liars.catalogue import STRATEGIES
from tests.liars.liar import Strategy
from tests.liars.trial import run

pytestmark = pytest.mark.timeout(600)  # who is flooded is slow
SMALL, LARGE = 12, 24  # nodes, a third of them liars
ALONE = [pytest.param(strategy, id=strategy.__name__) for strategy in STRATEGIES]


def mixture(seed: int) -> list[type[Strategy]]:
    """One to four strategies for the liars of a small world."""
    rng = random.Random(f"mixture {seed}")
    return rng.choices(STRATEGIES, k=rng.randint(1, SMALL // 3))


def broken(seed: str, size: int, strategies: list[type[Strategy]]) -> list[str]:
    return [str(each) for each in run(seed, size, strategies).values()]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("strategy", ALONE)
def test_honest_nodes_among_liars_of_one_strategy_are_none_the_worse(strategy: type[Strategy], seed: int) -> None:
    assert broken(f"{strategy.__name__} {seed}", SMALL, [strategy] * (SMALL // 3)) == []


@pytest.mark.parametrize("seed", range(3))
def test_honest_nodes_among_liars_of_several_strategies_are_none_the_worse(seed: int) -> None:
    assert broken(f"mixture {seed}", SMALL, mixture(seed)) == []


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("strategy", ALONE)
def test_many_honest_nodes_among_liars_of_one_strategy_are_none_the_worse(strategy: type[Strategy]) -> None:
    for seed in range(20):
        name = f"{strategy.__name__} {seed}"
        assert (name, broken(name, LARGE, [strategy] * (LARGE // 3))) == (name, [])


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("ten", range(50))
def test_honest_nodes_among_five_hundred_mixtures_of_liars_are_none_the_worse(ten: int) -> None:
    for seed in range(10 * ten, 10 * (ten + 1)):
        names = [strategy.__name__ for strategy in mixture(seed)]
        assert (seed, names, broken(f"mixture {seed}", SMALL, mixture(seed))) == (seed, names, [])
