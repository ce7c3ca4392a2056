"""Random whole nodes: everything at once, then peace. A run is the same again with its seed."""

from __future__ import annotations

import pytest

from tests.flows.chaos import run

TWICE = 100
"""Seeds whose runs are compared with a second one in the full suite."""


@pytest.mark.parametrize("seed", range(1))
def test_nodes_to_which_everything_happens_at_once_come_to_peace_and_do_so_again(seed: int) -> None:
    assert run(seed) == run(seed)


@pytest.mark.parametrize("seed", range(1, 4))
def test_nodes_to_which_everything_happens_at_once_come_to_peace(seed: int) -> None:
    run(seed)


@pytest.mark.full
@pytest.mark.parametrize("hundred", range(10))
@pytest.mark.timeout(900)
def test_nodes_of_a_thousand_seeds_to_which_everything_happens_at_once_come_to_peace(hundred: int) -> None:
    for seed in range(100 * hundred, 100 * (hundred + 1)):
        digest = run(seed)
        if seed < TWICE:
            assert run(seed) == digest, seed
