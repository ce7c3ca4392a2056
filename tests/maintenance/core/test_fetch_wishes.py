"""Connections that fetches wait for."""

from __future__ import annotations

import hashlib
import math
import random

from rookery.actors.maintenance.core.fetch_wishes import BACK_OFF, BURST, LASTS, MAX_WISHES, RATE, RETRY, FetchWishes
from rookery.transport import PeerId, Reason


def peer(number: int) -> PeerId:
    return PeerId(hashlib.sha256(str(number).encode()).digest())


A, B = peer(1), peer(2)


def wishes(*wanted: PeerId) -> FetchWishes:
    made = FetchWishes(random.Random(1))
    for each in wanted:
        made.want(each, 0.0)
    return made


def test_wish_is_followed_at_once_and_once() -> None:
    made = wishes(A, B)
    assert [made.take(0.0) for _ in range(3)] == [A, B, None]
    made.want(A, 0.0)
    assert made.take(0.0) is None, "it is being dialled"
    assert made.next_at(0.0) == math.inf


def test_wishes_are_followed_so_many_a_second() -> None:
    made = wishes(*map(peer, range(40)))
    assert len([each for each in range(40) if made.take(0.0)]) == BURST
    assert made.next_at(0.0) == 1 / RATE
    assert len([each for each in range(40) if made.take(2.0)]) == 2 * RATE


def test_who_has_no_room_is_dialled_for_a_short_lived_place_at_once_and_once_only() -> None:
    made = wishes(A)
    assert made.take(0.0) == A
    assert not made.is_crowded(A)
    assert made.ended(A, Reason.TOO_MANY, 0.0, short_lived=False)
    assert made.take(0.0) == A
    assert made.is_crowded(A)
    made.ended(A, Reason.COOLDOWN, 0.0, short_lived=True)
    assert RETRY <= made.next_at(0.0) <= 1.5 * RETRY
    assert made.take(1.5 * RETRY) == A
    made.ended(A, Reason.TOO_MANY, 2.0, short_lived=False)
    assert made.next_at(2.0) >= 2.0 + RETRY


def test_who_has_to_wait_is_tried_each_second_and_who_cannot_be_reached_ever_later() -> None:
    made = wishes(A)
    now = 0.0
    for _ in range(3):
        assert made.take(now) == A
        made.ended(A, Reason.QUEUED, now, short_lived=True)
        assert RETRY <= made.next_at(now) - now <= 1.5 * RETRY
        now = made.next_at(now)
    for times in (1, 2, 4):
        assert made.take(now) == A
        made.ended(A, Reason.TIMEOUT, now, short_lived=True)
        assert BACK_OFF * times <= made.next_at(now) - now <= 1.5 * BACK_OFF * times
        now = made.next_at(now)


def test_reason_is_told_when_it_is_another() -> None:
    made = wishes(A)
    told = []
    now = 0.0
    for reason in (Reason.TIMEOUT, Reason.TIMEOUT, Reason.QUEUED):
        assert made.take(now) == A
        told.append(made.ended(A, reason, now, short_lived=True))
        now = made.next_at(now)
    assert told == [True, False, True]


def test_nobody_is_dialled_while_this_node_has_no_place() -> None:
    made = wishes(A, B)
    made.take(0.0)
    made.ended(A, Reason.LIMIT, 0.0, short_lived=True)
    assert made.take(0.5) is None
    assert made.take(RETRY) == B


def test_wish_is_over_when_it_is_taken_back_connected_or_old() -> None:
    made = wishes(A, B)
    made.forget(A)
    assert made.take(0.0) == B
    made.forget(B)
    assert not made.ended(B, Reason.QUEUED, 0.0, short_lived=True)
    assert len(made) == 0
    made.want(A, 0.0)
    assert made.take(LASTS) is None


def test_only_so_many_wishes_are_kept_and_the_one_that_was_tried_longest_ago_makes_room() -> None:
    made = wishes(*map(peer, range(MAX_WISHES)))
    assert made.want(peer(7), 0.0) is None, "it has one"
    assert [made.want(peer(number), 0.0) for number in range(2000, 2002)] == [peer(0), peer(1)]
    assert len(made) == MAX_WISHES
    assert made.take(0.0) not in (None, peer(0), peer(1))


def test_who_is_due_longest_is_next_though_it_was_tried_later() -> None:
    made = wishes(A)
    assert made.take(0.0) == A
    made.ended(A, Reason.TIMEOUT, 0.0, short_lived=True)
    made.want(B, 1.0)
    assert made.take(1.0) == B
    made.ended(B, Reason.QUEUED, 1.0, short_lived=True)
    assert [made.take(10.0), made.take(10.0)] == [B, A]


def test_wishes_that_come_and_go_leave_nothing_behind() -> None:
    made = wishes(A)
    for number in range(1000):
        made.want(peer(number + 10), 0.0)
        made.forget(peer(number + 10))
    assert len(made) == 1
    assert len(made._due) < 100
    assert made.take(0.0) == A
    assert made.take(LASTS) is None
