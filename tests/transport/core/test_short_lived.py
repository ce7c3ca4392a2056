"""The places of short-lived connections."""

from __future__ import annotations

import hashlib

from rookery.transport import Direction, PeerId, Reason
from rookery.transport.core.short_lived import IDLE, MAX_WAITING, PATIENCE, QUIET, TURN, ShortLivedPlaces, Use


def peer(number: int) -> PeerId:
    return PeerId(hashlib.sha256(str(number).encode()).digest())


def test_one_place_is_kept_for_each_direction() -> None:
    places = ShortLivedPlaces(3)
    taken = [places.take_inbound(peer(number), f"10.0.{number}.1", 0.0) for number in range(4)]
    assert taken == [None, None, Reason.QUEUED, Reason.QUEUED]
    assert [places.take_outbound() for _ in range(2)] == [None, Reason.LIMIT]
    assert places.used == 3
    for _ in range(2):
        places.give_back(Direction.IN, "10.0.0.1")
    assert [places.take_outbound() for _ in range(2)] == [None, Reason.LIMIT]


def test_places_that_come_free_go_round_among_those_that_wait() -> None:
    places = ShortLivedPlaces(2)
    assert places.take_inbound(peer(0), "10.0.0.1", 0.0) is None
    for number in (1, 2):
        assert places.take_inbound(peer(number), f"10.0.{number}.1", 0.0) is Reason.QUEUED
    places.give_back(Direction.IN, "10.0.0.1")
    assert places.take_inbound(peer(0), "10.0.0.1", 1.0) is Reason.QUEUED, "it had its turn"
    assert places.take_inbound(peer(2), "10.0.2.1", 1.0) is Reason.QUEUED, "another has waited longer"
    assert places.take_inbound(peer(1), "10.0.1.1", 1.0) is None


def test_who_does_not_ask_again_waits_no_more() -> None:
    places = ShortLivedPlaces(2)
    places.take_inbound(peer(0), "10.0.0.1", 0.0)
    places.take_inbound(peer(1), "10.0.1.1", 0.0)
    places.give_back(Direction.IN, "10.0.0.1")
    assert places.take_inbound(peer(2), "10.0.2.1", PATIENCE) is Reason.QUEUED
    assert places.take_inbound(peer(2), "10.0.2.1", PATIENCE + 0.1) is None


def test_many_peers_of_one_ip_do_not_have_the_places_to_themselves() -> None:
    places = ShortLivedPlaces(3)
    for number in range(40):
        places.take_inbound(peer(number), "10.0.0.1", 0.0)
    assert places.take_inbound(peer(99), "10.0.9.1", 1.0) is Reason.QUEUED
    places.give_back(Direction.IN, "10.0.0.1")
    assert places.take_inbound(peer(2), "10.0.0.1", 2.0) is Reason.QUEUED, "its IP has a place"
    assert places.take_inbound(peer(99), "10.0.9.1", 2.0) is None


def test_only_so_many_wait_and_those_of_a_crowd_go_first() -> None:
    places = ShortLivedPlaces(3)
    for number in range(MAX_WAITING + 9):
        places.take_inbound(peer(number), "10.0.0.1", 0.0)
    assert places.waiting == MAX_WAITING
    places.take_inbound(peer(-1), "10.0.9.1", 0.0)
    places.take_inbound(peer(-2), "10.0.0.1", 0.0)
    assert places.waiting == MAX_WAITING
    places.give_back(Direction.IN, "10.0.0.1")
    assert places.take_inbound(peer(3), "10.0.0.1", 1.0) is Reason.QUEUED, "the other waits, and goes first"


def test_connection_is_over_when_it_is_idle_and_sooner_where_others_wait() -> None:
    use = Use(opened_at=0.0, said_at=0.0, used_at=0.0, heard=True)
    assert not use.look(1, 1.0)
    assert [use.over_at(direction) for direction in Direction] == 2 * [1.0 + QUIET]
    assert not use.look(1, 1.0 + IDLE - 0.1)
    assert use.look(1, 1.0 + IDLE)
    assert not use.look(2, 9.5)
    assert [use.over_at(direction) for direction in Direction] == 2 * [TURN]


def test_connection_is_not_idle_while_an_answer_is_to_come_or_something_is_on_its_way() -> None:
    use = Use(opened_at=0.0, said_at=0.0, used_at=0.0)
    use.awaits(2, 1.0)
    use.awaits(-1, 2.0)
    assert not use.look(0, 2 * IDLE)
    assert use.over_at(Direction.IN) == TURN, "it is this node that others wait for"
    assert use.over_at(Direction.OUT) == QUIET
    use.awaits(-1, 2 * IDLE)
    use.awaits(-1, 2 * IDLE)
    assert not use.look(0, 3 * IDLE - 0.1, on_its_way=True)
    assert not use.look(0, 4 * IDLE - 0.2)
    assert use.look(0, 4 * IDLE)


def test_connection_over_which_we_asked_in_vain_has_had_its_turn_until_something_comes_over_it() -> None:
    use = Use(opened_at=0.0, said_at=0.0, used_at=0.0, heard=True)
    use.awaits(1, 1.0)
    use.awaits(-1, 1.0, in_vain=True)
    use.look(2, 1.0)
    assert use.over_at(Direction.OUT) == 0.0
    assert use.over_at(Direction.IN) == 1.0 + QUIET, "the peer may want it"
    use.awaits(1, 1.2, in_vain=True)
    assert use.over_at(Direction.OUT) == 0.0, "it is asked once more"
    use.awaits(-1, 1.3, in_vain=False)
    use.look(3, 1.3)
    assert use.over_at(Direction.OUT) == 1.3 + QUIET
    use.awaits(-1, 1.3, in_vain=True)
    assert use.over_at(Direction.OUT) == 1.3 + QUIET, "another of its users got nothing, and the first goes on"


def test_connection_to_a_peer_that_says_nothing_is_not_kept_by_what_we_say() -> None:
    use = Use(opened_at=0.0, said_at=0.0, used_at=0.0)
    use.look(1, 1.0)
    assert use.over_at(Direction.OUT) == QUIET
    assert use.is_useless(Direction.OUT)
    assert use.over_at(Direction.IN) == 1.0 + QUIET
    use.heard = True
    assert use.over_at(Direction.OUT) == 1.0 + QUIET
    assert not use.is_useless(Direction.OUT)
