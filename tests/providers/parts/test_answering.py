"""What a node keeps and answers for others; the test is all other members."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rookery.actors import membership, providers
from rookery.actors.providers.core.codec import Have, Having, Holders, Provide, Provided, Who, encode
from rookery.actors.providers.core.ring import key_hash
from rookery.actors.providers.parts.answering import LIMITS, NAMES

from ..conftest import World

Make = Callable[..., World]
KEY = b"k" * 32
SECONDARY = {"role": "secondary"}
HASH = key_hash(providers.mailbox.BLOBS, KEY)


def test_what_a_member_provides_is_named_to_who_asks_with_its_record(world: Make) -> None:
    there = world(20)
    holder, asker = there.all[:2]
    there.receive(holder, Provide(7, 600, (HASH,)))
    assert there.sent() == [(holder, Provided(7, 1))]
    there.run(10)
    there.receive(asker, Who(9, HASH))
    ((to, holders),) = there.sent(Holders)
    assert (to, holders.number) == (asker, 9)
    assert holders.holders == ((10, there.record("peer-0").encode()),)
    assert len(holders.nearer) in (2, 3)


def test_holder_that_is_gone_is_named_no_more(world: Make) -> None:
    there = world(20)
    there.receive(there.all[0], Provide(7, 600, (HASH,)))
    there.tell(membership.MemberDown(there.all[0]))
    there.receive(there.all[1], Who(9, HASH))
    ((_, holders),) = there.sent(Holders)
    assert holders.holders == ()
    there.run(3)
    there.simulation.registry.samples()
    assert there.counted("kept_keys") == 0


def test_holder_that_has_it_no_more_is_named_no_more(world: Make) -> None:
    there = world(20)
    there.receive(there.all[0], Provide(7, 600, (HASH,)))
    there.receive(there.all[0], Provide(8, 0, (HASH,)))
    there.receive(there.all[1], Who(9, HASH))
    assert there.sent(Holders)[0][1].holders == ()


@pytest.mark.parametrize("seconds", [0, 600])
def test_message_that_names_a_key_twice_ends_nothing(world: Make, seconds: int) -> None:
    there = world(20)
    there.receive(there.all[0], Provide(7, 600, (HASH,)))
    there.receive(there.all[0], Provide(8, seconds, (HASH, HASH)))
    there.receive(there.all[0], Have(9, (HASH, HASH)))
    assert len(there.sent()) == 3
    there.receive(there.all[1], Who(9, HASH))
    assert len(there.sent(Holders)[0][1].holders) == (seconds > 0)


def test_asker_is_not_named_to_itself(world: Make) -> None:
    there = world(20)
    there.receive(there.all[0], Provide(7, 600, (HASH,)))
    there.receive(there.all[0], Who(9, HASH))
    ((_, holders),) = there.sent(Holders)
    assert holders.holders == ()
    assert there.record("peer-0").encode() not in holders.nearer


def test_member_is_told_which_keys_this_node_has(world: Make) -> None:
    there = world(20)
    there.mailbox.provide([KEY])
    there.run(1)
    there.sent()
    there.receive(there.all[0], Have(3, (bytes(16), HASH)))
    assert there.sent() == [(there.all[0], Having(3, 0b10))]


def test_stranger_is_neither_answered_nor_believed(world: Make, simulation: object) -> None:
    there = world(20)
    (stranger,) = there.simulation.peers("stranger")
    for message in (Provide(7, 600, (HASH,)), Who(9, HASH), Have(1, (HASH,))):
        there.receive(stranger, message)
    there.receive(stranger, b"nonsense")
    assert there.sent() == []
    assert there.counted("refused_total", "stranger") == 4
    assert there.counted("refused_total", "malformed") == 0  # it is not even read


def test_what_is_no_message_is_counted(world: Make) -> None:
    there = world(20)
    there.receive(there.all[0], b"nonsense")
    there.receive(there.all[0], encode(Who(9, HASH)) + b"\0")
    assert there.counted("refused_total", "malformed") == 2


def test_member_that_asks_too_fast_is_not_answered(world: Make) -> None:
    there = world(20)
    _, burst = LIMITS[Who]
    for number in range(burst + 5):
        there.receive(there.all[0], Who(number, HASH))
    assert len(there.sent(Holders)) == burst
    assert there.counted("refused_total", "too_many") == 5
    there.receive(there.all[1], Who(1, HASH))
    assert len(there.sent(Holders)) == 1


def test_holders_that_are_named_are_bounded_for_all_askers_together(world: Make) -> None:
    there = world(20)
    _, burst = NAMES
    for holder in there.all[:17]:
        there.receive(holder, Provide(7, 600, (HASH,)))
    there.sent()
    askers = [there.join(f"asker-{number}") for number in range(burst // (16 * 200) + 2)]
    for asker in askers:
        for number in range(200):
            there.receive(asker, Who(number, HASH))
    named = [len(message.holders) for _, message in there.sent(Holders)]
    assert len(named) == 200 * len(askers)
    assert sum(named) <= burst + len(named)
    assert named[-1] == 1
    assert there.counted("not_named_total") > 0
    there.run(1)
    there.receive(askers[0], Who(1, HASH))
    assert len(there.sent(Holders)[0][1].holders) == 16


def test_index_that_is_full_says_how_many_keys_it_keeps(world: Make) -> None:
    there = world(20, max_keys=2, max_keys_per_provider=2)
    there.receive(there.all[0], Provide(7, 600, tuple(bytes([number]) * 16 for number in range(3))))
    assert there.sent() == [(there.all[0], Provided(7, 2))]
    assert there.counted("not_kept_total") == 1


def test_peer_that_can_dial_this_node_is_not_dialled_because_it_wishes_it(world: Make) -> None:
    there = world(20)
    there.mailbox.provide([KEY])
    there.run(1)
    there.receive(there.all[0], Have(1, (HASH,), dial=True))
    assert there.wanted() == []


def test_peer_that_cannot_dial_this_node_is_dialled_once_a_minute(world: Make) -> None:
    there = world(20, tags=SECONDARY)
    there.mailbox.provide([KEY])
    there.run(1)
    asker = there.all[0]
    there.receive(asker, Have(1, (bytes(16),), dial=True))
    assert there.wanted() == []
    for number in range(3):
        there.receive(asker, Have(number, (HASH,), dial=True))
    assert there.wanted() == [asker]
    there.run(61)
    there.receive(asker, Have(9, (HASH,), dial=True))
    assert there.wanted() == [asker, asker]


def test_no_more_than_eight_peers_are_dialled_at_once_because_they_wish_it(world: Make) -> None:
    there = world(20, tags=SECONDARY)
    there.mailbox.provide([KEY])
    there.run(1)
    for peer in there.all:
        there.receive(peer, Have(1, (HASH,), dial=True))
    assert there.wanted() == there.all[:8]
    assert there.counted("wants_total", "over_budget") == 12
    there.run(1)
    there.receive(there.all[8], Have(1, (HASH,), dial=True))  # its minute was not spent
    assert there.wanted() == there.all[:9]
