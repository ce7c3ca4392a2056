"""Nobody is a member by hearsay: what others tell of peers waits for their records, and is bounded by who told it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import TypeVar

from rookery.actors import membership, tracker
from rookery.actors.membership import MemberDown, MemberSuspected, MemberUp
from rookery.actors.membership.core.newcomers import PER_INTRODUCER, PER_SEED, SILENT_FOR
from rookery.actors.membership.swim.messages import Ack, ForwardedAck, Ping, PingReq, SyncRequest

from .nodes import Cluster
from .worlds import Announce, Gossip, Member, State, World, ghosts

T = TypeVar("T", Ping, PingReq)


def wanted(world: World, of: str) -> list[int]:
    """How many records this peer was asked for, each time."""
    return [len(envelope.wanted) for envelope in world.sent(of) if envelope.wanted]


def told_of(world: World, to: str, name: str) -> bool:
    return any(
        update.id.key == world.peer(name)
        for envelope in world.sent(to)
        if envelope.swim
        for update in membership.swim.codec.decode_packet(envelope.swim).updates
    )


# Without a record ----------------------------------------------------------------------------------------------------


def test_update_without_a_record_is_neither_applied_nor_passed_on_but_asked_about(world: World) -> None:
    world.join().meet("bob", "carol").introduce("bob", "dave", records=False)
    world.simulation.run(for_=2)
    assert world.peer("dave") not in world.visible()
    assert wanted(world, "bob")[0] == 1
    assert not told_of(world, "carol", "dave")


def test_update_is_applied_when_the_record_comes(world: World) -> None:
    world.join().meet("bob", "carol").introduce("bob", "dave", records=False)
    world.packet("carol", records=[world.record("dave")])  # whoever sends it
    assert world.peer("dave") in world.visible()


def test_newest_update_that_waits_is_applied(world: World) -> None:
    world.join().meet("bob", "carol")
    world.packet("bob", Gossip(), world.proved("dave", 7))
    world.packet("carol", Gossip(), world.proved("dave", 9))
    world.packet("bob", Gossip(), world.proved("dave", 8))
    world.packet("bob", records=[world.record("dave")])
    infos = {info.peer: info.incarnation for info in world.members.members().get(timeout=1).others}
    assert infos[world.peer("dave")] == 9


def test_update_about_a_later_life_than_the_record_is_of_has_no_effect(world: World) -> None:
    world.join().meet("bob", "carol")
    world.packet("bob", Gossip(), Member(world.id("dave", 2**62)))
    world.packet("carol", Gossip(), Member(world.id("dave")))
    world.packet("carol", records=[world.record("dave")])
    infos = {info.peer: info.record.generation for info in world.members.members().get(timeout=1).active}
    assert infos[world.peer("dave")] == 1
    world.packet("bob", Gossip(), Member(world.id("dave")), generation=1)
    assert world.metric("protocol_events", "refused_members") == 0


def test_death_of_a_peer_that_was_never_known_takes_no_place_and_is_not_asked_about(world: World) -> None:
    world.join().meet("bob").packet("bob", Gossip(), world.down("dave"), records=[world.record("bob")])
    assert wanted(world, "bob") == []
    assert [info.peer for info in world.members.members().get(timeout=1).others] == [world.peer("bob")]


def test_death_that_came_before_the_record_is_applied_with_it(world: World) -> None:
    world.join().meet("bob", "carol").packet("carol", Gossip(), world.left("dave"))
    world.introduce("bob", "dave")
    assert world.peer("dave") not in world.visible()
    infos = {info.peer: info.state for info in world.members.members().get(timeout=1).others}
    assert infos.get(world.peer("dave"), State.LEFT) is State.LEFT


def test_update_that_waits_is_forgotten_after_ten_seconds(world: World) -> None:
    world.join().meet("bob").introduce("bob", "dave", records=False)
    world.simulation.run(for_=9)
    assert world.metric("waiting_keys") == 1
    world.simulation.run(for_=3)
    assert world.metric("waiting_keys") == 0
    assert world.newcomers("expired") == 1
    world.packet("carol", Gossip(), records=[world.record("carol"), world.record("dave")])
    assert world.peer("dave") not in world.visible()


def test_hundred_thousand_invented_members_without_records_leave_only_a_few_behind(world: World) -> None:
    """150 in each of 674 packets, as in the report: by keys that nobody has to make."""
    world.join().meet("bob", "carol")
    keys = iter(range(1, 10**6))
    for _ in range(674):
        named = [Member(membership.swim.MemberId(b"%032d" % next(keys), 1)) for _ in range(150)]
        world.packet("bob", Gossip(), *named)
        assert world.metric("waiting_keys") <= PER_INTRODUCER
    assert len(world.visible()) == 2
    assert world.metric("backlog") <= 2
    assert world.metric("over_limit_total", "Gossip") > 500
    assert sum(wanted(world, "bob")) <= 2 * PER_INTRODUCER
    world.simulation.run(for_=12)
    assert world.metric("waiting_keys") == 0


def test_sender_that_fills_its_share_takes_no_place_of_another(world: World) -> None:
    world.join().meet("bob", "carol").introduce("carol", "dave", records=False)
    world.introduce("bob", *ghosts(200), records=False)
    world.packet("carol", records=[world.record("dave")])
    assert world.peer("dave") in world.visible()


def test_seed_may_name_more_than_others_at_once(world: World) -> None:
    names = ghosts(PER_INTRODUCER + 20)
    world.join("bob").introduce("bob", *names, records=False)
    assert world.metric("waiting_keys") == len(names)
    assert PER_SEED > PER_INTRODUCER


# With a record -------------------------------------------------------------------------------------------------------


def test_member_with_a_record_is_visible_at_once_and_unproved_until_it_answers(world: World) -> None:
    world.join().meet("bob").introduce("bob", "dave")
    assert world.peer("dave") in world.visible()
    assert world.metric("unproved_members") == 1
    world.meet("dave")
    assert world.metric("unproved_members") == 0
    assert world.newcomers("proved") == 1


def messages(world: World, to: str, kind: type[T]) -> list[T]:
    found = [packet.header.message for packet in world.said(to, kind)]
    return [message for message in found if isinstance(message, kind)]


def asks_for_everything(world: World, name: str) -> None:
    """All the ways in which a member may be passed on."""
    world.packet(name, Announce())
    world.packet(name, SyncRequest(1))
    world.packet(name, Ping(1))
    world.packet(name, wanted=["dave"])
    world.simulation.run(for_=3)


def has_record(world: World, to: str, name: str) -> bool:
    record = world.record(name).encode()
    return any(record in envelope.records for envelope in world.sent(to))


def test_unproved_member_is_passed_on_only_when_it_has_answered(world: World) -> None:
    world.join().meet("bob", "carol").introduce("bob", "dave")
    asks_for_everything(world, "carol")
    assert world.peer("dave") in world.visible()
    assert not told_of(world, "carol", "dave")
    assert not has_record(world, "carol", "dave")
    world.meet("dave")
    asks_for_everything(world, "carol")
    assert told_of(world, "carol", "dave")
    assert has_record(world, "carol", "dave")


def test_unproved_member_is_greeted_at_once_without_news_and_gone_when_it_does_not_answer(world: World) -> None:
    world.join().meet("bob", "carol").introduce("bob", "dave")
    (greeting,) = world.said("dave", Ping)
    assert greeting.updates == ()
    assert has_record(world, "dave", "me")
    world.simulation.run(for_=5.5)
    assert len(world.said("dave", Ping)) == 4
    assert world.peer("dave") in world.visible()
    world.simulation.run(for_=1)
    assert world.peer("dave") not in world.visible()
    assert MemberDown(world.peer("dave")) in world.heard()
    assert (world.newcomers("silent"), world.metric("unproved_members")) == (1, 0)


def changes(world: World, name: str) -> list[type[MemberUp | MemberDown]]:
    heard = [event for event in world.heard() if isinstance(event, MemberUp | MemberDown)]
    return [type(event) for event in heard if event.peer == world.peer(name)]


def test_member_that_did_not_answer_is_greeted_unseen_when_it_is_told_of_again(world: World) -> None:
    world.join().meet("bob", "carol").introduce("bob", "dave")
    world.simulation.run(for_=8.5)
    before = changes(world, "dave")
    world.introduce("frank", "dave")
    world.packet("grace", Gossip(), Member(world.id("dave")))  # without its record, which is kept
    world.simulation.run(for_=5.5)
    asks_for_everything(world, "frank")
    assert len(world.said("dave", Ping)) == 8
    assert world.peer("dave") not in world.visible()
    assert (world.newcomers("was_silent"), world.newcomers("asked_again")) == (2, 1)
    assert not told_of(world, "frank", "dave")
    assert not has_record(world, "frank", "dave")
    world.simulation.run(for_=8)
    assert changes(world, "dave") == before == [MemberUp, MemberDown]


def test_hidden_member_that_answers_is_a_member_at_once(world: World) -> None:
    world.join().meet("bob").introduce("bob", "dave")
    world.simulation.run(for_=10)
    world.introduce("frank", "dave")
    world.simulation.run(for_=0.5)
    number = messages(world, "dave", Ping)[4].number
    world.packet("dave", Ack(number), records=[])  # it has been shown ours, and its own is held
    assert world.peer("dave") in world.visible()
    assert changes(world, "dave") == [MemberUp, MemberDown, MemberUp]


def test_record_of_a_hidden_member_is_dropped_when_it_is_forgotten(world: World) -> None:
    world.join().meet("bob").introduce("bob", "dave")
    world.simulation.run(for_=20)
    world.packet("dave", Gossip(), records=[])
    assert world.dropped("stranger") == 0
    world.introduce("frank", "erin")
    world.simulation.run(for_=7 + SILENT_FOR)
    world.packet("erin", Gossip(), records=[])
    assert world.dropped("stranger") == 1


def test_farewell_of_a_hidden_member_ends_it_unseen_and_its_later_life_is_shown(world: World) -> None:
    world.join().meet("bob").introduce("bob", "dave", "erin")
    world.simulation.run(for_=7)
    world.packet("frank", Gossip(), world.left("dave"))
    assert changes(world, "dave") == [MemberUp, MemberDown]
    assert world.newcomers("left") == 1
    later = world.record("erin", 2)
    world.packet("frank", Gossip(), Member(world.id("erin", 2)), records=[world.record("frank"), later])
    assert changes(world, "erin") == [MemberUp, MemberDown, MemberUp]
    assert [event for event in world.heard() if isinstance(event, MemberUp)][-1].record == later


def test_member_whose_ip_is_blocked_here_is_shown_only_when_it_may_be_asked_and_answers(world: World) -> None:
    world.join().meet("bob")
    address = world.record("dave").address
    assert address is not None
    ip = ip_address(str(address.endpoint.ip))
    world.members.tell(tracker.IpBlocked(ip, float("inf")))
    world.introduce("bob", "dave", "erin")
    world.simulation.run(for_=3)
    assert (changes(world, "dave"), changes(world, "erin")) == ([], [MemberUp])
    assert not world.said("dave", Ping)
    world.members.tell(tracker.IpUnblocked(ip))
    world.simulation.run_until(lambda: world.said("dave", Ping), timeout=15)
    world.meet("dave")
    assert changes(world, "dave") == [MemberUp]


def test_member_that_did_not_answer_and_shows_itself_is_a_member_at_once(world: World) -> None:
    world.join().meet("bob").introduce("bob", "dave")
    world.simulation.run(for_=7)
    assert world.peer("dave") not in world.visible()
    world.meet("dave")
    assert world.peer("dave") in world.visible()


def test_silence_of_unproved_members_says_nothing_of_our_health_and_accuses_nobody(world: World) -> None:
    world.join().meet("bob").introduce("bob", *ghosts(PER_INTRODUCER))
    for number in range(40):
        world.packet("bob", Gossip())
        for message in messages(world, "bob", Ping):
            world.packet("bob", Ack(message.number))
        world.simulation.run(for_=0.5)
        assert world.metric("health") == 0, number
    assert world.metric("protocol_events", "failed_probes") == 0
    assert [event for event in world.heard() if isinstance(event, MemberSuspected)] == []
    assert world.visible() == [world.peer("bob")]


def test_unproved_member_out_of_reach_proves_itself_through_the_one_who_told_of_it(world: World) -> None:
    world.join().meet("bob", "carol").introduce("bob", "dave")
    world.simulation.run(for_=2.5)
    (number,) = {each.number for each in messages(world, "bob", PingReq) if each.target == world.id("dave")}
    answer = world.simulation.known.life("dave", 1).answer(world.peer("me"), 1, number)
    world.packet("bob", ForwardedAck(world.id("dave"), number, answer))
    assert world.newcomers("proved") == 1
    world.simulation.run(for_=8)
    assert world.peer("dave") in {info.peer for info in world.members.members().get(timeout=1).others}
    assert told_of(world, "carol", "dave")


def test_death_of_an_unproved_member_is_believed_from_nobody_and_its_own_farewell_at_once(world: World) -> None:
    world.join().meet("bob", "carol").introduce("bob", "dave", "erin")
    world.packet("carol", Gossip(), world.down("dave"), world.left("erin"))
    assert world.peer("dave") in world.visible()
    assert world.peer("erin") not in world.visible()
    world.meet("dave")
    assert world.peer("dave") in world.visible()


def test_later_life_of_an_unproved_member_is_greeted_where_it_is_now(world: World) -> None:
    world.join().meet("bob").introduce("bob", "dave")
    world.packet("bob", Gossip(), Member(world.id("dave", 2)), records=[world.record("bob"), world.record("dave", 2)])
    assert [packet.header.dst for packet in world.said("dave", Ping)] == [world.id("dave", 1), world.id("dave", 2)]
    infos = {info.peer: info.record.generation for info in world.members.members().get(timeout=1).active}
    assert infos[world.peer("dave")] == 2
    assert world.metric("unproved_members") == 1


def test_member_in_a_later_life_than_was_told_is_a_member_when_it_shows_itself(world: World) -> None:
    world.join().meet("bob").introduce("bob", "dave")
    world.packet("dave", Gossip(), generation=3)
    world.simulation.run(for_=2)
    infos = {info.peer: info.record.generation for info in world.members.members().get(timeout=1).active}
    assert infos[world.peer("dave")] == 3
    assert len([event for event in world.heard() if event == MemberUp(world.peer("dave"), world.record("dave"))]) == 1
    assert world.metric("unproved_members") == 0


def test_connection_proves_a_member_of_whom_others_told(world: World) -> None:
    world.join().meet("bob", "carol").introduce("bob", "dave").open("dave")
    assert (world.metric("unproved_members"), world.newcomers("proved")) == (0, 1)
    asks_for_everything(world, "carol")
    assert told_of(world, "carol", "dave")


def test_forged_record_beside_an_update_makes_no_member_and_is_counted(world: World) -> None:
    forged = replace(world.record("dave"), metadata=b"")
    forged = replace(forged, generation=2)
    world.join().meet("bob")
    world.packet("bob", Gossip(), Member(world.id("dave", 2)), records=[world.record("bob"), forged])
    assert world.peer("dave") not in world.visible()
    assert world.metric("records_total", "refused") == 1
    assert world.dropped("malformed") == 1


def test_connected_peer_counts_as_proved_when_others_tell_of_it(world: World) -> None:
    world.join().meet("bob").open("carol")
    world.introduce("bob", "carol")
    assert world.peer("carol") in world.visible()
    assert world.metric("unproved_members") == 0


def test_first_sync_of_a_joiner_is_with_its_seed(world: World) -> None:
    """A Feed names few of a large cluster, and of what others list a joiner may take only little."""
    names = [f"peer {number}" for number in range(20)]
    world.join("bob").meet("bob").meet(*names)
    world.simulation.run_until(lambda: any(world.said(name, SyncRequest) for name in ("bob", *names)), timeout=10)
    assert len(world.said("bob", SyncRequest)) == 1


def test_forty_members_that_join_at_once_by_one_seed_all_see_each_other_within_seconds() -> None:
    """Waiting for records costs a joiner no more than a round trip."""
    cluster = Cluster("crowd", membership.Config())
    seed, *others = [cluster.start(f"node {number}") for number in range(40)]
    seed.join()
    begun = cluster.now
    for node in others:
        node.join(seed)
    cluster.until(lambda: sum(len(node.sees()) for node in cluster.nodes.values()) == 40 * 39, timeout=30)
    assert cluster.now - begun < 2
    assert sum(node.counted("newcomers_total", "too_many") for node in cluster.nodes.values()) == 0
