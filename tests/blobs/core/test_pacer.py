"""The rules at the head of `rookery.actors.blobs.core.pacer`."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.actors.blobs.core.pacer import Pacer

ANSWERS = st.lists(st.tuples(st.integers(0, 64).map(lambda eighths: eighths / 8), st.integers(1, 500)), max_size=20)


@settings(max_examples=60, deadline=None)
@given(answers=ANSWERS, burst=st.integers(0, 300), patience=st.integers(0, 12))
def test_pacer_lets_no_more_leave_in_any_span_than_rate_and_burst_and_one_answer_in_order(
    answers: list[tuple[float, int]], burst: int, patience: int
) -> None:
    rate = 100.0
    pacer = Pacer(rate, burst, patience)
    left: list[tuple[float, int]] = []
    now = 0.0
    for pause, size in answers:
        now += pause
        delay = pacer.send(size, now)
        if delay is not None:
            assert 0 <= delay <= patience
            left.append((now + delay, size))
    assert left == sorted(left, key=lambda answer: answer[0])
    for first in range(len(left)):
        for last in range(first, len(left)):
            span = left[last][0] - left[first][0]
            assert sum(size for _, size in left[first:last]) <= rate * span + burst + 1e-6 + left[first][1]


def test_pacer_without_a_burst_keeps_exactly_its_rate() -> None:
    pacer = Pacer(rate=100, burst=0, patience=60)
    assert [pacer.send(50, 0.0) for _ in range(4)] == [0.0, 0.5, 1.0, 1.5]


def test_pacer_after_a_rest_lets_a_burst_go_at_once() -> None:
    pacer = Pacer(rate=100, burst=150, patience=60)
    assert [pacer.send(50, 10.0) for _ in range(5)] == [0.0, 0.0, 0.0, 0.0, 0.5]


def test_pacer_refuses_who_would_wait_longer_than_patience_and_charges_nothing() -> None:
    pacer = Pacer(rate=100, burst=0, patience=1)
    assert [pacer.send(100, 0.0) for _ in range(3)] == [0.0, 1.0, None]
    assert pacer.delay(0.0) is None
    assert pacer.delay(1.0) == 1.0
    assert pacer.delay(2.5) == 0.0


@pytest.mark.parametrize(("rate", "burst", "patience"), [(0, 0, 0), (1, -1, 0), (1, 0, -1)])
def test_pacer_with_a_number_out_of_range_is_refused(rate: float, burst: float, patience: float) -> None:
    with pytest.raises(ValueError, match="a pacer needs a rate above 0"):
        Pacer(rate, burst, patience)
