"""What is tried again: peers we lost, peers of the set, and making room for these. Rarely, and not for ever."""

from __future__ import annotations

import math
from itertools import pairwise

from rookery.actors.maintenance.core.retries import (
    LOST_PEER_TRIES,
    MAX_LOST_PEERS,
    MAX_ROOMS,
    SET_PEER_TRIES,
    LostPeers,
    Room,
    SetPeers,
)
from rookery.transport.identity import PeerId

from .plans import PACING, A, B, C

PEERS = [PeerId(bytes([number]) * 32) for number in range(1, 40)]


def tried(missing: LostPeers, until: float) -> list[tuple[float, PeerId]]:
    found: list[tuple[float, PeerId]] = []
    while missing.next_at is not None and missing.next_at <= until:
        now = missing.next_at
        peer = missing.due(now)
        assert peer is not None
        found.append((now, peer))
    return found


def test_missing_peer_is_tried_after_its_rest_then_once_per_idle_time_and_then_forgotten() -> None:
    missing = LostPeers(PACING)
    missing.lost(A, 100.0)
    times = [time - 100.0 for time, _ in tried(missing, 1e6)]
    assert times[:3] == [60.0, 180.0, 300.0]
    assert len(times) == LOST_PEER_TRIES
    assert missing.due(1e7) is None


def test_missing_peers_take_turns() -> None:
    missing = LostPeers(PACING)
    missing.lost(A, 0.0)
    missing.lost(B, 0.0)
    assert [peer for _, peer in tried(missing, 430.0)] == [A, B, A, B]


def test_missing_peer_that_is_found_is_not_tried() -> None:
    missing = LostPeers(PACING)
    missing.lost(A, 0.0)
    missing.lost(B, 0.0)
    missing.forget(A)
    assert {peer for _, peer in tried(missing, 1000.0)} == {B}
    missing.forget(B)
    assert missing.next_at is None


def test_missing_peers_are_bounded_and_the_oldest_go() -> None:
    missing = LostPeers(PACING)
    for peer in PEERS:
        missing.lost(peer, 0.0)
    assert {peer for _, peer in tried(missing, 1e6)} == set(PEERS[-MAX_LOST_PEERS:])


def test_missing_peers_that_break_all_the_time_are_not_tried_more_often() -> None:
    missing, times = LostPeers(PACING), list[float]()
    for second in range(1000):
        missing.lost(PEERS[second % 30], float(second))
        if missing.due(float(second)) is not None:
            times.append(float(second))
    assert [later - earlier for earlier, later in pairwise(times)] == [PACING.idle] * 7


def test_missing_peer_whose_link_was_brief_is_tried_first_and_soon() -> None:
    missing = LostPeers(PACING)
    missing.lost(A, 0.0)
    missing.lost(B, 20.0, lived=0.003)
    assert [(time, peer) for time, peer in tried(missing, 60.0)] == [(20.0 + PACING.looking, B)]


def test_missing_peer_whose_links_are_all_brief_is_tried_ever_more_rarely() -> None:
    missing, times = LostPeers(PACING), [0.0]
    while len(times) < 10:
        missing.lost(A, times[-1], lived=0.003)
        assert missing.next_at is not None
        times.append(missing.next_at)
        assert missing.due(times[-1]) == A
        missing.forget(A)  # found, for a moment
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps == [5.0, 10.0, 20.0, 40.0, *[PACING.idle / 2] * 5]
    later = times[-1] + PACING.idle
    missing.lost(A, later, lived=0.003)
    assert missing.next_at == later + PACING.looking


def test_seek_that_found_enough_for_the_idle_time_begins_again_at_the_first_pace() -> None:
    seek = SetPeers(PACING)
    for now in (0.0, 5.0, 15.0):
        assert seek.next_at <= now
        seek.began(now)
    seek.note_enough(True, 20.0)
    seek.note_enough(False, 139.0)
    assert seek.next_at == 35.0
    seek.note_enough(True, 140.0)
    seek.note_enough(False, 261.0)
    assert seek.next_at == -math.inf
    seek.began(261.0)
    assert seek.next_at == 266.0


def test_seek_ends_after_some_tries() -> None:
    seek = SetPeers(PACING)
    for number in range(SET_PEER_TRIES):
        assert seek.next_at < math.inf
        seek.began(1000.0 * number)
        seek.ended(1000.0 * number)
    assert seek.next_at == math.inf
    seek.start_over()
    assert seek.next_at == -math.inf


def let_in(room: Room, peer: PeerId, now: float) -> None:
    room.made(now)
    room.dialled(peer, now)
    room.found(peer, now)


def test_room_is_made_at_once_for_each_of_several_peers_that_stay() -> None:
    room = Room(PACING)
    for peer in (A, B, C):
        assert room.is_due(0.0)
        let_in(room, peer, 0.0)
    room.lost(A, 120.0)
    assert room.is_due(120.0)


def test_room_is_made_at_once_again_when_a_peer_that_got_some_stayed_for_the_idle_time_not_sooner() -> None:
    room = Room(PACING)
    let_in(room, A, 0.0)
    room.lost(A, 0.0)
    assert (room.is_due(4.9), room.is_due(5.0)) == (False, True)
    let_in(room, B, 5.0)
    assert (room.is_due(9.9), room.is_due(10.0)) == (False, True)  # B may still go
    let_in(room, C, 124.9)
    assert (room.is_due(124.9), room.is_due(125.0)) == (False, True)


def test_room_that_several_leave_at_once_waits_as_for_one() -> None:
    room = Room(PACING)
    for peer in (A, B, C):
        let_in(room, peer, 0.0)
    for peer in (A, B, C):
        room.lost(peer, 1.0)
    assert (room.is_due(5.9), room.is_due(6.0)) == (False, True)


def test_room_that_nobody_was_dialled_into_or_whose_link_was_never_told_of_is_wasted() -> None:
    room = Room(PACING)
    room.made(0.0)
    room.unused(0.0)
    assert (room.is_due(4.9), room.is_due(5.0)) == (False, True)
    for _ in range(2):
        room.made(5.0)
        room.dialled(A, 5.0)
    assert (room.is_due(14.9), room.is_due(15.0)) == (False, True)


def test_room_is_withheld_once_per_wait_however_often_it_is_needed_and_however_many_prolong_it() -> None:
    room = Room(PACING)
    for peer in (A, B):
        let_in(room, peer, 0.0)
    room.lost(A, 0.0)
    assert [room.withhold(), room.withhold()] == [5.0, None]
    room.lost(B, 1.0)
    assert (room.is_due(5.9), room.withhold()) == (False, None)
    assert room.is_due(6.0)
    let_in(room, C, 6.0)
    room.lost(C, 6.0)
    assert [room.withhold(), room.withhold()] == [16.0, None]


def test_room_is_withheld_again_in_a_wait_that_follows_one_after_which_nobody_needed_any() -> None:
    room = Room(PACING)
    for peer in (A, B):
        let_in(room, peer, 0.0)
    room.lost(A, 0.0)
    assert room.withhold() == 5.0
    room.lost(B, 50.0)
    assert room.withhold() == 60.0


def test_room_remembers_a_limited_number_of_peers() -> None:
    room = Room(PACING)
    for number in range(MAX_ROOMS + 1):
        let_in(room, PeerId(number.to_bytes(32)), 0.0)
    room.lost(PeerId(bytes(32)), 1.0)  # forgotten
    assert room.is_due(1.0)
    room.lost(PeerId((1).to_bytes(32)), 1.0)
    assert not room.is_due(1.0)
