"""Whom we lost: tried again now and then, and not for ever."""

from __future__ import annotations

from itertools import pairwise

from rookery.actors.maintenance.core.missing import MOST, TRIES, Missing
from rookery.actors.maintenance.core.steps import Pacing
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


def test_missing_peer_is_tried_after_its_rest_then_once_per_idle_time_and_then_forgotten() -> None:
    missing = Missing(PACING)
    missing.miss(A, 100.0)
    times = [time - 100.0 for time, _ in tried(missing, 1e6)]
    assert times[:3] == [60.0, 180.0, 300.0]
    assert len(times) == TRIES
    assert missing.due(1e7) is None


def test_missing_peers_take_turns() -> None:
    missing = Missing(PACING)
    missing.miss(A, 0.0)
    missing.miss(B, 0.0)
    assert [peer for _, peer in tried(missing, 430.0)] == [A, B, A, B]


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


def test_missing_peers_that_break_all_the_time_are_not_tried_more_often() -> None:
    missing, times = Missing(PACING), list[float]()
    for second in range(1000):
        missing.miss(PEERS[second % 30], float(second))
        if missing.due(float(second)) is not None:
            times.append(float(second))
    assert [later - earlier for earlier, later in pairwise(times)] == [PACING.idle] * 7


def test_missing_peer_whose_link_was_brief_is_tried_first_and_soon() -> None:
    missing = Missing(PACING)
    missing.miss(A, 0.0)
    missing.miss(B, 20.0, lived=0.003)
    assert [(time, peer) for time, peer in tried(missing, 60.0)] == [(20.0 + PACING.looking, B)]


def test_missing_peer_whose_links_are_all_brief_is_tried_ever_more_rarely() -> None:
    missing, times = Missing(PACING), [0.0]
    while len(times) < 10:
        missing.miss(A, times[-1], lived=0.003)
        assert missing.next_at is not None
        times.append(missing.next_at)
        assert missing.due(times[-1]) == A
        missing.forget(A)  # found, for a moment
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps == [5.0, 10.0, 20.0, 40.0, *[PACING.idle / 2] * 5]
    later = times[-1] + PACING.idle
    missing.miss(A, later, lived=0.003)
    assert missing.next_at == later + PACING.looking
