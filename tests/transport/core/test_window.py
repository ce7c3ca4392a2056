"""How much may be under way on a line: measured on a modelled line, and by what a lying peer can do."""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.transport import Config
from rookery.transport.core.buckets import TokenBuckets
from rookery.transport.core.window import BEYOND, FIRST, LEAST, MOST, PER_MESSAGE, Window, counted

HUNDRED_MBIT = 12.5e6  # bytes per second


@dataclass
class Run:
    """delivered: bytes. waits: seconds that a message would have waited, at each answer, with its time. asked: when."""

    delivered: int
    waits: list[tuple[float, float]]
    window: Window
    asked: list[float]

    def longest(self, since: float) -> float:
        return max(wait for at, wait in self.waits if at >= since)


def run(rate: float, round_trip: float, size: int, seconds: float, then: tuple[float, float] | None = None) -> Run:
    """Keep a line busy with messages of one size. then: from when on it has which rate."""
    window, answers = Window(), list[tuple[float, int]]()
    free, count = 0.0, 0
    arrivals: deque[tuple[float, int]] = deque()
    done = Run(0, [], window, [])

    def push(now: float) -> None:
        nonlocal free, count
        while window.admits(size):
            ask_now = window.send(size, now)
            count += 1
            present = rate if then is None or now < then[0] else then[1]
            free = max(free, now) + size / present
            arrivals.append((free, size))
            if ask_now:
                ask(now)
        if not window.asked:
            ask(now)

    def ask(now: float) -> None:
        done.asked.append(now)
        window.ask(count, now)
        heapq.heappush(answers, (max(free, now) + round_trip, count))

    push(0.0)
    while answers[0][0] < seconds:
        now, confirmed = heapq.heappop(answers)
        window.confirm(confirmed, now, everything=confirmed == count, answer=True)
        done.waits.append((now, max(0.0, free - now)))
        push(now)
    done.delivered = sum(size for at, size in arrivals if at < seconds)
    return done


@pytest.mark.parametrize("size", [1024, 65_536])
@pytest.mark.parametrize("round_trip", [0.0003, 0.005, 0.02])
def test_line_of_100_mbit_is_full_and_a_message_waits_less_than_50_ms(round_trip: float, size: int) -> None:
    done = run(HUNDRED_MBIT, round_trip, size, 4)
    assert done.delivered > 0.97 * 4 * HUNDRED_MBIT
    assert done.longest(since=0.0) < 0.05


@pytest.mark.parametrize(("rate", "round_trip"), [(1.25e6, 0.02), (HUNDRED_MBIT, 0.1), (125e6, 0.001), (600e6, 0.001)])
def test_other_lines_are_filled_too(rate: float, round_trip: float) -> None:
    assert run(rate, round_trip, 65_536, 10).delivered > 0.9 * 10 * rate


@pytest.mark.parametrize("size", [262_144, 1_048_576])
def test_large_messages_wait_for_two_of_them_at_most(size: int) -> None:
    done = run(HUNDRED_MBIT, 0.001, size, 4)
    assert done.delivered > 0.95 * 4 * HUNDRED_MBIT
    assert done.longest(since=0.0) < max(2 * size / HUNDRED_MBIT, 0.05)


def test_line_that_becomes_slower_is_believed_within_seconds() -> None:
    done = run(HUNDRED_MBIT, 0.005, 16_384, 12, then=(4.0, HUNDRED_MBIT / 10))
    assert done.window.size < FIRST
    assert done.longest(since=8.0) < 0.08  # LEAST takes 52 ms there


def test_line_that_becomes_faster_is_noticed() -> None:
    done = run(HUNDRED_MBIT / 10, 0.02, 16_384, 12, then=(4.0, HUNDRED_MBIT))
    assert done.delivered > 0.8 * 8 * HUNDRED_MBIT


def test_round_trip_is_measured_anew_with_an_empty_line_after_a_minute() -> None:
    done = run(HUNDRED_MBIT, 0.005, 65_536, 130)
    empty = [at for at, wait in done.waits if wait == 0.0]
    assert any(60 < at < 62 for at in empty)
    assert not any(2 < at < 59 for at in empty)
    assert done.longest(since=61.0) < 0.05


def test_without_a_confirmation_no_more_than_the_first_window_is_sent() -> None:
    window, sent = Window(), 0
    while window.admits(1000):
        window.send(1000, 0.0)
        sent += 1000
    assert FIRST - 1000 < sent <= FIRST
    assert window.under_way == sent


def test_empty_messages_fill_the_window_too() -> None:
    window, sent = Window(), 0
    while window.admits(counted(0, 1)) and sent <= FIRST:
        window.send(counted(0, 1), 0.0)
        sent += 1
    assert sent == FIRST // PER_MESSAGE


def test_pings_that_nobody_confirms_are_remembered_to_a_bound_and_the_newest_counts() -> None:
    window, count = Window(), 0
    for _ in range(FIRST // PER_MESSAGE):
        window.send(counted(0, 1), 0.0)
        count += 1
        window.ask(count, 0.0)
    assert len(window._marks) == 1024
    window.confirm(count - 1, 1.0, everything=False, answer=True)
    assert window.under_way == PER_MESSAGE
    window.confirm(count, 1.0, everything=True, answer=True)
    assert (window.under_way, len(window._marks)) == (0, 0)


def test_message_with_priority_has_room_when_the_others_have_none() -> None:
    window = Window()
    window.send(FIRST, 0.0)
    assert not window.admits(1)
    assert window.admits(BEYOND, priority=True)
    assert not window.admits(BEYOND + 1, priority=True)


def test_message_larger_than_the_window_is_sent_behind_one_of_its_size() -> None:
    window = Window()
    for _ in range(2):
        assert window.admits(4 * FIRST)
        window.send(4 * FIRST, 0.0)
    assert not window.admits(4 * FIRST)


def test_window_of_a_fast_line_with_a_long_way_grows_within_two_seconds() -> None:
    assert run(HUNDRED_MBIT, 0.1, 65_536, 2).window.size > 5 * FIRST


def test_pause_is_no_part_of_a_rate() -> None:
    window = Window()
    for second in range(5):
        while window.admits(65_536):
            window.send(65_536, float(second))
        window.ask(4 * (second + 1), float(second))
        window.confirm(4 * (second + 1), second + 0.02, everything=True, answer=True)
    assert window.size > FIRST  # 256 KiB in 20 ms are 13 MB/s; with the pauses it would be 0.26


def test_burst_that_a_line_lets_through_is_not_taken_for_its_rate() -> None:
    window = Window()
    window.send(65_536, 0.0)
    window.ask(1, 0.0)
    window.send(FIRST - 65_536, 0.0)
    assert not window.admits(1)
    window.confirm(1, 0.001, everything=False, answer=True)
    assert window.size <= FIRST  # and not the 1.3 MB that 65 MB/s would need


def test_line_that_waits_for_the_processor_has_more_to_do_at_a_time() -> None:
    assert run(600e6, 0.001, 65_536, 2).window.size > 2 * 600e6 * 0.021


def test_after_a_quiet_minute_nothing_is_known_of_the_line() -> None:
    window = run(600e6, 0.001, 65_536, 2).window
    large, count = window.size, 10**6
    assert not window.admits(65_536)  # the bulk ends while more is to be sent
    window.confirm(count, 2.5, everything=True, answer=False)
    for second in (30, 62, 64):
        window.send(100, float(second))
        window.ask(count + second, second + 0.1)
        window.confirm(count + second, second + 0.2, everything=True, answer=True)
        assert window.size == (large if second == 30 else FIRST)


def test_little_traffic_does_not_make_the_window_smaller() -> None:
    window = Window()
    for second in range(30):
        window.send(100, float(second))
        window.ask(second + 1, second + 0.5)
        window.confirm(second + 1, second + 0.6, everything=True, answer=True)
    assert window.size == FIRST


def test_what_only_a_ping_confirms_measures_nothing() -> None:
    """It may have been on its way before ours was sent."""
    window = Window()
    window.send(FIRST, 0.0)
    assert not window.admits(1)
    window.ask(1, 5.0)
    window.confirm(1, 5.0001, everything=True, answer=False)
    assert (window.size, window.under_way) == (FIRST, 0)


step = st.tuples(st.sampled_from(["send", "ask", "confirm", "answer"]), st.integers(0, 2**21), st.floats(0, 3))


@given(st.lists(step, max_size=80))
def test_whatever_a_peer_confirms_the_window_stays_between_its_bounds(steps: list[tuple[str, int, float]]) -> None:
    window, now, count, confirmed = Window(), 1000.0, 0, 0
    for what, number, later in steps:
        now += later
        if what == "send" and window.admits(number):
            window.send(number, now)
            count += 1
        elif what == "ask":
            window.ask(count, now)
        elif what in ("confirm", "answer"):
            confirmed = max(confirmed, min(count, number))
            window.confirm(confirmed, now, everything=confirmed == count, answer=what == "answer")
        assert LEAST <= window.size <= MOST
        assert 0 <= window.under_way <= max(MOST, 2 * 2**21)


LINES = [10.0**power for power in range(4, 11)]  # bytes per second


@pytest.mark.parametrize("then", [None, 1e4, 1e10], ids=["steady", "slow later", "fast later"])
@pytest.mark.parametrize("round_trip", [1e-5, 1e-3, 0.1, 1.0])
@pytest.mark.parametrize("size", [PER_MESSAGE, 1000, 2**14 + 1, 2**20])
def test_pings_at_full_speed_stay_within_half_of_the_quota_for_heartbeats(
    size: int, round_trip: float, then: float | None
) -> None:
    """Half, as the other side's own Pings confirm as well, and each that frees room may be followed by one of ours."""
    config = Config()
    for rate in LINES:
        first = min(10.0, 4000 * size / rate)  # so many messages, as each is a step
        seconds = first + (0.0 if then is None else min(10.0, 4000 * size / then))
        done = run(rate, round_trip, size, seconds, None if then is None else (first, then))
        quota = TokenBuckets(config.heartbeat_rate / 2, config.heartbeat_burst // 2)
        assert done.asked
        assert all(quota.take("peer", at) for at in done.asked), f"{len(done.asked)} in {seconds} s at {rate}"
