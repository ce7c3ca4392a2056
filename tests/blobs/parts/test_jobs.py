"""The rules at the head of `rookery.actors.blobs.parts.jobs`."""

import hashlib
from typing import Any

import pytest

from rookery.actors.blobs import Accepted, BlobKey, Download, Reason, Rejected
from rookery.actors.blobs.parts.jobs import MAX_PEERS, Arrival, Job, Ledger, Wants, judge
from rookery.actors.resolver import Outcome
from rookery.runtime import Reply
from rookery.transport.identity import PeerId

VALUE = b"value"
BLOCK, OTHER = hashlib.sha256(VALUE).digest(), b"o" * 32


def job(letter: bytes) -> Job:
    return Job(BlobKey(letter * 32), Download(letter * 32))


def test_block_two_downloads_want_is_asked_for_once_and_given_up_with_the_last() -> None:
    wants, one, two = Wants(), job(b"1"), job(b"2")
    assert wants.add(one, [BLOCK, OTHER]) == [BLOCK, OTHER]
    assert wants.add(two, [BLOCK]) == []
    assert wants.add(two, [BLOCK]) == []
    assert wants.drop(one, [BLOCK, OTHER]) == [OTHER]
    assert wants.first(BLOCK) is two
    assert wants.drop(one, [BLOCK]) == []
    assert wants.drop(two, [BLOCK]) == [BLOCK]
    assert (len(wants), one.requested, two.requested) == (0, {}, {})


@pytest.mark.parametrize(
    ("verdict", "alone", "shared"),
    [
        (Accepted(), Outcome.COMPLETE, Outcome.COMPLETE),
        (Rejected(Reason.UNWANTED), Outcome.COMPLETE, Outcome.COMPLETE),
        (Rejected(Reason.FALSE), Outcome.INVALID, Outcome.INVALID),
        (Rejected(Reason.BROKEN), Outcome.COMPLETE, Outcome.AMBIGUOUS),
        (None, Outcome.IGNORED, Outcome.AMBIGUOUS),
    ],
)
def test_verdict_alone_and_shared_tells_the_resolver_what_its_wishes_need(
    simulation: Any, verdict: Accepted | Rejected | None, alone: Outcome, shared: Outcome
) -> None:
    (bob,) = simulation.peers("bob")
    for others, expected in (([], alone), ([job(b"2")], shared)):
        wants, one = Wants(), job(b"1")
        for each in (one, *others):
            wants.add(each, [BLOCK])
        outcome, released = judge(wants, one, Arrival(BLOCK, VALUE, bob, Reply()), verdict)
        assert outcome is expected
        stored = verdict in (Accepted(), Rejected(Reason.UNWANTED))
        assert released == ([one, *others] if stored else [])
        # after a verdict that ends the resolver's key nobody may still count on it
        assert (wants.first(BLOCK) is not None) == (expected in (Outcome.INVALID, Outcome.AMBIGUOUS))
        assert one.ledger.false == (((bob, 1),) if expected is Outcome.INVALID else ())
        assert one.ledger.served == (((bob, 5),) if verdict == Accepted() else ())


def test_ledger_with_more_peers_than_it_lists_keeps_the_sum() -> None:
    ledger = Ledger()
    peers = [PeerId(number.to_bytes(32, "big")) for number in range(MAX_PEERS + 5)]
    for peer in reversed(peers):
        ledger.accepted(peer, 2)
        ledger.rejected(peer)
    ledger.accepted(peers[-1], 2)
    assert ledger.fetched == 2 * (MAX_PEERS + 6)
    assert len(ledger.served) == len(ledger.false) == MAX_PEERS
    assert ledger.served == tuple(sorted(ledger.served))
    assert ledger.served[-1] == (peers[-1], 4)
