"""How a node looks for who has a key, and what it says of it; the test is all other members."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rookery.actors import connections, maintenance, membership, providers
from rookery.actors.providers.core.codec import Have, Having, Holders, Provide, Provided, Who
from rookery.actors.providers.core.ring import key_hash
from rookery.actors.providers.core.search.searches import LISTS
from rookery.actors.providers.parts.asking import FURTHER, KEYS_PER_SLICE
from rookery.transport import PeerId, Reason

from ..conftest import World

Make = Callable[..., World]
KEY = b"k" * 32
HASH = key_hash(providers.mailbox.BLOBS, KEY)


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
    there.tell(connections.PeerConnected(full))
    there.tell(maintenance.NotReached(far, "timeout", waits=False))
    progress = there.events(providers.SearchProgress)[-1].progress
    assert (str(progress), progress.why) == ("fetching", f"{far.short} cannot be reached: timeout")


def test_of_many_holders_that_cannot_be_reached_some_are_named_and_the_others_counted(simulation: Any) -> None:
    peers = simulation.peers(*(f"peer-{number}" for number in range(20)))
    said = str(providers.Progress("connecting", 30, 0, None, tuple((peer, "timeout") for peer in peers)))
    assert said.startswith(f"connecting to 10 of 30 holders; {peers[0].short} cannot be reached: timeout; ")
    assert said.endswith(f"{peers[7].short} cannot be reached: timeout; nor can 12 others")


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
    lists = [there.mailbox.find(b"list %d" % number) for number in range(LISTS)]
    with pytest.raises(providers.TooManySearches):
        there.mailbox.find(b"another").get(timeout=1)
    answer(there, 20)
    assert sorted(event.data_key for event in there.events(providers.SearchEnded)) == keys  # each once a minute
    assert all(each.done for each in lists)
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


@pytest.mark.parametrize(("reason", "times"), [(Reason.TURN_OVER, 3), (Reason.LOST, 3), (Reason.IDLE, 0)])
def test_holder_whose_connection_ends_is_wanted_again_each_time_unless_nothing_was_asked_of_it(
    world: Make, reason: Reason, times: int
) -> None:
    there = world(20)
    search(there, "peer-3")
    ((peer, have),) = there.sent(Have)
    there.receive(peer, Having(have.number, 1))
    for _ in range(3):
        there.tell(connections.PeerConnected(peer, short_lived=True))
        there.tell(connections.PeerDisconnected(peer, reason, short_lived=True))
    assert there.wanted() == [peer] * (1 + times)


def test_holder_whose_connection_ends_is_not_wanted_again_while_another_is_connected(world: Make) -> None:
    there = world(20)
    search(there, "peer-3", "peer-4")
    (one, _), (other, _) = haves = there.sent(Have)
    for peer, have in haves:
        there.receive(peer, Having(have.number, 1))
        there.tell(connections.PeerConnected(peer))
    there.tell(connections.PeerDisconnected(other, Reason.LOST))
    assert there.wanted() == [one]


def look_beside_a_connected_holder(there: World) -> list[PeerId]:
    """The first member is connected, named, and says yes; after 2 s all others do. Who is wanted then."""
    there.tell(connections.PeerConnected(there.all[0]))
    search(there, "peer-0")
    answer(there, 2, there.all[0])
    assert there.wanted() == []
    answer(there, 2, *there.all)
    return there.wanted()


def test_others_are_wanted_though_who_said_yes_is_connected_if_the_fetch_is_not_over(world: Make) -> None:
    there = world(20)
    wanted = look_beside_a_connected_holder(there)
    assert there.all[0] not in wanted
    assert len(wanted) == len(set(wanted)) == FURTHER, "the others have their turn"


def test_others_have_their_turn_once_those_before_are_connected_or_cannot_be_reached(world: Make) -> None:
    there = world(20)
    before = look_beside_a_connected_holder(there)
    for peer in before[:4]:
        there.tell(connections.PeerConnected(peer))
    for peer in before[4:]:
        there.tell(maintenance.NotReached(peer, "timeout", waits=False))
    assert len(there.wanted()) == len(set(there.wanted())) == 2 * FURTHER


def test_others_have_their_turn_once_those_before_had_theirs(world: Make) -> None:
    there = world(20)
    before = look_beside_a_connected_holder(there)
    for peer in before:
        there.tell(connections.PeerConnected(peer, short_lived=True))
    for peer in before:
        there.tell(connections.PeerDisconnected(peer, Reason.IDLE, short_lived=True))
    assert len(there.wanted()) == len(set(there.wanted())) == 2 * FURTHER
    for peer in there.wanted()[FURTHER:]:
        there.tell(connections.PeerConnected(peer, short_lived=True))
    assert len(there.wanted()) == len(set(there.wanted())) == 19, "all but the one that was connected"


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


@pytest.mark.parametrize(
    "what", ["a connection ends", "a connection is there", "a holder cannot be reached", "it dies"]
)
def test_what_concerns_many_keys_lets_others_in_between(world: Make, what: str) -> None:
    there = world(1)
    keys = [number.to_bytes(32, "big") for number in range(3 * KEYS_PER_SLICE)]
    for key in keys:
        there.mailbox.search(key)
    answer(there, 2, there.all[0])
    if what == "a connection ends":
        there.tell(connections.PeerConnected(there.all[0]))
    before = len(there.events(providers.SearchProgress))
    match what:
        case "a connection ends":
            there.mailbox.tell(connections.PeerDisconnected(there.all[0], Reason.LOST))
        case "a connection is there":
            there.mailbox.tell(connections.PeerConnected(there.all[0]))
        case "a holder cannot be reached":
            there.mailbox.tell(maintenance.NotReached(there.all[0], "timeout", waits=False))
        case _:
            there.mailbox.tell(membership.MemberDown(there.all[0]))
    there.mailbox.search(KEY)
    there.simulation.settle()
    told = [event.data_key for event in there.events(providers.SearchProgress)[before:]]
    assert set(told) == {*keys, KEY}
    assert told.index(KEY) < len(told) - KEYS_PER_SLICE
