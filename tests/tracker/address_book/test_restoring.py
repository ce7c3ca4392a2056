"""Stored times against other clocks: nothing waits longer than it would have, and nothing comes from the future."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.actors.tracker import Config, TrackedPeers
from rookery.actors.tracker.address_book.storage import (
    BlockEntry,
    Clock,
    PeerEntry,
    block_entry,
    block_until,
    peer_entry,
    restore,
)
from rookery.actors.tracker.core.directory import Directory
from rookery.actors.tracker.core.known_peer import NEVER, KnownPeer
from rookery.transport.address import Address
from tests.tracker.address_book.books import KNOWN, WALL, entry, peer

CONFIG = Config(source="application")
ME = peer("me")
NOW = 1000.0
CLOCK = Clock.at(NOW, WALL)
A, B = (Address.parse(f"tcp://10.0.0.{number}:7000") for number in (1, 2))


def directory(config: Config = CONFIG) -> Directory:
    return Directory(config, ME, random.Random(1))


def restored(stored: PeerEntry, clock: Clock = CLOCK, now: float = NOW) -> KnownPeer:
    known_peers = directory().peers
    assert restore(stored, known_peers, CONFIG, clock, now)
    record = known_peers.get(stored.peer)
    assert record is not None
    return record


def test_peer_comes_back_as_it_was_on_a_machine_with_another_monotonic_clock() -> None:
    stored = entry("ada")
    record = restored(stored, Clock.at(5.0, WALL + 0.5), 5.0)
    assert (record.address, record.given, record.signed, record.role) == (stored.address, False, stored.signed, None)
    assert record.source == stored.source
    assert (record.seen_at, record.failed_at, record.pace.last_miss) == (5.0 - 60.5, 5.0 - 120.5, 5.0 - 120.5)
    assert (record.pace.retry_at, record.pace.rest_until, record.pace.delay) == (6.5, 34.5, 4.3)
    assert record.pace.reservable_at == 5.5


def test_peer_that_is_stored_again_is_stored_alike() -> None:
    stored = entry("ada")
    assert peer_entry(restored(stored), CLOCK, NOW) == stored


def test_what_is_over_meanwhile_is_over() -> None:
    pace = restored(entry("ada"), Clock.at(NOW, WALL + 3600)).pace
    assert (pace.retry_at, pace.rest_until, pace.reservable_at) == (NEVER, NEVER, NEVER)


def test_clock_that_was_set_back_a_year_lets_nothing_wait_longer_and_nothing_come_from_the_future() -> None:
    record = restored(entry("ada"), Clock.at(NOW, WALL - 365 * 86_400))
    pace = record.pace
    assert (pace.retry_at, pace.rest_until, pace.reservable_at) == (NOW + 2.0, NOW + 30.0, NOW + 1.0)
    assert (record.seen_at, record.failed_at, pace.last_miss) == (NOW, NOW, NOW)


def test_waits_are_never_longer_than_the_configuration_allows_now() -> None:
    known_peers = directory().peers
    mad = entry("ada", retry_at=WALL + 1e9, rest_until=math.inf, reservable_at=WALL + 1e9, delay=1e9)
    assert restore(mad, known_peers, CONFIG, CLOCK, NOW)
    pace = known_peers.make(peer("ada")).pace
    assert pace.retry_at == NOW + CONFIG.backoff_cap
    assert pace.rest_until == NOW + CONFIG.rest_after_loss
    assert pace.reservable_at == NOW + CONFIG.cooldown
    assert pace.delay == CONFIG.backoff_cap


def test_block_comes_back_with_what_was_left_of_it() -> None:
    stored = block_entry("somebody", NOW + 100.0, CLOCK, NOW)
    assert stored == BlockEntry("somebody", WALL + 100.0, WALL)
    assert block_until(stored, Clock.at(7.0, WALL + 40.0), 7.0) == 67.0
    assert block_until(stored, Clock.at(7.0, WALL + 100.0), 7.0) is None
    assert block_until(stored, Clock.at(7.0, WALL - 1e6), 7.0) == 107.0


def test_block_for_good_is_for_good_whatever_the_clock_says() -> None:
    stored = block_entry("somebody", math.inf, CLOCK, NOW)
    for wall in (0.0, WALL, WALL + 1e9):
        assert block_until(stored, Clock.at(NOW, wall), NOW) == math.inf


def test_what_this_life_knows_already_stays() -> None:
    made = directory()
    made.overwrite({}, NOW)
    made.track(1, TrackedPeers({peer("ada"): B}), NOW)
    made.learn(KNOWN.record("ada", str(B), generation=5), NOW)
    record = made.peers.make(peer("ada"))
    record.pace.delay, record.pace.retry_at, record.seen_at = 1.0, NOW + 0.5, NOW - 1.0
    assert restore(entry("ada"), made.peers, CONFIG, CLOCK, NOW)
    assert (record.address, record.given) == (B, True)
    assert record.signed == KNOWN.record("ada", str(B), generation=5)
    assert (record.pace.delay, record.pace.retry_at, record.seen_at) == (1.0, NOW + 0.5, NOW - 1.0)


def test_newer_stored_record_replaces_an_older_one() -> None:
    made = directory()
    made.learn(KNOWN.record("ada", str(B), generation=1), NOW)
    newer = KNOWN.record("ada", str(A), generation=2)
    assert restore(entry("ada", signed=newer), made.peers, CONFIG, CLOCK, NOW)
    assert made.peers.make(peer("ada")).signed == newer


def test_entry_of_this_node_itself_has_no_place() -> None:
    known_peers = directory().peers
    assert not restore(entry("me"), known_peers, CONFIG, CLOCK, NOW)
    assert len(known_peers) == 0


def test_peer_whom_nobody_knows_where_to_find_is_not_stored() -> None:
    assert peer_entry(KnownPeer(peer("ada")), CLOCK, NOW) is None


def test_book_larger_than_the_bound_is_restored_up_to_the_bound() -> None:
    config = replace(CONFIG, max_hinted_peers=3)
    known_peers = directory(config).peers
    names = [f"peer {number}" for number in range(5)]
    stored = [entry(name, missed_at=None, failed_at=None) for name in names]
    assert [restore(each, known_peers, config, CLOCK, NOW) for each in stored] == [True, True, True, False, False]
    assert len(known_peers) == 3


@pytest.mark.parametrize("at", [None, NEVER])
def test_clock_stores_no_moment_where_there_is_none(at: float | None) -> None:
    assert CLOCK.unix_or_none(at) is None
    assert CLOCK.future(None, WALL, NOW) == NEVER
    assert CLOCK.past(None, NOW) is None


times = st.floats(0, 4e9)


@given(
    unix=st.none() | times | st.just(math.inf),
    saved_at=times,
    wall=times,
    now=st.floats(0, 1e7),
    most=st.floats(0, 1e6),
)
def test_clock_never_makes_anything_wait_longer_than_it_may(
    unix: float | None, saved_at: float, wall: float, now: float, most: float
) -> None:
    until = Clock.at(now, wall).future(unix, saved_at, now, most)
    if until == NEVER:
        assert unix is None or unix - saved_at <= 0 or unix - wall <= 0.01 or most <= 0
    else:
        assert unix is not None
        assert now <= until <= now + min(most, unix - saved_at) + 0.01
        assert until - now <= unix - wall + 0.01
