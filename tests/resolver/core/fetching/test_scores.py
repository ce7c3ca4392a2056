"""What makes a peer look costly."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.actors.resolver.core.fetching.peers import ANSWER_UNIT, Scores

INITIAL, TIMEOUT = 0.1, 0.5


def scores() -> Scores[str]:
    return Scores(INITIAL, TIMEOUT)


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        (0.010, [0.055, 0.0325, 0.02125, 0.015625, 0.0128125]),
        (0.200, [0.150, 0.175, 0.1875, 0.19375, 0.196875]),
        (0.500, [0.300, 0.400, 0.450, 0.475, 0.4875]),
        (0.020, [0.060]),
    ],
)
def test_score_moves_half_way_to_each_sample_without_rounding(sample: float, expected: list[float]) -> None:
    known = scores()
    for score in expected:
        known.answered("a", sample, size=100)
        assert known.of("a") == pytest.approx(score)


def test_score_of_an_unknown_peer_is_initial_while_nobody_has_a_sample() -> None:
    assert scores().of("a") == INITIAL


def test_score_of_a_newcomer_is_the_median_of_the_known() -> None:
    known = scores()
    for peer, sample in (("a", 0.010), ("b", 0.020), ("c", 0.400)):
        known.missing(peer, sample)
    assert known.of("new") == known.of("a")
    known.failed("a")
    known.failed("a")
    assert known.of("new") == known.of("c")


def test_score_of_a_first_sample_starts_from_the_neutral_score() -> None:
    known = scores()
    known.answered("a", 0.020, size=1)
    known.answered("b", 0.020, size=1)
    assert known.of("a") == pytest.approx(0.060)
    assert known.of("b") == pytest.approx(0.040)


def test_no_data_costs_its_own_time_and_silence_the_whole_timeout() -> None:
    known = scores()
    known.missing("honest", 0.010)
    known.retain({"silent"})
    known.failed("silent")
    assert known.of("silent") == pytest.approx((INITIAL + TIMEOUT) / 2)
    known.missing("honest", 0.010)
    assert known.of("honest") < known.of("silent")


def test_sample_never_costs_more_than_the_timeout() -> None:
    known = scores()
    known.missing("a", 1000.0)
    assert known.of("a") == pytest.approx((INITIAL + TIMEOUT) / 2)


def test_large_answer_counts_bytes_per_time_and_a_small_one_its_time_alone() -> None:
    known = scores()
    known.answered("large", 0.4, size=4 * ANSWER_UNIT)
    assert known.of("large") == pytest.approx((INITIAL + 0.1) / 2)
    small = scores()
    small.answered("small", 0.4, size=1)
    assert small.of("small") == pytest.approx((INITIAL + 0.4) / 2)
    empty = scores()
    empty.answered("empty", 0.4, size=0)
    assert empty.of("empty") == small.of("small")


def test_tiny_differences_survive_many_samples() -> None:
    known = scores()
    for _ in range(40):
        known.answered("a", 0.000_010, size=1)
        known.answered("b", 0.000_011, size=1)
    assert known.of("a") < known.of("b")


def test_retain_forgets_who_left_so_that_he_returns_at_neutral() -> None:
    known = scores()
    known.failed("a")
    known.answered("b", 0.010, size=1)
    known.retain({"b"})
    assert known.of("a") == known.of("b") == known.neutral
    known.retain(set())
    assert known.neutral == INITIAL


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.floats(0, 2), st.booleans())))
def test_neutral_is_always_the_lower_median_of_the_known(samples: list[tuple[str, float, bool]]) -> None:
    known = scores()
    for peer, elapsed, is_missing in samples:
        if is_missing:
            known.missing(peer, elapsed)
        else:
            known.answered(peer, elapsed, size=1)
        present = sorted(known.of(each) for each in {peer for peer, _, _ in samples} if each in known._scores)
        assert known.neutral == present[(len(present) - 1) // 2]
        assert 0 <= known.neutral <= TIMEOUT
