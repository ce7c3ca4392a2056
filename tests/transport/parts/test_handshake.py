from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.testing import Peers
from rookery.transport import Direction, Link, Reason, Role, Ticket
from rookery.transport.core.slots import Slots
from rookery.transport.parts.handshake import Tie, decide_tie
from rookery.transport.parts.links import Live

KNOWN = Peers()
LOW, HIGH = sorted(("alice", "bob"), key=lambda name: KNOWN.identity(name).peer)


def live(peer: str, direction: Direction, generation: int) -> Live:
    record = KNOWN.record(peer, generation=generation)
    link = Link(1, record.peer, direction, Role.PRIMARY, "10.0.0.1", 0.0, record)
    return Live(link, Ticket(1, record.peer, direction), b"route", None, b"key", heard_at=0.0)


@pytest.mark.parametrize(
    ("me", "peer", "dialling", "old", "generation", "tie"),
    [
        (HIGH, LOW, False, None, 1, Tie.NONE),
        (HIGH, LOW, True, None, 1, Tie.SUPERSEDE_DIAL),
        (LOW, HIGH, True, None, 1, Tie.WAIT_FOR_DIAL),
        (LOW, HIGH, False, (Direction.IN, 1), 1, Tie.REPLACE_LINK),
        (LOW, HIGH, False, (Direction.OUT, 1), 2, Tie.REPLACE_LINK),
        (LOW, HIGH, False, (Direction.OUT, 2), 1, Tie.PROBE_LINK),
        (HIGH, LOW, False, (Direction.OUT, 1), 1, Tie.PROBE_LINK),
    ],
)
def test_tie_is_settled_by_ids_generations_and_who_dialled(
    me: str, peer: str, dialling: bool, old: tuple[Direction, int] | None, generation: int, tie: Tie
) -> None:
    link = live(peer, *old) if old is not None else None
    record = KNOWN.record(peer, generation=generation)
    assert decide_tie(KNOWN.identity(me).peer, record, link, dialling=dialling) is tie


@given(st.booleans())
def test_simultaneous_dials_are_settled_alike_on_both_sides(swap: bool) -> None:
    one, other = (LOW, HIGH) if swap else (HIGH, LOW)
    here = decide_tie(KNOWN.identity(one).peer, KNOWN.record(other), None, dialling=True)
    there = decide_tie(KNOWN.identity(other).peer, KNOWN.record(one), None, dialling=True)
    assert {here, there} == {Tie.SUPERSEDE_DIAL, Tie.WAIT_FOR_DIAL}


def test_slots_keep_outbound_ones_from_inbound() -> None:
    slots = Slots(total=3, inbound=2, per_ip=9, per_subnet=9)
    assert slots.take_inbound("10.0.0.1") is None
    assert slots.take_inbound("10.0.0.2") is None
    assert slots.take_inbound("10.0.0.3") is Reason.TOO_MANY
    assert slots.take_outbound() is None
    assert slots.take_outbound() is Reason.LIMIT


def test_slots_are_limited_per_ip_and_per_subnet() -> None:
    slots = Slots(total=9, inbound=9, per_ip=1, per_subnet=2)
    assert slots.take_inbound("10.0.0.1") is None
    assert slots.take_inbound("10.0.0.1") is Reason.TOO_MANY
    assert slots.take_inbound("10.0.0.2") is None
    assert slots.take_inbound("10.0.0.3") is Reason.TOO_MANY
    assert slots.take_inbound("10.0.1.3") is None


def test_slots_of_one_ip_are_a_quarter_while_more_than_half_are_taken() -> None:
    slots = Slots(total=100, inbound=67, per_ip=100, per_subnet=100, share_per_ip=0.25)
    assert [slots.take_inbound("10.0.0.1") for _ in range(66)].count(None) == 33  # half, as one is not divided
    others = [slots.take_inbound("10.0.0.2") for _ in range(66)]
    assert others.count(None) == 16
    assert [slots.take_inbound(f"10.0.1.{number}") for number in range(19)].count(None) == 18
    for _ in range(33):
        slots.give_back(Direction.IN, "10.0.0.1")
    assert slots.take_inbound("10.0.0.2") is Reason.TOO_MANY, "34 are taken"
    slots.give_back(Direction.IN, "10.0.1.0")
    slots.give_back(Direction.IN, "10.0.1.1")
    assert slots.take_inbound("10.0.0.2") is None, "32 are taken, and this is less than half"


@pytest.mark.parametrize("of_subnet", ["5.9.1.{}", "2a01:4f8:1:{:x}::1"], ids=["24", "48"])
def test_slots_of_one_public_subnet_are_half_while_more_than_three_quarters_are_taken(of_subnet: str) -> None:
    slots = Slots(total=100, inbound=67, per_ip=100, per_subnet=100, share_per_ip=0.25)
    crowd = [slots.take_inbound(of_subnet.format(number)) for number in range(1, 100)]
    assert crowd.count(None) == 50, "three quarters, as there is room"
    assert [slots.take_inbound(f"5.9.{number}.1") for number in range(2, 50)].count(None) == 17
    for number in range(1, 18):
        slots.give_back(Direction.IN, of_subnet.format(number))
    slots.give_back(Direction.IN, "5.9.2.1")
    assert slots.take_inbound(of_subnet.format(200)) is None, "49 are taken"
    assert slots.take_inbound(of_subnet.format(201)) is Reason.TOO_MANY


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_slots_of_a_private_network_are_what_there_is_and_so_are_those_of_a_subnet_with_a_large_share(
    share: float,
) -> None:
    slots = Slots(total=100, inbound=67, per_ip=100, per_subnet=100, share_per_ip=share)
    network = "192.168.1.{}" if share == 0.25 else "5.9.1.{}"
    assert [slots.take_inbound(network.format(number)) for number in range(1, 100)].count(None) == 67


@pytest.mark.parametrize(
    ("setting", "limits"),
    [
        ("max_connections", {"total": 2}),
        ("reserved_outbound", {"inbound": 2}),
        ("max_per_ip", {"per_ip": 2}),
        ("max_per_subnet", {"per_subnet": 2}),
        ("max_inbound_share_per_ip", {"inbound": 3, "share_per_ip": 0.7}),
        (None, {}),
    ],
)
def test_slots_name_the_setting_that_leaves_none(setting: str | None, limits: dict[str, Any]) -> None:
    slots = Slots(**{"total": 9, "inbound": 9, "per_ip": 9, "per_subnet": 9, **limits})
    assert [slots.take_inbound("10.0.0.1") for _ in range(2)] == [None, None]
    assert slots.limit("10.0.0.1") == setting
    assert slots.take_inbound("10.0.0.1") is (None if setting is None else Reason.TOO_MANY)


def test_slots_of_one_64_are_those_of_an_ip() -> None:
    slots = Slots(total=9, inbound=9, per_ip=1, per_subnet=9)
    assert slots.take_inbound("2001:db8::1") is None
    assert slots.take_inbound("2001:db8::ffff:2") is Reason.TOO_MANY
    assert slots.take_inbound("2001:db8:0:1::1") is None
    slots.give_back(Direction.IN, "2001:db8::1")
    assert slots.take_inbound("2001:db8::2") is None


def test_slot_of_an_ip_that_has_none_is_given_however_few_there_are() -> None:
    for inbound in (1, 2, 3):
        slots = Slots(total=9, inbound=inbound, per_ip=9, per_subnet=9, share_per_ip=0.25)
        assert [slots.take_inbound("10.0.0.1") for _ in range(2)] == [None, Reason.TOO_MANY]
        assert slots.take_inbound("10.0.0.2") is (Reason.TOO_MANY if inbound == 1 else None)


def test_slots_of_one_ip_are_what_there_is_where_the_share_says_so() -> None:
    slots = Slots(total=100, inbound=67, per_ip=100, per_subnet=100, share_per_ip=1.0)
    assert [slots.take_inbound("10.0.0.1") for _ in range(80)].count(None) == 67


def test_slot_beside_the_peers_own_inbound_link_is_given_beyond_every_limit() -> None:
    slots = Slots(total=1, inbound=1, per_ip=1, per_subnet=1)
    slots.take_inbound("10.0.0.1")
    assert slots.take_inbound("10.0.0.1", rival=Direction.IN) is None
    assert slots.take_inbound("10.0.0.1") is Reason.TOO_MANY


def test_slot_beside_our_own_dial_is_given_beyond_the_total_and_not_beyond_the_inbound_limit() -> None:
    slots = Slots(total=1, inbound=1, per_ip=1, per_subnet=1)
    slots.take_outbound()
    assert slots.take_inbound("10.0.0.1", rival=Direction.OUT) is None
    assert slots.take_inbound("10.0.0.2", rival=Direction.OUT) is Reason.TOO_MANY


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["10.0.0.1", "10.0.0.2", "10.1.0.1"])), max_size=30))
def test_slots_given_back_can_be_taken_again(wanted: list[tuple[bool, str]]) -> None:
    slots = Slots(total=10, inbound=6, per_ip=3, per_subnet=4)
    taken = [
        (Direction.OUT if out else Direction.IN, ip)
        for out, ip in wanted
        if (slots.take_outbound() if out else slots.take_inbound(ip)) is None
    ]
    assert slots.used == len(taken) <= 10
    for direction, ip in taken:
        slots.give_back(direction, ip)
    assert slots.used == 0
    assert [slots.take_inbound("10.0.0.1") for _ in range(4)] == [None, None, None, Reason.TOO_MANY]
