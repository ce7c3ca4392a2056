"""Whom we lost: tried again now and then, more and more rarely, and not for ever."""

from __future__ import annotations

from itertools import pairwise

from rookery.actors.maintenance.missing import MOST, TRIES, Missing
from rookery.actors.maintenance.steps import Pacing
from rookery.transport.identity import PeerId

PEERS = [PeerId(bytes([number]) * 32) for number in range(1, 40)]
A, B, *_ = PEERS
PACING = Pacing(floor=1.0, looking=5.0, idle=120.0, dials=10)


def tried(missing: Missing, until: float) -> list[tuple[float, PeerId]]:
    found: list[tuple[float, PeerId]] = []
    while missing.next_at is not None and missing.next_at <= until:
        now = missing.next_at
        peer = missing.due(now)
        assert peer is not None
        found.append((now, peer))
    return found


def test_missing_peer_is_tried_more_and_more_rarely_and_then_forgotten() -> None:
    missing = Missing(PACING)
    missing.miss(A, 100.0)
    times = [time - 100.0 for time, _ in tried(missing, 1e6)]
    assert times[:7] == [5.0, 15.0, 35.0, 75.0, 155.0, 275.0, 395.0]
    assert len(times) == TRIES
    assert missing.due(1e7) is None


def test_missing_peers_take_turns() -> None:
    missing = Missing(PACING)
    missing.miss(A, 0.0)
    missing.miss(B, 0.0)
    assert [peer for _, peer in tried(missing, 80.0)] == [A, B, A, B]


def test_missing_peer_that_is_found_is_not_tried() -> None:
    missing = Missing(PACING)
    missing.miss(A, 0.0)
    missing.miss(B, 0.0)
    missing.forget(A)
    assert {peer for _, peer in tried(missing, 1000.0)} == {B}
    missing.forget(B)
    assert missing.next_at is None


def test_missing_peers_are_bounded_and_the_oldest_go() -> None:
    missing = Missing(PACING)
    for peer in PEERS:
        missing.miss(peer, 0.0)
    assert {peer for _, peer in tried(missing, 1e6)} == set(PEERS[-MOST:])


def test_missing_peers_that_break_all_the_time_are_not_tried_more_often_than_the_looking_interval() -> None:
    missing, times = Missing(PACING), list[float]()
    for tenth in range(1000):
        missing.miss(PEERS[tenth % 30], tenth / 10)
        if missing.due(tenth / 10) is not None:
            times.append(tenth / 10)
    assert all(later - earlier >= PACING.looking for earlier, later in pairwise(times))
    assert len(times) > 10
