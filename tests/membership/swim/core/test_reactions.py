"""What is refused, what is ignored and what is learned from a packet (membership: states of a member)."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.actors.membership.swim import (
    Config,
    DataFromOurselvesError,
    DataTooBigError,
    DecodeError,
    ForgedSenderError,
    Member,
    MemberId,
    MemberUp,
    NamedBroadcasts,
    State,
    SwimError,
)
from rookery.actors.membership.swim.effects import RemoveDown
from rookery.actors.membership.swim.messages import (
    Ack,
    Announce,
    Broadcast,
    Feed,
    ForwardedAck,
    Gossip,
    IndirectAck,
    IndirectPing,
    Message,
    Nack,
    Ping,
    PingReq,
    SyncPart,
    SyncRequest,
    TurnUndead,
)

from ..rig import ANN, BOB, CAROL, DAVE, QUIET, US, Rig, alive, down, encode, left, name, next_life, suspect

EARLIER = MemberId(US.key, 0)


def refused(rig: Rig, data: bytes, error: type[SwimError], sender: bytes | None = None) -> None:
    with pytest.raises(error) as caught:
        rig.swim.handle_data(data, 0.0, rig.outbox, sender=sender)
    assert not caught.value.touched
    assert rig.outbox.drain() == []
    assert list(rig.swim.iter_membership_state()) == []


def test_packet_at_the_size_limit_is_accepted_and_one_byte_more_is_refused() -> None:
    rig = Rig(replace(QUIET, max_packet_size=512))
    refused(rig, bytes(513), DataTooBigError)
    refused(rig, bytes(512), DecodeError)


def test_packet_that_is_garbage_or_has_a_tail_is_refused() -> None:
    refused(Rig(), b"", DecodeError)
    refused(Rig(), encode(ANN, US, Ping(1)) + b"\x00", DecodeError)


def test_packet_with_an_undecodable_update_applies_nothing_of_it() -> None:
    good = encode(ANN, US, Gossip(), [alive(BOB)])
    refused(Rig(), good[:-1] + b"\x07", DecodeError)


@pytest.mark.parametrize("src", [US, next_life(US), MemberId(US.key, 0)])
def test_packet_from_any_life_of_ours_is_refused(src: MemberId) -> None:
    refused(Rig(), encode(src, US, Gossip()), DataFromOurselvesError)


def test_packet_in_the_name_of_another_peer_is_refused() -> None:
    refused(Rig(), encode(ANN, US, Gossip()), ForgedSenderError, sender=BOB.key)
    rig = Rig()
    rig.swim.handle_data(encode(ANN, US, Gossip()), 0.0, rig.outbox, sender=ANN.key)
    assert rig.is_active(ANN)


@pytest.mark.parametrize(("dst", "learned"), [(BOB, False), (next_life(US), False), (US, True), (EARLIER, True)])
def test_packet_for_another_member_or_a_later_life_of_ours_is_ignored(dst: MemberId, learned: bool) -> None:
    rig = Rig()
    rig.receive(ANN, Gossip(), updates=[alive(CAROL)], dst=dst)
    assert rig.is_active(ANN) is rig.is_active(CAROL) is learned


@pytest.mark.parametrize("message", [Ping(1), Gossip()])
def test_packet_for_an_earlier_life_of_ours_is_answered_with_our_present_identity(message: Message) -> None:
    rig = Rig(knows=[ANN])
    rig.receive(ANN, message, dst=EARLIER)
    assert rig.take_messages() == [(ANN, Gossip())]
    assert rig.swim.identity == US


def test_packet_of_a_dead_sender_that_holds_an_earlier_life_of_ours_down_changes_nothing() -> None:
    rig = Rig(knows=[ANN])
    rig.learn(down(BOB))
    rig.receive(BOB, TurnUndead(down(EARLIER)), dst=EARLIER)
    assert (rig.swim.identity, rig.swim.incarnation) == (US, 0)
    assert rig.take_messages() == [(BOB, TurnUndead(down(BOB), 1))]


@pytest.mark.parametrize(("dst", "answered"), [(BOB, False), (MemberId(US.key, 0), True), (next_life(US), True)])
def test_announce_to_any_life_of_our_key_is_answered(dst: MemberId, answered: bool) -> None:
    rig = Rig()
    rig.receive(ANN, Announce(), dst=dst)
    assert rig.take_messages() == ([(ANN, Feed())] if answered else [])


def test_members_beyond_the_limit_are_refused_and_counted_and_get_no_turn_undead() -> None:
    rig = Rig(replace(QUIET, max_members=2), knows=[ANN, BOB])
    rig.receive(ANN, updates=[alive(CAROL), down(name(7)), suspect(BOB)])
    rig.receive(CAROL, Ping(1))
    assert (rig.held(CAROL), rig.held(name(7)), rig.held(BOB)) == (None, None, suspect(BOB))
    assert rig.take_messages() == []
    assert rig.swim.counters.refused_members == 3
    rig.receive(next_life(ANN), Ping(1))
    assert rig.take_messages() == [(next_life(ANN), Ack(1))]


def test_announcing_changes_nothing_until_an_answer_comes() -> None:
    rig = Rig()
    rig.swim.announce(ANN, rig.outbox)
    rig.drain()
    ((to, packet),) = rig.take_packets()
    assert (to, packet.header.message, packet.updates) == (ANN, Announce(), ())
    assert (rig.timers, rig.notes, rig.swim.num_members) == ([], [], 0)


def test_feed_lists_active_members_with_their_state_but_neither_down_ones_nor_the_asking_one() -> None:
    rig = Rig(knows=[ANN])
    rig.learn(suspect(BOB, 2), down(CAROL), alive(name(7)))
    rig.receive(ANN, Announce())
    ((_, packet),) = rig.take_packets()
    assert set(packet.updates) == {suspect(BOB, 2), alive(name(7))}


def test_feed_of_the_usual_size_names_more_than_two_hundred_members() -> None:
    rig = Rig(knows=[name(number) for number in range(1, 255)])
    rig.receive(ANN, Announce())
    ((_, packet),) = rig.take_packets()
    assert len(packet.updates) > 200


def test_feed_holds_as_many_members_as_fit_and_differs_from_time_to_time() -> None:
    rig = Rig(replace(QUIET, max_packet_size=1_400), knows=[name(number) for number in range(1, 100)])
    rig.receive(ANN, Announce())
    rig.receive(ANN, Announce())
    (_, first), (_, second) = rig.take_packets()
    assert len(first.updates) == len(second.updates) == (1_400 - 86) // 38
    assert set(first.updates) != set(second.updates)


def test_update_is_sent_exactly_as_often_as_configured_then_gossip_is_empty() -> None:
    rig = Rig(replace(QUIET, max_transmissions=5), knows=[ANN, BOB, CAROL])
    rig.swim.apply_many([down(name(9))], True, rig.now, rig.outbox)
    for _ in range(3):
        rig.swim.gossip(rig.outbox)
    rig.drain()
    sent = rig.take_packets()
    assert [packet.updates for _, packet in sent] == [(down(name(9)),)] * 5 + [()] * 4
    assert rig.swim.updates_backlog() == 0
    assert rig.take_notes() == []


def test_gossip_without_members_sends_nothing() -> None:
    rig = Rig()
    rig.swim.gossip(rig.outbox)
    assert rig.outbox.drain() == []


def test_lightweight_messages_carry_no_updates() -> None:
    rig = Rig(knows=[ANN])
    rig.swim.apply_many([down(BOB), alive(CAROL)], True, rig.now, rig.outbox)
    rig.swim.announce(ANN, rig.outbox)
    rig.receive(BOB)
    sent = rig.take_packets()
    assert [(packet.header.message, packet.updates) for _, packet in sent] == [
        (Announce(), ()),
        (TurnUndead(down(BOB), 1), ()),
    ]


@pytest.mark.parametrize("limit", [512, *range(1_400, 1_438)])
def test_packet_fills_the_limit_but_never_exceeds_it(limit: int) -> None:
    rig = Rig(replace(QUIET, max_packet_size=limit), knows=[ANN])
    rig.swim.apply_many([alive(name(number)) for number in range(9, 200)], True, 0.0, rig.outbox)
    rig.outbox.drain()
    rig.swim.gossip(rig.outbox)
    sizes = [len(send.data) for send in rig.outbox.to_send]
    assert len(sizes) == 3
    assert all(limit - 38 - 2 < size <= limit for size in sizes)


@pytest.mark.parametrize(
    ("sender", "held"),
    [(BOB, down(BOB, 3)), (CAROL, left(CAROL)), (ANN, alive(MemberId(ANN.key, 7)))],
    ids=["down", "left", "superseded"],
)
def test_dead_sender_is_told_what_we_hold_and_its_packet_is_ignored(sender: MemberId, held: Member) -> None:
    rig = Rig()
    rig.learn(held)
    rig.take_notes()
    rig.receive(sender, Ping(1), updates=[alive(name(9))])
    assert rig.take_messages() == [(sender, TurnUndead(held, 1))]
    assert rig.take_notes() == []
    assert rig.held(name(9)) is None


def test_dead_sender_gets_no_turn_undead_when_that_is_off() -> None:
    rig = Rig(replace(QUIET, notify_down_members=False), knows=[ANN])
    rig.learn(down(BOB))
    rig.receive(BOB, Ping(1))
    assert rig.take_messages() == []


def test_dead_sender_gets_no_answer_from_an_undead_member() -> None:
    rig = Rig(knows=[ANN], renew=lambda identity: None)
    rig.learn(down(BOB))
    rig.receive(ANN, TurnUndead(left(US)))
    rig.receive(BOB, Ping(1))
    assert rig.take_messages() == []


def test_dead_sender_that_answers_our_turn_undead_by_its_number_is_alive_although_it_refutes_nothing() -> None:
    rig = Rig(knows=[ANN])
    rig.learn(down(BOB))
    rig.receive(BOB)
    ((_, message),) = rig.take_messages()
    assert isinstance(message, TurnUndead)
    rig.receive(BOB, Ack(message.number + 1))
    assert not rig.is_active(BOB)
    rig.receive(BOB, Ack(message.number))
    assert rig.is_active(BOB)
    assert rig.held(BOB) == alive(BOB)


def test_dead_sender_is_told_at_most_once_in_a_period() -> None:
    rig = Rig(knows=[ANN])
    rig.learn(down(BOB))
    for _ in range(20):
        rig.receive(BOB, Ping(1))
        rig.now += 0.1
    assert len(rig.take_messages()) == 2


def test_dead_sender_that_tells_us_we_are_down_is_refuted_answered_told_the_same_and_announced_to() -> None:
    rig = Rig(knows=[ANN])
    rig.learn(down(BOB))
    rig.receive(BOB, TurnUndead(down(US), 5))
    assert (rig.swim.identity, rig.swim.incarnation) == (US, 1)
    told = [packet.header for to, packet in rig.take_packets() if to == BOB]
    assert [header.message for header in told] == [TurnUndead(down(BOB), 1), Ack(5), Announce()]
    assert told[-1].src_incarnation == 1


def test_member_that_is_told_it_is_down_asks_one_of_those_who_say_so_for_the_members_once_a_period() -> None:
    rig = Rig(knows=[ANN, BOB, CAROL])
    for sender in (ANN, BOB, CAROL):
        rig.receive(sender, TurnUndead(down(US), 5))
    told = rig.take_messages()
    assert [to for to, message in told if message == Ack(5)] == [ANN, BOB, CAROL]
    assert [to for to, message in told if message == Announce()] == [ANN]
    rig.now += QUIET.probe_period
    rig.receive(BOB, TurnUndead(down(US), 6))
    assert (BOB, Announce()) in rig.take_messages()


def test_nothing_that_anybody_says_of_a_later_life_of_ours_changes_ours() -> None:
    rig = Rig(knows=[ANN])
    later = MemberId(US.key, 3_600)
    rig.receive(ANN, TurnUndead(alive(later)))
    rig.receive(ANN, updates=[down(later), left(later), alive(MemberId(US.key, 2**63 - 1))])
    assert (rig.swim.identity, rig.swim.incarnation) == (US, 0)


def test_later_life_that_our_own_signature_proves_is_surpassed_by_one_renewal_however_late_it_is() -> None:
    rig = Rig(knows=[ANN])
    rig.swim.outlive(MemberId(US.key, 2**62), rig.now, rig.outbox)
    rig.swim.outlive(MemberId(US.key, 5), rig.now, rig.outbox)
    rig.swim.outlive(MemberId(ANN.key, 2**62 + 9), rig.now, rig.outbox)
    assert rig.swim.identity == MemberId(US.key, 2**62 + 1)


def test_two_dead_members_that_have_left_do_not_tell_each_other_for_ever() -> None:
    rig = Rig(knows=[ANN], renew=lambda identity: None)
    rig.learn(down(BOB))
    rig.receive(BOB, TurnUndead(left(US)))
    rig.take_packets()
    rig.now += 10.0
    rig.receive(BOB, TurnUndead(left(US)))
    assert rig.take_messages() == []


def test_two_members_that_hold_each_other_down_both_refute_and_see_each_other_again() -> None:
    ours, theirs = Rig(), Rig(me=BOB)
    ours.learn(down(BOB))
    theirs.learn(down(US))
    ours.swim.announce(BOB, ours.outbox)
    ours.drain()
    for _ in range(6):
        _deliver(ours, theirs)
        _deliver(theirs, ours)
    assert ours.held(BOB) == alive(BOB, 1)
    assert theirs.held(US) == alive(US, 1)
    assert MemberUp(BOB) in ours.notes
    assert ours.packets == theirs.packets == []


def _deliver(source: Rig, target: Rig) -> None:
    for _, packet in source.take_packets():
        header = packet.header
        target.receive(header.src, header.message, packet.updates, header.src_incarnation, header.dst)


ours_or_others = st.builds(name, st.integers(0, 4), st.integers(0, 3))
said = st.builds(
    Member,
    ours_or_others,
    st.integers(0, 3) | st.integers(0, 1_024),
    st.sampled_from(State),
    st.lists(st.binary(min_size=8, max_size=8), max_size=8).map(tuple),
)
carried = st.one_of(
    *(st.builds(kind, st.integers(0, 5)) for kind in (Ping, Ack, SyncRequest, SyncPart)),
    st.builds(TurnUndead, said, st.integers(0, 5)),
    *(
        st.builds(kind, ours_or_others, st.integers(0, 5))
        for kind in (PingReq, IndirectPing, IndirectAck, ForwardedAck, Nack)
    ),
    st.sampled_from([Announce(), Feed(), Gossip(), Broadcast()]),
)
arrivals = st.tuples(ours_or_others, carried, st.lists(said, max_size=4), ours_or_others, st.integers(0, 4))


@settings(max_examples=60, deadline=None)
@given(st.lists(arrivals, max_size=25), st.booleans())
def test_any_packets_and_timers_in_any_order_raise_nothing_but_our_errors_and_harm_no_rule(
    what: list[tuple[MemberId, Message, list[Member], MemberId, int]], lan: bool
) -> None:
    rig = Rig(Config.new_lan() if lan else QUIET, handler=NamedBroadcasts(repr))
    for src, message, updates, dst, fires in what:
        try:
            rig.receive(src, message, updates if message.updates else [], dst=dst, incarnation=fires)
        except SwimError:
            pass
        for timer, _ in rig.timers[:fires]:
            if not isinstance(timer, RemoveDown):
                rig.hand_back(timer)
        del rig.timers[:fires]
        rig.now += 0.5
        held = list(rig.swim.iter_membership_state())
        assert US.key not in [member.id.key for member in held]
        assert rig.swim.num_members == sum(member.is_active for member in held)
        assert rig.swim.identity.key == US.key
        assert all(packet.header.src.key == US.key != to.key for to, packet in rig.take_packets())


# No room --------------------------------------------------------------------------------------------------------------


def full_of_the_dead() -> Rig:
    """Three places: Ann is alive, Bob has left 100 s ago, and Carol is Down since 50 s."""
    rig = Rig(replace(QUIET, max_members=3), knows=[ANN, BOB, CAROL])
    rig.receive(BOB, updates=[left(BOB)])
    rig.receive(ANN, updates=[left(BOB)])
    rig.now = 50.0
    rig.learn(down(CAROL))
    rig.now = 100.0
    rig.receive(ANN)
    rig.notes.clear()
    rig.timers.clear()
    return rig


def test_where_there_is_no_room_who_is_dead_for_the_longest_time_goes_for_a_newcomer_and_nobody_else() -> None:
    rig = full_of_the_dead()
    rig.receive(DAVE, Ping(1))
    assert (rig.held(BOB), rig.held(DAVE)) == (None, alive(DAVE))
    assert (rig.held(ANN), rig.held(CAROL)) == (alive(ANN), down(CAROL))
    assert rig.swim.counters.forgotten_for_room == 1
    assert [(timer, delay) for timer, delay in rig.timers if isinstance(timer, RemoveDown)] == [(RemoveDown(BOB), 0.0)]
    rig.receive(name(7))
    assert rig.held(name(7)) is None, "carol has died just now"
    assert rig.swim.counters.refused_members == 1
    rig.now = 110.0
    rig.receive(name(7))
    assert (rig.held(CAROL), rig.held(name(7))) == (None, alive(name(7)))
    rig.now = 1000.0
    rig.receive(name(8))
    assert rig.held(name(8)) is None, "all are alive"


def test_who_died_and_came_back_does_not_go_for_a_newcomer() -> None:
    rig = full_of_the_dead()
    rig.receive(next_life(BOB), Ping(1))
    rig.now = 120.0
    rig.receive(DAVE)
    assert (rig.held(BOB), rig.held(CAROL)) == (alive(next_life(BOB)), None)


def test_death_of_a_stranger_takes_no_place_where_there_is_no_room() -> None:
    rig = full_of_the_dead()
    rig.receive(ANN, updates=[down(DAVE), left(name(7))])
    assert (rig.held(DAVE), rig.held(name(7)), rig.held(BOB)) == (None, None, left(BOB))


def test_member_that_was_forgotten_for_another_can_come_back_and_die_again() -> None:
    rig, after = full_of_the_dead(), QUIET.remove_down_after
    rig.receive(DAVE)
    rig.now = 200.0
    rig.receive(next_life(BOB))
    rig.learn(down(next_life(BOB)))
    rig.timers.clear()
    rig.now = after
    rig.hand_back(RemoveDown(BOB))  # of the first time
    assert (rig.held(BOB), rig.timers) == (down(next_life(BOB)), [(RemoveDown(next_life(BOB)), 200.0)])
    rig.fire(RemoveDown)
    assert rig.held(BOB) is None
