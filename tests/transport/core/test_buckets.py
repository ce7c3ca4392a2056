from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.transport.core.buckets import TokenBuckets


def test_bucket_gives_its_burst_at_once_and_then_its_rate() -> None:
    buckets = TokenBuckets(rate=2.0, burst=3)
    assert [buckets.take("a", 0.0) for _ in range(4)] == [True, True, True, False]
    assert buckets.ready_at("a", 0.0) == pytest.approx(0.5)
    assert buckets.take("a", 0.5)
    assert not buckets.take("a", 0.9)


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(1, 7)), min_size=1, max_size=30))
def test_taking_many_is_taking_one_by_one(takes: list[tuple[float, int]]) -> None:
    at_once, singly = TokenBuckets(rate=2.0, burst=5), TokenBuckets(rate=2.0, burst=5)
    for now, wanted in sorted(takes):
        taken = at_once.take_many("a", wanted, now)
        assert taken == sum(singly.take("a", now) for _ in range(wanted))


def test_buckets_of_two_keys_do_not_share_tokens() -> None:
    buckets = TokenBuckets(rate=1.0, burst=1)
    assert buckets.take("a", 0.0)
    assert buckets.take("b", 0.0)


@pytest.mark.parametrize("rate", [0.001, 1.0, 3.0, 1000.0])
@pytest.mark.parametrize("now", [0.1, 98_765.4321, 1e7 + 0.3])
def test_bucket_loses_no_token_to_rounding(rate: float, now: float) -> None:
    buckets = TokenBuckets(rate, burst=100)
    assert sum(buckets.take("a", now) for _ in range(200)) == 100


def test_refused_take_changes_nothing() -> None:
    buckets = TokenBuckets(rate=1.0, burst=1)
    buckets.take("a", 0.0)
    for _ in range(100):
        buckets.take("a", 0.5)
    assert buckets.take("a", 1.0)


@given(st.lists(st.floats(0, 10), min_size=1, max_size=200), st.integers(1, 5), st.sampled_from([0.5, 1.0, 7.0]))
def test_bucket_never_gives_more_than_burst_plus_rate_times_time(times: list[float], burst: int, rate: float) -> None:
    buckets = TokenBuckets(rate, burst)
    taken = sum(buckets.take("a", now) for now in sorted(times))
    assert taken <= burst + rate * (max(times) - min(times)) + 1e-6


@given(st.lists(st.floats(0, 5), min_size=1, max_size=50))
def test_ready_at_is_the_earliest_moment_at_which_a_take_succeeds(times: list[float]) -> None:
    buckets = TokenBuckets(rate=3.0, burst=2)
    for now in sorted(times):
        ready = buckets.ready_at("a", now)
        assert ready >= now
        assert buckets.take("a", now) is (ready == now)


def test_full_buckets_are_forgotten_when_there_are_many() -> None:
    buckets = TokenBuckets(rate=1.0, burst=1)
    for number in range(20_000):
        buckets.take(number, float(number))
    assert len(buckets) <= 16_384


@pytest.mark.parametrize(("rate", "burst"), [(0.0, 1), (-1.0, 1), (1.0, 0)])
def test_bucket_that_lets_nothing_through_is_refused(rate: float, burst: int) -> None:
    with pytest.raises(ValueError, match="above 0"):
        TokenBuckets(rate, burst)
