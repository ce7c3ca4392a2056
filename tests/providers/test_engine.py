"""The engine, with the test as all others: what it tells, keeps, asks and answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rookery.actors import connections, maintenance, membership, providers
from rookery.actors.providers.core.codec import Have, Having, Holders, Provide, Provided, Who, encode
from rookery.actors.providers.core.ring import key_hash
from rookery.actors.providers.parts.answering import LIMITS, NAMES
from rookery.transport import PeerId
from rookery.transport import mailbox as transport

from .conftest import World

Make = Callable[..., World]
KEY = b"k" * 32
SECONDARY = {"role": "secondary"}
HASH = key_hash(providers.mailbox.BLOBS, KEY)


def tell_all(world: World) -> set[PeerId]:
    """Answer every batch that was sent; who got one."""
    told = set()
    for peer, message in world.sent(Provide):
        world.receive(peer, Provided(message.number, len(message.hashes)))
        told.add(peer)
    return told


# Telling -------------------------------------------------------------------------------------------------------------


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


# Answering -----------------------------------------------------------------------------------------------------------


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


# Asking --------------------------------------------------------------------------------------------------------------


def test_find_lists_the_holders_that_say_yes(world: Make) -> None:
    there = world(20)
    holder, liar = there.all[:2]
    reply = there.mailbox.find(KEY)
    there.simulation.settle()
    records = ((5, there.record("peer-0").encode()), (6, there.record("peer-1").encode()))
    for peer, who in there.sent(Who):
        assert who.hashed == HASH
        there.receive(peer, Holders(who.number, records))
    for peer, have in there.sent(Have):
        there.receive(peer, Having(have.number, 1 if peer == holder else 0))
    found = reply.get(timeout=1)
    assert [(each.peer, each.age, str(each.address)) for each in found.holders] == [
        (holder, 5.0, "tcp://10.0.0.1:7000")
    ]
    assert found.result.unconfirmed == 1
    assert liar not in [each.peer for each in found.holders]
    assert there.wanted() == []


def test_find_of_what_nobody_has_says_whom_it_asked(world: Make) -> None:
    there = world(20)
    reply = there.mailbox.find(KEY)
    there.simulation.settle()
    for _ in range(30):
        for peer, message in there.sent():
            if isinstance(message, Who):
                there.receive(peer, Holders(message.number))
            elif isinstance(message, Have):
                there.receive(peer, Having(message.number, 0))
        there.run(0.1)
    result = str(reply.get(timeout=1))
    assert result in (
        "asked 3 index members and 20 of 20 members; nobody has it",
        "asked 2 index members and 20 of 20 members; nobody has it",
    )


def test_find_names_this_node_if_it_has_the_key(world: Make) -> None:
    there = world(0)
    there.mailbox.provide([KEY])
    there.run(1)
    found = there.mailbox.find(KEY).get(timeout=5)
    assert [each.peer for each in found.holders] == [there.me]
    assert str(found) == "asked 1 index member; 1 holder"


def test_key_that_is_kept_here_is_found_without_a_question(world: Make) -> None:
    there = world(2)
    holder, other = there.all
    there.receive(holder, Provide(7, 600, (HASH,)))
    there.sent()
    there.mailbox.search(KEY)
    there.simulation.settle()
    ((peer, have),) = there.sent(Have)
    assert peer == holder
    there.receive(peer, Having(have.number, 1))
    assert there.events(providers.HolderFound) == [providers.HolderFound(1, KEY, holder)]
    assert other not in there.wanted()


def search(world: World, *names: str) -> None:
    """Search, and let the index members name these."""
    world.sent()
    world.mailbox.search(KEY)
    world.simulation.settle()
    for peer, who in world.sent(Who):
        world.receive(peer, Holders(who.number, tuple((1, world.record(name).encode()) for name in names)))


def test_search_wants_a_connection_to_a_holder_and_tells_of_it(world: Make) -> None:
    there = world(20)
    search(there, "peer-3")
    assert there.mailbox.progress(KEY).get(timeout=1).stage == "looking"
    ((peer, have),) = there.sent(Have)
    there.receive(peer, Having(have.number, 1))
    assert there.wanted() == [peer] == [there.all[3]]
    assert there.events(providers.HolderFound) == [providers.HolderFound(1, KEY, peer)]
    assert str(there.mailbox.progress(KEY).get(timeout=1)) == "connecting to 1 of 1 holders"
    there.tell(connections.PeerConnected(peer))
    assert str(there.mailbox.progress(KEY).get(timeout=1)) == "fetching"
    (ended,) = there.events(providers.SearchEnded)
    assert ended.again == pytest.approx(2.5)  # if the fetch is not over by then


def test_holder_that_cannot_be_reached_is_named_with_the_reason(world: Make) -> None:
    there = world(20)
    search(there, "peer-3", "peer-4", "peer-5")
    for peer, have in there.sent(Have):
        there.receive(peer, Having(have.number, 1))
    far, full, _other = (there.all[number] for number in (3, 4, 5))
    there.tell(maintenance.NotReached(far, "timeout", waits=False))
    there.tell(maintenance.NotReached(full, "queued", waits=True))
    said = str(there.mailbox.progress(KEY).get(timeout=1))
    assert said == f"connecting to 2 of 3 holders; {far.short} cannot be reached: timeout"
    assert str(there.events(providers.SearchProgress)[-1].progress) == said
    there.tell(maintenance.NotReached(far, "queued", waits=True))
    assert str(there.mailbox.progress(KEY).get(timeout=1)) == "connecting to 3 of 3 holders"


def test_connection_is_wanted_no_more_once_no_search_needs_the_holder(world: Make) -> None:
    there = world(20)
    search(there, "peer-3")
    ((peer, have),) = there.sent(Have)
    there.receive(peer, Having(have.number, 1))
    there.mailbox.end_search(KEY)
    there.simulation.settle()
    assert there.upkeep.control.received(maintenance.WantForFetch)[-1] == maintenance.WantForFetch(peer, needed=False)


def test_search_goes_on_until_it_is_ended(world: Make) -> None:
    there = world(20)
    search(there)
    there.run(30)
    there.sent()
    there.mailbox.end_search(KEY)
    there.run(20)
    there.sent()
    there.run(200)
    assert there.sent() == []
    assert str(there.mailbox.progress(KEY).get(timeout=1)) == "unknown"


def test_secondary_holder_is_asked_to_dial_and_not_dialled(world: Make) -> None:
    there = world(20)
    quiet = there.join("peer-99", tags={"role": "secondary"})
    there.sent()
    there.mailbox.search(KEY)
    there.simulation.settle()
    record = there.record("peer-99", tags={"role": "secondary"}).encode()
    for peer, who in there.sent(Who):
        there.receive(peer, Holders(who.number, ((1, record),)))
    ((peer, have),) = there.sent(Have)
    assert (peer, have.dial) == (quiet, True)
    there.receive(peer, Having(have.number, 1))
    assert there.wanted() == []
    assert len(there.events(providers.HolderFound)) == 1


@pytest.mark.parametrize(
    "who", ["no member", "a member that has not answered", "a member that does not take part", "this node"]
)
def test_holder_is_not_asked_that_is(world: Make, who: str) -> None:
    there = world(20)
    name = "me" if who == "this node" else "somebody-77"
    if who == "a member that has not answered":
        there.join(name, proved=False)
    elif who == "a member that does not take part":
        there.join(name, tags={"providers": "none"})
    search(there, name)
    assert there.counted("unknown_total") >= 2
    there.run(10)
    assert there.simulation.known.identity(name).peer not in [peer for peer, _ in there.sent(Have)]


def test_member_is_no_index_member_that_has_not_answered_though_others_name_it_as_nearer(world: Make) -> None:
    there = world(2)
    names = [f"invented-{number}" for number in range(40)]
    for name in names:
        there.join(name, proved=False)
    there.sent()
    there.mailbox.search(KEY)
    there.simulation.settle()
    nearest = tuple(there.record(name).encode() for name in names)
    for turn, (peer, who) in enumerate(there.sent(Who)):
        there.receive(peer, Holders(who.number, (), nearest[3 * turn : 3 * turn + 3]))
    assert there.sent(Who) == []


def test_record_that_is_none_takes_nothing_from_the_others_beside_it(world: Make) -> None:
    there = world(20)
    there.sent()
    there.mailbox.search(KEY)
    there.simulation.settle()
    bare = there.record("somebody-77", addressed=False).encode()
    for peer, who in there.sent(Who):
        records = ((1, b"none"), (1, bare), (1, there.record("peer-3").encode()))
        there.receive(peer, Holders(who.number, records, (b"none",)))
    assert [peer for peer, _ in there.sent(Have)] == [there.all[3]]
    assert there.counted("refused_total", "record") >= 4


def test_index_member_that_names_falsely_is_told_of_and_nobody_is_blocked(world: Make) -> None:
    there = world(40)
    there.sent()
    there.mailbox.find(KEY)
    there.simulation.settle()
    (liar, who), *others = there.sent(Who)
    lies = tuple((1, there.record(f"peer-{number}").encode()) for number in range(16))
    there.receive(liar, Holders(who.number, lies))
    for peer, honest in others:
        there.receive(peer, Holders(honest.number))
    for _ in range(3):
        for peer, have in there.sent(Have):
            there.receive(peer, Having(have.number, 0))
    assert [event.peer for event in there.events(providers.NamesFalsely)] == [liar]


def test_answers_that_nobody_waits_for_are_counted(world: Make) -> None:
    there = world(5)
    for message in (Provided(1, 1), Holders(1), Having(1, 1)):
        there.receive(there.all[0], message)
    assert there.counted("unmatched_total") == 3


def answer(world: World, seconds: float, *holders: PeerId) -> None:
    """Answer all questions in this time: these have every key, and no index knows of it."""
    for _ in range(round(10 * seconds)):
        for peer, message in world.sent():
            if isinstance(message, Who):
                world.receive(peer, Holders(message.number))
            elif isinstance(message, Have):
                world.receive(peer, Having(message.number, (1 << len(message.hashes)) - 1 if peer in holders else 0))
        world.run(0.1)


def test_more_searches_than_run_at_once_take_turns(world: Make) -> None:
    there = world(5, max_searches=2)
    keys = [bytes([number]) * 32 for number in range(5)]
    for key in keys:
        there.mailbox.search(key)
    assert str(there.mailbox.progress(keys[4]).get(timeout=1)) == "looking"
    with pytest.raises(providers.TooManySearches):
        there.mailbox.find(b"another").get(timeout=1)
    answer(there, 20)
    assert sorted(event.data_key for event in there.events(providers.SearchEnded)) == keys  # each once a minute
    answer(there, 60, there.all[0])
    assert {event.data_key for event in there.events(providers.HolderFound)} == set(keys)
    for key in keys:
        there.mailbox.end_search(key)
    answer(there, 1)
    assert there.mailbox.progress(keys[0]).get(timeout=1).stage == "unknown"
    there.run(100)
    assert there.sent() == []


def test_search_that_waits_for_its_turn_begins_when_another_ends(world: Make) -> None:
    there = world(5, max_searches=1)
    there.mailbox.search(KEY)
    there.mailbox.search(b"another")
    there.simulation.settle()
    there.sent()
    there.mailbox.end_search(KEY)
    there.simulation.settle()
    assert {who.hashed for _, who in there.sent(Who)} == {key_hash(1, b"another")}


def test_list_has_who_says_yes_now_and_progress_forgets_who_says_no(world: Make) -> None:
    there = world(3)
    there.mailbox.search(KEY)
    answer(there, 4, there.all[0])
    assert str(there.mailbox.progress(KEY).get(timeout=1)) == "connecting to 1 of 1 holders"
    reply = there.mailbox.find(KEY)
    answer(there, 10)
    assert reply.get(timeout=1).holders == ()
    assert there.mailbox.progress(KEY).get(timeout=1).stage == "waiting"


def test_no_other_holder_is_wanted_while_one_is_connected(world: Make) -> None:
    there = world(20)
    search(there, "peer-3", "peer-4")
    haves = there.sent(Have)
    there.receive(haves[0][0], Having(haves[0][1].number, 1))
    there.tell(connections.PeerConnected(haves[0][0]))
    there.receive(haves[1][0], Having(haves[1][1].number, 1))
    assert there.wanted() == [haves[0][0]]
    assert len(there.events(providers.HolderFound)) == 2


def test_finder_is_answered_also_if_the_fetch_is_over_meanwhile(world: Make) -> None:
    there = world(5)
    there.mailbox.search(KEY)
    reply = there.mailbox.find(KEY)
    there.mailbox.end_search(KEY)
    there.simulation.settle()
    for _ in range(5):
        for peer, message in there.sent():
            there.receive(peer, Holders(message.number) if isinstance(message, Who) else Having(message.number, 0))
        there.run(0.5)
    assert reply.get(timeout=1).holders == ()


# Off -----------------------------------------------------------------------------------------------------------------


def test_node_that_does_not_take_part_says_and_asks_nothing(world: Make) -> None:
    there = world(5, enabled=False)
    there.mailbox.provide([KEY])
    there.mailbox.search(KEY)
    there.run(60)
    assert there.sent() == []
    assert there.net.control.received(transport.SendPacket) == []
    with pytest.raises(providers.NotTakingPart):
        there.mailbox.find(KEY).get(timeout=1)


@pytest.mark.parametrize(("key", "channel"), [(b"", 1), ("text", 1), (bytes(1025), 1), (KEY, 256), (KEY, -1)])
def test_what_can_be_no_key_is_refused_where_it_is_said(world: Make, key: bytes, channel: int) -> None:
    there = world(0)
    for call in (there.mailbox.search, there.mailbox.end_search, there.mailbox.find, there.mailbox.progress):
        with pytest.raises(ValueError, match="a key is|a channel is"):
            call(key, channel)
    with pytest.raises(ValueError, match="a key is|a channel is"):
        there.mailbox.provide([key], channel)


def test_node_takes_part_once_it_has_an_address(world: Make) -> None:
    there = world(0, unaddressed=True)
    assert there.mailbox.find(KEY).get(timeout=1).result.index_asked == 0
    there.own = there.record("me")
    there.run(1.1)
    assert there.mailbox.find(KEY).get(timeout=1).result.index_asked == 1
