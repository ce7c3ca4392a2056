"""What is unsaved: whatever is to be stored is noted when it changes, and nothing else is."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from rookery.actors.tracker import Config, TrackedPeers
from rookery.actors.tracker.core.directory import Directory
from rookery.testing import Peers
from rookery.transport.address import Address
from rookery.transport.gatekeeper import Ticket
from rookery.transport.reasons import Reason

KNOWN = Peers()
ME, BOB, CAROL = (KNOWN.identity(name).peer for name in ("me", "bob", "carol"))
A, B = (Address.parse(f"tcp://10.0.0.{number}:7000") for number in (1, 2))


@pytest.fixture
def directory() -> Directory:
    made = Directory(Config(source="application"), ME, random.Random(1))
    made.track(1, TrackedPeers({BOB: A}), 0.0)
    made.peers.unsaved.on = True
    return made


def dial(directory: Directory) -> Ticket:
    reserved = directory.reserve(BOB, 10.0)
    assert not isinstance(reserved, Reason)
    return reserved[0]


def open_a_link(directory: Directory) -> None:
    dial(directory)
    directory.peers.unsaved.peers.clear()
    directory.opened(BOB, 11.0)


def fail_a_dial(directory: Directory) -> None:
    ticket = dial(directory)
    directory.peers.unsaved.peers.clear()
    directory.release(ticket, Reason.TIMEOUT, 11.0)


@pytest.mark.parametrize(
    "change",
    [
        lambda directory: directory.overwrite({BOB: B}, 10.0),
        lambda directory: directory.track(2, TrackedPeers({BOB: B}), 10.0),
        lambda directory: directory.learn(KNOWN.record("bob", str(B)), 10.0),
        open_a_link,
        fail_a_dial,
    ],
)
def test_unsaved_notes_a_peer_of_which_something_changed(
    directory: Directory, change: Callable[[Directory], object]
) -> None:
    change(directory)
    assert list(directory.peers.unsaved.peers) == [BOB]
    assert directory.peers.unsaved


def test_unsaved_notes_a_peer_that_was_forgotten(directory: Directory) -> None:
    for id in range(2, 7):
        directory.track(id, TrackedPeers({}), 10.0)
    assert list(directory.peers.unsaved.peers) == [BOB]
    assert directory.peers.get(BOB) is None


def test_unsaved_notes_blocks_and_trust_that_begin_and_end(directory: Directory) -> None:
    peers = directory.peers
    changes: list[Callable[[], object]] = [
        lambda: peers.block(CAROL, 5.0, 10.0),
        lambda: peers.unblock(CAROL, 11.0),
        lambda: peers.block(CAROL, 5.0, 12.0),
        lambda: peers.expire(20.0),
    ]
    for change in changes:
        peers.unsaved.blocks.clear()
        change()
        assert list(peers.unsaved.blocks) == [CAROL]
    changes = [lambda: peers.trust(CAROL, 10.0), lambda: peers.distrust(CAROL, 10.0)]
    for change in changes:
        peers.unsaved.trust.clear()
        change()
        assert list(peers.unsaved.trust) == [CAROL]


def test_unsaved_notes_nothing_where_nothing_changes(directory: Directory) -> None:
    peers = directory.peers
    peers.unblock(CAROL, 10.0)
    peers.distrust(CAROL, 10.0)
    directory.overwrite({BOB: A, CAROL: A}, 10.0)
    directory.dialable(10, (), 10.0)
    assert not peers.unsaved


def test_unsaved_that_nobody_reads_stays_empty() -> None:
    unread = Directory(Config(source="application"), ME, random.Random(1))
    unread.track(1, TrackedPeers({BOB: A}), 0.0)
    unread.peers.block(CAROL, 5.0, 0.0)
    assert not unread.peers.unsaved


def test_record_says_when_its_peer_was_last_seen_and_last_missed(directory: Directory) -> None:
    record = directory.peers.make(BOB)
    assert (record.seen_at, record.failed_at) == (None, None)
    fail_a_dial(directory)
    assert (record.seen_at, record.failed_at) == (None, 11.0)
    reserved = directory.reserve(BOB, 20.0)
    assert not isinstance(reserved, Reason)
    directory.opened(BOB, 21.0)
    assert record.seen_at == 21.0
    directory.release(reserved[0], Reason.LOST, 30.0)
    assert (record.seen_at, record.failed_at) == (30.0, 11.0)
