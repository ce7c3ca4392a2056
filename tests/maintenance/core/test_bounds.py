"""The bounds: upstream's table, their order, and one object for band and triggers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.actors.maintenance import Bounds


@pytest.mark.parametrize(
    ("numbers", "bounds"),
    [
        ((10, 50, 100), (23, 36, 68, 84)),
        ((3, 6, 9), (4, 5, 7, 8)),
        ((1, 2, 3), (1, 1, 3, 3)),
        ((1, 1, 1), (1, 1, 1, 1)),
        ((0, 24, 36), (8, 16, 28, 32)),
        ((18, 36, 41), (24, 30, 39, 40)),
    ],
)
def test_bounds_of_known_numbers_are_those_of_the_reference(
    numbers: tuple[int, int, int], bounds: tuple[int, int, int, int]
) -> None:
    assert Bounds.of(*numbers) == Bounds(*bounds)


ascending = st.lists(st.integers(0, 10_000), min_size=3, max_size=3).map(sorted)


@given(ascending)
def test_bounds_of_any_numbers_ascend(numbers: list[int]) -> None:
    minimum, expected, maximum = numbers
    bounds = Bounds.of(minimum, expected, maximum)
    order = [minimum, bounds.min_threshold, bounds.min_target, expected]
    order += [bounds.max_target, bounds.max_threshold, maximum]
    assert order == sorted(order)


@given(ascending, st.integers(0, 10_000))
def test_P9_a_count_is_too_low_too_high_or_in_the_band_and_only_one_of_them(numbers: list[int], count: int) -> None:
    bounds = Bounds.of(*numbers)
    assert [bounds.too_few(count), bounds.contain(count), bounds.too_many(count)].count(True) == 1
    assert bounds.contain(count) == (bounds.min_threshold <= count <= bounds.max_threshold)


@pytest.mark.parametrize("numbers", [(2, 1, 3), (1, 3, 2), (-1, 1, 2)])
def test_bounds_of_numbers_that_do_not_ascend_are_refused(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="0 <= minimum <= expected <= maximum"):
        Bounds.of(*numbers)
