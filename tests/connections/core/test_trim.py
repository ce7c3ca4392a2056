"""Who is given up first, and that what changes while a trim is chosen is heeded."""

from __future__ import annotations

import random

import pytest

from rookery.actors.connections.core.peer_table import PeerTable
from rookery.actors.connections.core.trim import Mode, Selection, choose, memory_target
from rookery.transport.gatekeeper import Direction
from tests.connections.worlds import make_link, peer_of, table

NORMAL, EMERGENCY = Mode(), Mode(emergency=True, protected=True)


def filled(number: int = 10) -> PeerTable:
    made = table()
    for id in range(number):
        made.opened(make_link(id, opened_at=float(id)), float(id))
    made.expire(1000.0, number + 1)
    return made


def order(of: PeerTable, mode: Mode = NORMAL) -> list[int]:
    return [link.id for link in choose(of, of.open, mode)]


def test_selection_gives_up_lower_values_first() -> None:
    made = filled(4)
    for id, weight in enumerate((40, -5, 20, 0)):
        made.tag(peer_of(id), "a", weight, 0.0)
    assert order(made) == [1, 3, 2, 0]


@pytest.mark.parametrize("mode", [NORMAL, EMERGENCY])
def test_selection_gives_up_idle_peers_before_busy_ones_of_the_same_value(mode: Mode) -> None:
    made = filled(3)
    made.add_busy(peer_of(2), 1)
    assert order(made, mode) == [1, 0, 2]


def test_selection_gives_up_less_busy_peers_first_and_in_an_emergency_busier_ones() -> None:
    for mode, expected in ((NORMAL, [2, 0, 3, 1]), (EMERGENCY, [2, 1, 3, 0])):
        made = filled(4)
        for id, busy in enumerate((1, 120, 0, 100)):
            made.add_busy(peer_of(id), busy)
        assert order(made, mode) == expected


def test_selection_gives_up_inbound_before_outbound_and_younger_before_older() -> None:
    made = table()
    ways = {1: (Direction.OUT, 1.0), 2: (Direction.OUT, 9.0), 3: (Direction.IN, 0.0), 4: (Direction.IN, 5.0)}
    for id, (direction, at) in sorted(ways.items(), key=lambda each: each[1][1]):
        made.opened(make_link(id, direction=direction, opened_at=at), at)
    made.expire(10.0, 100)
    assert order(made) == [4, 3, 2, 1]


def test_selection_counts_a_peer_with_any_inbound_connection_as_inbound() -> None:
    made = table()
    made.opened(make_link(1, peer=1), 0.0)
    made.opened(make_link(2, peer=2), 1.0)
    made.opened(make_link(3, peer=1, direction=Direction.IN), 2.0)
    made.expire(10.0, 100)
    assert order(made)[0] == 3


def test_in_a_memory_emergency_selection_starts_with_idle_then_inbound_of_most_work_and_ends_with_outbound() -> None:
    made = table()
    for id, direction in enumerate((Direction.OUT, Direction.IN, Direction.IN, Direction.IN)):
        made.opened(make_link(id, direction=direction), 0.0)
    for id, busy in enumerate((200, 100, 300, 0)):
        made.add_busy(peer_of(id), busy)
    made.expire(1.0, 100)
    assert order(made, EMERGENCY) == [3, 2, 1, 0]


def test_selection_spares_protected_peers_and_those_in_grace() -> None:
    made = table(grace=60)
    for id in range(3):
        made.opened(make_link(id), float(id) * 30)
    made.expire(60.0, 100)
    made.protect(peer_of(0), "friend")
    assert order(made) == []
    made.expire(90.0, 100)
    assert order(made) == [1]


def test_emergency_takes_those_in_grace_by_the_same_order_and_protected_ones_last_or_not_at_all() -> None:
    def young() -> PeerTable:
        made = table(grace=60)
        for id in range(4):
            made.opened(make_link(id), 0.0)
        for id, weight in enumerate((5, -100, 7, 1)):
            made.tag(peer_of(id), "a", weight, 0.0)
        made.protect(peer_of(1), "friend")
        return made

    assert order(young(), EMERGENCY) == [3, 0, 2, 1]
    assert order(young(), Mode(emergency=True)) == [3, 0, 2]


def test_selection_takes_connections_singly_the_youngest_of_a_peer_first() -> None:
    made = table()
    for id in range(10):
        made.opened(make_link(id, peer=id % 2, opened_at=float(id)), float(id))
    made.expire(100.0, 100)
    assert [link.id for link in choose(made, 1, NORMAL)] == [9]
    assert (made.open, made.closing) == (9, 1)


def test_selection_breaks_full_ties_by_the_secret_and_not_by_the_identity() -> None:
    survivors = []
    for secret in (b"one", b"two"):
        made = table(secret=secret)
        for id in range(1000):
            made.opened(make_link(id), 0.0)
        made.expire(0.0, 2000)
        choose(made, 500, NORMAL)
        survivors.append({id for id, entry in made.peers.items() if entry.links})
    high = sum(id[-1] >= 128 for id in survivors[0])
    assert survivors[0] != survivors[1]
    assert 200 < high < 300  # upstream: all that survive end in high bytes


def test_selection_orders_values_beyond_64_bits_behind_all_others() -> None:
    made = filled(3)
    made.tag(peer_of(0), "a", 10**30, 0.0)
    made.tag(peer_of(1), "a", -(10**30), 0.0)
    assert order(made) == [1, 2, 0]


# While it is chosen, in slices


def sliced(of: PeerTable, size: int, mode: Mode = NORMAL) -> Selection:
    selection = Selection(of, mode)
    while not selection.gather(size):
        pass
    return selection


def taken(selection: Selection, of: PeerTable, most: int = 10**9) -> list[int]:
    ids: list[int] = []
    while len(ids) < most and (link := selection.next()) is not None:
        of.begin_closing(link)
        ids.append(link.id)
    return ids


@pytest.mark.parametrize("size", [1, 3, 10, 11, 100])
def test_selection_in_slices_of_any_size_has_the_same_order(size: int) -> None:
    rng = random.Random(7)
    weights = [rng.randrange(4) for _ in range(60)]

    def tagged() -> PeerTable:
        made = filled(60)
        for id, weight in enumerate(weights):
            made.tag(peer_of(id), "a", weight, 0.0)
        return made

    made = tagged()
    assert taken(sliced(made, size), made) == order(tagged())


def test_peer_that_is_protected_after_it_was_gathered_is_passed_over() -> None:
    made = filled(4)
    selection = sliced(made, 2)
    made.protect(peer_of(3), "friend")
    assert taken(selection, made) == [2, 1, 0]


def test_peer_that_is_protected_after_it_was_gathered_comes_last_in_an_emergency() -> None:
    made = filled(4)
    selection = sliced(made, 2, EMERGENCY)
    made.protect(peer_of(3), "friend")
    assert taken(selection, made) == [2, 1, 0, 3]


def test_peer_that_is_worth_more_after_it_was_gathered_waits_for_its_new_turn() -> None:
    made = filled(4)
    made.tag(peer_of(0), "a", 5, 0.0)
    selection = sliced(made, 2)
    assert taken(selection, made, 1) == [3]
    made.tag(peer_of(2), "a", 10, 0.0)
    made.add_busy(peer_of(1), 1)
    assert taken(selection, made) == [1, 0, 2]


def test_peer_that_is_gone_or_came_back_after_it_was_gathered_is_passed_over() -> None:
    made = filled(4)
    selection = sliced(made, 2)
    made.closed(3)
    made.closed(2)
    made.opened(make_link(9, peer=2), 2000.0)
    assert taken(selection, made) == [1, 0]


@pytest.mark.parametrize(
    ("open", "share", "low_water", "left"),
    [(20, 0.1, None, 18), (5, 0.1, None, 4), (0, 0.5, None, 0), (20, 1.0, 15, 15)],
)
def test_target_for_want_of_memory_is_a_share_less(open: int, share: float, low_water: int | None, left: int) -> None:
    assert memory_target(open, share, low_water) == left
