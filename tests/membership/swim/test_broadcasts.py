"""The application's broadcasts, and those by name (membership: how news travels)."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.actors.membership.swim import (
    BroadcastKey,
    CustomBroadcastError,
    DataTooBigError,
    DecodeError,
    EmptyBroadcastError,
    Member,
    MemberId,
    NamedBroadcast,
    NamedBroadcasts,
    Periodic,
    State,
)
from rookery.actors.membership.swim.effects import PeriodicGossip, ProbeRandomMember
from rookery.actors.membership.swim.messages import Ack, Announce, Broadcast, Ping

from .rig import ANN, BOB, CAROL, QUIET, US, Rig, alive, down, name, next_life


@dataclass(frozen=True)
class Key:
    """Outdates what stands before it in the alphabet and begins alike."""

    word: bytes

    def invalidates(self, other: BroadcastKey) -> bool:
        return isinstance(other, Key) and other.word[:1] == self.word[:1] and other.word < self.word


class Words:
    """News is a word not heard before; words with a question mark are refused."""

    def __init__(self) -> None:
        self.heard: list[tuple[bytes, MemberId | None]] = []
        self.accepts: Callable[[MemberId], bool] = lambda member: True

    def receive_item(self, data: bytes, sender: MemberId | None) -> Key | None:
        if b"?" in data:
            raise LookupError("no such word")
        known = [word for word, _ in self.heard]
        self.heard.append((data, sender))
        return None if data in known else Key(data)

    def should_add_broadcast_data(self, member: MemberId) -> bool:
        return self.accepts(member)


def items(rig: Rig) -> list[tuple[MemberId, tuple[bytes, ...]]]:
    return [(to, packet.items) for to, packet in rig.take_packets()]


def test_broadcast_without_a_handler_is_refused_ours_and_theirs() -> None:
    rig = Rig(knows=[ANN])
    with pytest.raises(CustomBroadcastError, match="disabled") as ours:
        rig.swim.add_broadcast(b"hello")
    with pytest.raises(CustomBroadcastError, match="disabled") as theirs:
        rig.receive(ANN, Ping(4), items=[b"hello"])
    assert (ours.value.touched, theirs.value.touched) == (False, True)
    assert rig.take_messages() == [(ANN, Ack(4))]
    assert rig.swim.custom_broadcast_backlog() == 0
    assert rig.swim.counters.refused_broadcasts == 1


def test_broadcast_that_is_news_is_queued_and_stale_is_not() -> None:
    rig = Rig(handler=Words())
    assert rig.swim.add_broadcast(b"one")
    assert not rig.swim.add_broadcast(b"one")
    assert rig.swim.custom_broadcast_backlog() == 1


def test_broadcast_travels_with_every_message_that_may_carry_it_as_often_as_configured() -> None:
    rig = Rig(replace(QUIET, max_transmissions=3), knows=[ANN], handler=Words())
    rig.swim.add_broadcast(b"one")
    rig.swim.announce(ANN, rig.outbox)
    rig.learn(down(BOB))
    rig.receive(BOB)
    rig.receive(ANN, Ping(1))
    rig.receive(ANN, Announce())
    rig.fire(ProbeRandomMember)
    rig.receive(ANN, Ping(2))
    sent = [(type(packet.header.message).__name__, packet.items) for _, packet in rig.take_packets()]
    one = (b"one",)
    assert sent == [("Announce", ()), ("TurnUndead", ()), ("Ack", one), ("Feed", one), ("Ping", one), ("Ack", ())]
    assert rig.swim.custom_broadcast_backlog() == 0


def test_broadcast_received_as_news_is_passed_on_and_once_only() -> None:
    words = Words()
    rig = Rig(replace(QUIET, max_transmissions=1), knows=[ANN, BOB], handler=words)
    rig.receive(ANN, items=[b"one"])
    rig.receive(BOB, items=[b"one"])
    assert words.heard == [(b"one", ANN), (b"one", BOB)]
    rig.swim.gossip(rig.outbox)
    rig.drain()
    assert [carried for _, carried in items(rig)] == [(b"one",), ()]


def test_broadcast_discards_those_that_its_key_invalidates() -> None:
    rig = Rig(knows=[ANN], handler=Words())
    for word in (b"a1", b"b1", b"a2"):
        rig.swim.add_broadcast(word)
    assert rig.swim.custom_broadcast_backlog() == 2
    rig.swim.gossip(rig.outbox)
    rig.drain()
    assert items(rig) == [(ANN, (b"b1", b"a2"))]


def test_broadcast_goes_only_to_members_that_the_filter_accepts() -> None:
    words = Words()
    rig = Rig(knows=[ANN, BOB], handler=words)
    words.accepts = lambda member: member == BOB
    rig.swim.add_broadcast(b"one")
    rig.swim.gossip(rig.outbox)
    rig.swim.broadcast(rig.outbox)
    rig.drain()
    assert sorted(items(rig)) == [(ANN, ()), (BOB, (b"one",)), (BOB, (b"one",))]


def test_broadcast_filter_that_raises_says_no_and_harms_nobody() -> None:
    words = Words()
    rig = Rig(knows=[ANN], handler=words)
    words.accepts = lambda member: bool(1 // 0)
    rig.swim.add_broadcast(b"one")
    rig.receive(ANN, Ping(1))
    assert items(rig) == [(ANN, ())]
    assert rig.swim.counters.broadcast_filter_errors == 1


def test_broadcast_operation_sends_a_message_of_its_own_without_updates_until_nothing_is_left() -> None:
    rig = Rig(replace(QUIET, max_transmissions=2), knows=[ANN, BOB, CAROL], handler=Words())
    rig.swim.broadcast(rig.outbox)
    assert rig.outbox.drain() == []
    rig.swim.add_broadcast(b"one")
    rig.swim.apply_many([alive(name(9))], True, rig.now, rig.outbox)
    rig.swim.broadcast(rig.outbox)
    rig.drain()
    sent = [packet for _, packet in rig.take_packets()]
    assert [(packet.header.message, packet.updates, packet.items) for packet in sent] == [
        (Broadcast(), (), (b"one",))
    ] * 2


def test_broadcast_is_not_sent_to_a_blocked_member() -> None:
    rig = Rig(knows=[ANN], handler=Words())
    rig.blocked.add(ANN.key)
    rig.swim.add_broadcast(b"one")
    rig.swim.broadcast(rig.outbox)
    assert rig.outbox.drain() == []


def test_broadcast_alone_keeps_the_periodic_gossip_going() -> None:
    rig = Rig(replace(QUIET, periodic_gossip=Periodic(0.2, 3)), knows=[ANN], handler=Words())
    rig.fire(PeriodicGossip)
    assert rig.take_packets() == []
    rig.swim.add_broadcast(b"one")
    rig.fire(PeriodicGossip)
    assert items(rig) == [(ANN, (b"one",))]


def test_broadcast_that_the_handler_refuses_is_an_error_after_everything_else_was_done() -> None:
    words = Words()
    rig = Rig(knows=[ANN], handler=words)
    with pytest.raises(CustomBroadcastError) as caught:
        rig.receive(ANN, Ping(1), updates=[alive(BOB)], items=[b"one", b"two?", b"three", b"four?"])
    assert caught.value.touched
    assert isinstance(caught.value.__cause__, LookupError)
    assert "5 bytes" not in str(caught.value)
    assert "4 bytes" in str(caught.value)
    assert rig.is_active(BOB)
    assert words.heard == [(b"one", ANN), (b"three", ANN)]
    assert [message for _, message in rig.take_messages()] == [Ack(1)]
    assert rig.swim.counters.refused_broadcasts == 2


def test_broadcast_of_ours_that_the_handler_refuses_leaves_nothing_behind() -> None:
    rig = Rig(handler=Words())
    with pytest.raises(CustomBroadcastError) as caught:
        rig.swim.add_broadcast(b"one?")
    assert not caught.value.touched
    assert rig.swim.custom_broadcast_backlog() == 0


def test_broadcast_of_no_bytes_is_refused() -> None:
    with pytest.raises(EmptyBroadcastError):
        Rig(handler=Words()).swim.add_broadcast(b"")


@pytest.mark.parametrize("size", [512, 1_400, 8_192])
@pytest.mark.parametrize("share", [0.25, 1.0])
def test_D5_broadcast_is_accepted_only_if_every_packet_has_room_for_it(size: int, share: float) -> None:
    config = replace(QUIET, max_packet_size=size, broadcast_share=share, max_transmissions=1, num_indirect_probes=1)
    rig = Rig(config, knows=[ANN], handler=Words())
    limit = config.broadcast_room - (2 if config.broadcast_room < 258 else 3)
    with pytest.raises(DataTooBigError):
        rig.swim.add_broadcast(bytes(limit + 1))
    assert rig.swim.custom_broadcast_backlog() == 0
    assert rig.swim.add_broadcast(bytes(limit))
    rig.swim.apply_many([alive(name(number)) for number in range(9, 300)], True, rig.now, rig.outbox)
    rig.swim.gossip(rig.outbox)
    (send,) = rig.outbox.to_send
    assert len(send.data) <= size
    assert rig.swim.custom_broadcast_backlog() == 0


def test_D5_broadcast_from_others_that_is_too_big_for_our_packets_is_delivered_but_not_queued() -> None:
    words = Words()
    rig = Rig(replace(QUIET, broadcast_share=0.01), handler=words)
    rig.receive(ANN, items=[bytes(200)])
    assert words.heard == [(bytes(200), ANN)]
    assert rig.swim.custom_broadcast_backlog() == 0
    assert rig.swim.counters.dropped_broadcasts == 1


@pytest.mark.parametrize("change", [{"max_packet_size": 512}, {"broadcast_share": 0.01}])
def test_D5_broadcast_that_a_new_configuration_has_no_room_for_goes_and_gossip_rests(change: dict[str, float]) -> None:
    config = replace(QUIET, max_transmissions=3, periodic_gossip=Periodic(1.0, 2))
    rig = Rig(config, knows=[ANN, BOB], handler=Words())
    rig.swim.add_broadcast(b"long" * 351)
    rig.swim.add_broadcast(b"short")
    rig.swim.set_config(replace(config, **change))  # type: ignore[arg-type]
    assert rig.swim.custom_broadcast_backlog() == 1
    assert rig.swim.counters.dropped_broadcasts == 1
    for _ in range(4):
        rig.fire(PeriodicGossip)
    sent = [packet.items for _, packet in rig.take_packets()]
    assert [items for items in sent if items] == [(b"short",)] * 3
    rig.fire(PeriodicGossip)
    assert rig.take_packets() == []
    assert rig.swim.custom_broadcast_backlog() == 0


def test_broadcasts_that_are_too_many_for_a_new_configuration_go_most_sent_first() -> None:
    rig = Rig(replace(QUIET, max_transmissions=3), knows=[ANN], handler=Words())
    rig.swim.add_broadcast(b"sent")
    rig.swim.broadcast(rig.outbox)
    for word in (b"two", b"three", b"four"):
        rig.swim.add_broadcast(word)
    rig.swim.set_config(replace(rig.swim.config, max_broadcasts=2))
    assert rig.swim.custom_broadcast_backlog() == 2
    assert rig.swim.counters.dropped_broadcasts == 2
    rig.drain()
    rig.take_packets()
    rig.swim.broadcast(rig.outbox)
    rig.drain()
    assert items(rig) == [(ANN, (b"three", b"four"))]


def test_gossip_rests_while_the_filter_accepts_nobody_for_the_broadcasts_that_wait() -> None:
    words = Words()
    words.accepts = lambda member: False
    rig = Rig(replace(QUIET, periodic_gossip=Periodic(1.0, 2)), knows=[ANN, BOB], handler=words)
    rig.swim.add_broadcast(b"secret")
    for _ in range(3):
        rig.fire(PeriodicGossip)
    assert rig.take_packets() == []
    words.accepts = lambda member: member == BOB
    rig.fire(PeriodicGossip)
    assert items(rig) == [(BOB, (b"secret",))]


def test_longest_update_has_room_in_the_smallest_packet_beside_a_full_part_of_broadcasts() -> None:
    accusers = tuple(bytes([number]) * 8 for number in range(8))
    rig = Rig(replace(QUIET, max_packet_size=512), knows=[ANN], handler=Words())
    longest = Member(MemberId(BOB.key, 2**63 - 1), 1_024, State.SUSPECT, accusers, bytes(16))
    assert rig.swim.add_broadcast(b"x" * (rig.swim.config.broadcast_room - 2))
    rig.swim.apply_many([longest], True, rig.now, rig.outbox)
    rig.drain()
    rig.take_packets()
    rig.swim.gossip(rig.outbox)
    rig.drain()
    (sent,) = {packet.updates for _, packet in rig.take_packets()}
    assert sent == (longest,)


def test_broadcasts_and_updates_do_not_starve_each_other() -> None:
    config = replace(QUIET, max_packet_size=1_400, max_transmissions=20, num_indirect_probes=1)
    rig = Rig(config, knows=[ANN], handler=Words())
    for number in range(100, 164):
        rig.swim.add_broadcast(bytes([number]) * 30)
    rig.swim.apply_many([alive(name(number)) for number in range(9, 300)], True, rig.now, rig.outbox)
    rig.outbox.drain()
    rig.swim.gossip(rig.outbox)
    rig.drain()
    ((_, packet),) = rig.take_packets()
    assert len(packet.items) == config.broadcast_room // 32
    assert len(packet.updates) > 20


def test_broadcasts_take_what_the_updates_leave_free() -> None:
    rig = Rig(replace(QUIET, max_packet_size=1_400), knows=[ANN], handler=Words())
    for number in range(100, 164):
        rig.swim.add_broadcast(bytes([number]) * 30)
    rig.swim.gossip(rig.outbox)
    rig.drain()
    ((_, carried),) = items(rig)
    assert len(carried) == 41


def test_broadcast_beyond_the_bound_of_the_queue_ousts_the_most_sent_one() -> None:
    rig = Rig(replace(QUIET, max_broadcasts=2), knows=[ANN], handler=Words())
    rig.swim.add_broadcast(b"a")
    rig.swim.gossip(rig.outbox)
    rig.swim.add_broadcast(b"b")
    rig.swim.add_broadcast(b"c")
    rig.outbox.drain()
    rig.swim.gossip(rig.outbox)
    rig.drain()
    assert items(rig) == [(ANN, (b"b", b"c"))]
    assert rig.swim.counters.dropped_broadcasts == 1


# By name -------------------------------------------------------------------------------------------------------------


def named() -> tuple[Rig, NamedBroadcasts, list[NamedBroadcast]]:
    told: list[NamedBroadcast] = []
    handler = NamedBroadcasts(told.append, remember=3)
    return Rig(knows=[ANN, BOB], handler=handler), handler, told


def test_named_broadcast_is_delivered_once_whichever_member_passes_it_on() -> None:
    rig, _, told = named()
    theirs = NamedBroadcasts(print)
    rain = theirs.item(CAROL, "weather", b"rain")
    rig.receive(ANN, items=[rain])
    rig.receive(BOB, items=[rain])
    assert told == [NamedBroadcast(CAROL, 1, "weather", b"rain")]


def test_named_broadcast_gives_way_to_a_newer_one_of_its_name_and_origin_only() -> None:
    rig, handler, _ = named()
    for word, text in [("weather", b"rain"), ("time", b"noon"), ("weather", b"sun")]:
        rig.swim.add_broadcast(handler.item(US, word, text))
    rig.receive(ANN, items=[NamedBroadcasts(print).item(ANN, "weather", b"snow")])
    assert rig.swim.custom_broadcast_backlog() == 3


def test_named_broadcast_that_arrives_after_a_newer_one_is_neither_delivered_nor_passed_on() -> None:
    rig, _, told = named()
    theirs = NamedBroadcasts(print)
    old, new = theirs.item(ANN, "weather", b"rain"), theirs.item(ANN, "weather", b"sun")
    rig.receive(ANN, items=[new])
    rig.receive(ANN, items=[old])
    assert [news.payload for news in told] == [b"sun"]
    assert rig.swim.custom_broadcast_backlog() == 1


def test_named_broadcast_of_a_restarted_member_is_newer_than_what_it_said_before() -> None:
    rig, _, told = named()
    before = NamedBroadcasts(print)
    for _ in range(3):
        rig.receive(ANN, items=[before.item(ANN, "weather", b"rain")])
    rig.receive(next_life(ANN), items=[NamedBroadcasts(print).item(next_life(ANN), "weather", b"sun")])
    assert told[-1].payload == b"sun"


def test_named_broadcast_of_our_own_is_not_delivered_to_us_even_when_it_comes_back() -> None:
    rig, handler, told = named()
    item = handler.item(US, "weather", b"rain")
    rig.swim.add_broadcast(item)
    rig.receive(ANN, items=[item])
    assert told == []


def test_named_broadcasts_remember_a_bounded_number_of_names() -> None:
    rig, _, told = named()
    theirs = NamedBroadcasts(print)
    made = [theirs.item(ANN, word, b"x") for word in ("one", "two", "three", "four")]
    rig.receive(ANN, items=made)
    rig.receive(ANN, items=[made[3], made[0]])
    assert [news.name for news in told] == ["one", "two", "three", "four", "one"]


@pytest.mark.parametrize("word", ["", "x" * 65, "ü" * 33])
def test_named_broadcast_with_a_name_out_of_bounds_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="1 to 64 bytes"):
        NamedBroadcasts(print).item(US, word, b"")


def test_named_broadcasts_must_remember_something() -> None:
    with pytest.raises(ValueError, match="remember"):
        NamedBroadcasts(print, remember=0)


@pytest.mark.parametrize(
    "value",
    [
        7,
        [ANN.key, 1, 1, "weather"],
        [ANN.key, 1, 1, b"weather", b""],
        [b"short", 1, 1, "weather", b""],
        [ANN.key, -1, 1, "weather", b""],
        [ANN.key, 1, -1, "weather", b""],
        [ANN.key, 1, 2**63, "weather", b""],
        [ANN.key, 1, 1, "", b""],
        [ANN.key, 1, 1, "x" * 65, b""],
    ],
)
def test_named_broadcast_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(DecodeError):
        NamedBroadcasts(print).receive_item(msgpack.packb(value), ANN)


@settings(max_examples=100)
@given(st.binary(max_size=60))
def test_named_broadcast_of_random_bytes_raises_nothing_but_decode_error(data: bytes) -> None:
    with pytest.raises(DecodeError):
        NamedBroadcasts(print).receive_item(data, ANN)
