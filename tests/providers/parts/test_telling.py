"""What a node tells of its keys, and whom; the test is all other members."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rookery.actors import membership, providers
from rookery.actors.providers.core.codec import Provide, Provided
from rookery.actors.providers.core.ring import key_hash
from rookery.transport import PeerId

from ..conftest import World

Make = Callable[..., World]
KEY = b"k" * 32
HASH = key_hash(providers.mailbox.BLOBS, KEY)


def tell_all(world: World) -> set[PeerId]:
    """Answer every batch that was sent; who got one."""
    told = set()
    for peer, message in world.sent(Provide):
        world.receive(peer, Provided(message.number, len(message.hashes)))
        told.add(peer)
    return told


def test_key_of_this_node_is_told_to_three_members(world: Make) -> None:
    there = world(20)
    there.mailbox.provide([KEY])
    there.run(0.2)
    sent = there.sent(Provide)
    assert len({peer for peer, _ in sent}) == len(sent) in (2, 3)  # this node may be one of the three
    assert {message.hashes for _, message in sent} == {(HASH,)}
    assert {message.seconds for _, message in sent} == {7200}


def test_batch_that_is_not_answered_is_sent_again_with_its_number(world: Make) -> None:
    there = world(20)
    there.mailbox.provide([KEY])
    there.run(0.2)
    first = there.sent(Provide)
    peer, answered = first[0]
    there.receive(peer, Provided(answered.number, 1))
    there.run(2.1)
    assert there.sent(Provide) == first[1:]


def test_key_that_is_withdrawn_is_taken_back(world: Make) -> None:
    there = world(20)
    there.mailbox.provide([KEY])
    there.run(0.2)
    told = tell_all(there)
    there.mailbox.withdraw([KEY])
    there.run(0.2)
    taken_back = there.sent(Provide)
    assert {peer for peer, _ in taken_back} == told
    assert {message.seconds for _, message in taken_back} == {0}


def test_keys_beyond_the_bound_are_counted_and_not_told(world: Make) -> None:
    there = world(20, max_provided=3)
    there.mailbox.provide([bytes([number]) * 32 for number in range(5)])
    there.run(1)
    assert there.counted("not_provided_total") == 2


@pytest.mark.parametrize(
    "how", [{"proved": False}, {"tags": {"providers": "none"}}], ids=["has not answered", "does not take part"]
)
def test_member_is_told_nothing_that(world: Make, how: dict[str, Any]) -> None:
    there = world(0)
    for number in range(3):
        there.join(f"peer-{number}", **how)
    there.mailbox.provide([KEY])
    there.run(30)
    assert there.sent() == []


def test_member_that_answers_later_is_told_then(world: Make) -> None:
    there = world(0)
    peer = there.join("peer-1", proved=False)
    there.mailbox.provide([KEY])
    there.run(30)
    there.tell(membership.MemberProved(peer))
    there.run(15)
    assert {to for to, _ in there.sent(Provide)} == {peer}


def test_member_that_has_not_answered_is_told_nothing_though_its_record_is_newer(world: Make) -> None:
    there = world(0)
    there.join("peer-1", proved=False)
    record = there.record("peer-1", generation=2)
    there.tell(membership.MemberUpdated(record.peer, record))
    there.mailbox.provide([KEY])
    there.run(30)
    assert there.sent() == []


def test_member_that_does_not_take_part_any_more_is_told_nothing_more(world: Make) -> None:
    there = world(1)
    record = there.record("peer-0", generation=2, tags={"providers": "none"})
    there.tell(membership.MemberUpdated(record.peer, record))
    there.mailbox.provide([KEY])
    there.run(30)
    assert there.sent() == []


def test_member_that_is_in_a_later_life_is_told_again(world: Make) -> None:
    there = world(2)
    there.mailbox.provide([KEY])
    there.run(0.2)
    assert tell_all(there) == set(there.all)
    there.run(15)
    record = there.record("peer-1", generation=2)
    there.tell(membership.MemberUpdated(record.peer, record))
    there.run(15)
    assert {peer for peer, _ in there.sent(Provide)} == {record.peer}
