"""Blocks of peers, IPs and networks: three lists, each with its own ends."""

from __future__ import annotations

import math
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.actors.tracker import CannotBlock, Target, TrackedPeers, parse_target
from rookery.actors.tracker.core.blocks import Blocks, canonical, key_of, other_id_of
from rookery.transport.address import Address
from rookery.transport.gatekeeper import Ticket
from rookery.transport.identity import PeerId, curve_key
from rookery.transport.reasons import Reason
from tests.tracker.core.kit import BOB, CAROL, DAVE, ME, A, B, admit, connect, dialable, directory, tracking, where

IP = ip_address("10.0.0.1")
NET = ip_network("10.0.0.0/30")


# Targets -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [BOB, IP, NET, ip_address("2001:db8::1"), ip_network("2001:db8::/32")])
def test_target_is_read_from_its_own_text(target: Target) -> None:
    assert parse_target(str(target)) == target


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("::ffff:10.0.0.1", IP),
        ("10.0.0.1/32", IP),
        ("::ffff:10.0.0.0/126", NET),
        ("2001:db8::1/128", ip_address("2001:db8::1")),
        (str(BOB).upper(), BOB),
    ],
)
def test_target_written_in_another_way_is_the_same_target(text: str, target: Target) -> None:
    assert parse_target(text) == target


@pytest.mark.parametrize(
    "text", ["", "bob", "10.0.0", "10.0.0.1/24", "10.0.0.0/33", "z" * 64, "1" * 63, "fe80::1%eth0/64"]
)
def test_target_that_is_none_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match=r"allowed is a peer id of 64 hex digits, an IP such as .*, or a network"):
        parse_target(text)


@given(st.one_of(st.ip_addresses(), st.builds(lambda ip: ip_network(ip), st.ip_addresses())))
def test_target_made_canonical_twice_is_as_made_once(target: IPv4Address | IPv6Address) -> None:
    assert canonical(canonical(target)) == canonical(target)


# The lists -----------------------------------------------------------------------------------------------------------


def test_P10_lifting_one_block_lifts_no_other() -> None:
    d = tracking({BOB: A})
    for target in (BOB, IP, NET):
        d.peers.block(target, 100.0, 0.0)
    assert d.peers.blocks.counts() == {"peer": 1, "ip": 1, "subnet": 1}
    for target, left in ((NET, Reason.BLOCKED), (BOB, Reason.BLOCKED), (IP, None)):
        assert d.peers.unblock(target, 1.0) == target
        reserved = d.reserve(BOB, 1.0)
        assert (reserved if isinstance(reserved, Reason) else None) is left


def test_P10_block_of_an_ip_is_lifted_for_peers_that_are_not_connected() -> None:
    d = tracking({BOB: A, CAROL: B})
    d.peers.block(IP, math.inf, 0.0)
    assert dialable(d) == (CAROL,)
    assert admit(d, BOB) is Reason.BLOCKED
    assert d.peers.unblock(IP, 5.0) == IP
    assert dialable(d, 5.0) == tuple(sorted((BOB, CAROL)))
    assert isinstance(admit(d, BOB, now=5.0), Ticket)


def test_P11_block_needs_no_connection_and_no_record() -> None:
    d = directory(admission="open")
    d.peers.block(BOB, 10.0, 0.0)
    d.peers.block(ip_address("10.0.0.2"), 10.0, 0.0)
    assert admit(d, BOB) is Reason.BLOCKED
    assert admit(d, CAROL, "10.0.0.2") is Reason.BLOCKED
    assert isinstance(admit(d, CAROL, "10.0.0.3"), Ticket)


@pytest.mark.parametrize("target", [IP, NET])
def test_block_of_an_ip_or_its_network_holds_until_its_end_and_wakes_the_dialling_side_then(target: Target) -> None:
    d = tracking({BOB: A, CAROL: Address.parse("tcp://10.9.9.9:7000")})
    assert d.peers.block(target, 10.0, 0.0) == (target, 10.0, True)
    assert d.reserve(BOB, 9.9) is Reason.BLOCKED
    assert d.dialable(10, (), 9.9) == ((CAROL,), 10.0)
    assert dialable(d, 10.0) == tuple(sorted((BOB, CAROL)))
    assert d.peers.expire(10.0) == (target,)
    assert len(d.peers.blocks) == 0


def test_block_of_an_ip_within_a_blocked_network_waits_for_the_later_end() -> None:
    d = tracking({BOB: A})
    d.peers.block(NET, 10.0, 0.0)
    d.peers.block(IP, 20.0, 0.0)
    assert d.dialable(10, (), 0.0) == ((), 20.0)
    d.peers.unblock(IP, 0.0)
    assert d.dialable(10, (), 0.0) == ((), 10.0)


def test_block_of_an_ip_says_nothing_of_a_peer_that_comes_from_another() -> None:
    d = tracking({BOB: Address.parse("tcp://10.0.0.1:7000?egress=10.7.7.7")})
    d.peers.block(ip_address("10.7.7.7"), 10.0, 0.0)
    assert dialable(d) == (BOB,)
    assert admit(d, BOB, "10.7.7.7") is Reason.BLOCKED


def test_block_of_an_ip_applies_to_a_peer_that_moves_there() -> None:
    d = tracking({BOB: B})
    d.peers.block(IP, 10.0, 0.0)
    assert dialable(d) == (BOB,)
    d.overwrite({BOB: A}, 1.0)
    assert d.dialable(10, (), 1.0) == ((), 10.0)


def test_block_stands_in_the_gate_by_its_kind() -> None:
    d = tracking({BOB: A})
    for target in (DAVE, IP, NET):
        d.peers.block(target, 10.0, 0.0)
    gate = d.peers.gate(0.0)
    assert (len(gate.blocked), gate.blocked_ips, list(gate.blocked_subnets)) == (1, frozenset({str(IP)}), [NET])
    d.peers.expire(10.0)
    assert d.peers.gate(0.0).blocked | d.peers.gate(0.0).blocked_ips | set(d.peers.gate(0.0).blocked_subnets) == set()


@pytest.mark.parametrize("target", [ME, other_id_of(ME), PeerId(bytes(32))])
def test_block_that_was_stored_of_an_id_that_cannot_be_blocked_is_refused(target: PeerId) -> None:
    with pytest.raises(CannotBlock):
        directory().peers.restore_block(target, 10.0)


targets = st.sampled_from([BOB, CAROL, IP, ip_address("10.0.0.9"), NET, ip_network("10.0.0.0/24"), ip_network("::/0")])
IPS = [ip_address(text) for text in ("10.0.0.1", "10.0.0.9", "10.1.0.1", "2001:db8::1")]


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), targets, st.integers(1, 9)),
            st.tuples(st.just("remove"), targets, st.just(0)),
            st.tuples(st.just("expire"), st.just(BOB), st.integers(0, 5)),
        )
    )
)
def test_blocks_answer_as_a_plain_dict_does(actions: list[tuple[str, Target, int]]) -> None:
    blocks, model, now = Blocks(), dict[Target, float](), 0.0
    for action, target, number in actions:
        match action:
            case "add":
                blocks.add(target, now + number)
                model[target] = now + number
            case "remove":
                assert (blocks.remove(target) is not None) == (model.pop(target, None) is not None)
            case _:
                now += number
                over = {target for target, until in model.items() if until <= now}
                assert set(blocks.expire(now)) == over
                model = {target: until for target, until in model.items() if target not in over}
        assert {block.target: block.until for block in blocks} == model
        assert blocks.next_expiry() == min(model.values(), default=None)
        for ip in IPS:
            held = [until for target, until in model.items() if not isinstance(target, PeerId) and _holds(target, ip)]
            assert blocks.ip_until(ip, now) == max(held, default=None)


def _holds(target: object, ip: object) -> bool:
    return target == ip or (hasattr(target, "prefixlen") and ip in target)  # type: ignore[operator]


# Peers and ends -------------------------------------------------------------------------------------------------------


def test_block_keys_are_equal_exactly_where_the_curve_keys_are() -> None:
    assert curve_key(other_id_of(BOB)) == curve_key(BOB)
    assert key_of(other_id_of(BOB)) == key_of(BOB)
    assert key_of(CAROL) != key_of(BOB)
    assert curve_key(CAROL) != curve_key(BOB)


def test_block_of_one_id_holds_for_the_other_id_with_its_curve_key() -> None:
    other = other_id_of(BOB)
    d = tracking({BOB: A, other: B})
    connect(d, other)
    d.peers.block(BOB, 10.0, 0.0)
    assert d.rules.refusal(other, d.peers.get(other), 5.0) is Reason.BLOCKED
    assert d.peers.sharing_key(BOB) == (BOB, other)
    assert d.peers.gate(0.0).blocked == {curve_key(BOB)}


@pytest.mark.parametrize("target", [BOB, ip_address("10.0.0.1"), ip_network("10.0.0.0/24")])
def test_block_repeated_has_the_new_end_sooner_or_later_than_before(target: Target) -> None:
    d = tracking({BOB: A})
    assert d.peers.block(target, 10.0, 0.0) == (target, 10.0, True)
    assert d.peers.block(target, 99.0, 5.0) == (target, 104.0, True)
    assert d.dialable(10, (), 6.0) == ((), 104.0)
    assert d.peers.block(target, math.inf, 6.0) == (target, math.inf, True)
    assert d.dialable(10, (), 7.0) == ((), None)
    assert d.peers.block(target, 3.0, 7.0) == (target, 10.0, True)
    assert d.peers.block(target, 3.0, 7.0) == (target, 10.0, False)
    assert d.dialable(10, (), 8.0) == ((), 10.0)
    assert d.peers.expire(9.9) == ()
    assert d.peers.expire(10.0) == (target,)
    assert d.peers.expire(1e9) == ()
    assert dialable(d, 10.0) == (BOB,)


@pytest.mark.parametrize("target", [BOB, ip_address("10.0.0.1"), ip_network("10.0.0.0/24")])
def test_block_for_at_least_some_time_never_brings_an_end_forward(target: Target) -> None:
    d = tracking({BOB: A})
    d.peers.block(target, 100.0, 0.0)
    assert d.peers.block(target, 10.0, 0.0, at_least=True) == (target, 100.0, False)
    assert d.peers.block(target, 200.0, 0.0, at_least=True) == (target, 200.0, True)
    d.peers.block(target, math.inf, 0.0)
    assert d.peers.block(target, 10.0, 0.0, at_least=True) == (target, math.inf, False)


def test_block_of_the_other_id_with_the_key_of_a_blocked_peer_is_the_same_block_with_another_end() -> None:
    d = tracking({BOB: A})
    d.peers.block(BOB, 10.0, 0.0)
    assert d.peers.block(other_id_of(BOB), 50.0, 0.0) == (BOB, 50.0, True)
    assert len(d.peers.blocks) == 1
    assert d.peers.unblock(other_id_of(BOB), 1.0) == BOB


def test_block_that_is_given_new_ends_for_ever_takes_no_more_room() -> None:
    blocks = Blocks()
    for number in range(10_000):
        blocks.add(BOB, 1e9 + number)
    blocks.add(CAROL, 1.0)
    assert len(blocks._expiries) < 500
    assert blocks.expire(1e9) == (CAROL,)
    assert blocks.next_expiry() == 1e9 + 9999


def test_block_of_an_unknown_peer_applies_when_it_is_tracked() -> None:
    d = directory()
    d.peers.block(BOB, 10.0, 0.0)
    d.track(1, TrackedPeers({BOB: A}), 1.0)
    assert d.dialable(10, (), 1.0) == ((), 10.0)
    assert dialable(d, 10.0) == (BOB,)


def test_block_outlives_the_peer_and_its_change_of_address() -> None:
    d = tracking({BOB: A}, tracked_peer_sets=1)
    d.peers.block(BOB, 10.0, 0.0)
    d.track(2, TrackedPeers({}), 1.0)
    d.track(3, TrackedPeers({BOB: B}), 2.0)
    assert d.reserve(BOB, 9.0) is Reason.BLOCKED
    assert where(d, BOB, 10.0) == B


def test_block_that_is_past_no_longer_holds_before_anybody_took_it_away() -> None:
    d = tracking({BOB: A})
    d.peers.block(BOB, 10.0, 0.0)
    assert d.dialable(10, (), 10.0) == ((BOB,), None)
    assert d.rules.refusal(BOB, d.peers.get(BOB), 10.0) is None


def test_block_for_good_gives_no_hint_and_ends_by_unblock_only() -> None:
    d = tracking({BOB: A})
    d.peers.block(BOB, math.inf, 0.0)
    assert d.dialable(10, (), 0.0) == ((), None)
    assert d.peers.blocks.next_expiry() is None
    assert d.peers.unblock(BOB, 1e9) == BOB
    assert dialable(d, 1e9) == (BOB,)


def test_unblock_of_a_peer_that_is_not_blocked_does_nothing() -> None:
    d = tracking({BOB: A})
    version = d.peers.gate(0.0).version
    assert d.peers.unblock(BOB, 0.0) is None
    assert d.peers.gate(0.0).version == version


def test_blocks_that_end_together_expire_together() -> None:
    d = tracking({BOB: A, CAROL: B})
    d.peers.block(BOB, 10.0, 0.0)
    d.peers.block(CAROL, 10.0, 0.0)
    assert len(d.peers.blocks) == 2
    assert set(d.peers.expire(10.0)) == {BOB, CAROL}
    assert len(d.peers.blocks) == 0
    assert d.peers.gate(0.0).blocked == frozenset()


@pytest.mark.parametrize("peer", [ME, other_id_of(ME)])
def test_block_of_this_node_is_refused(peer: PeerId) -> None:
    with pytest.raises(CannotBlock, match="this node"):
        tracking({BOB: A}).peers.block(peer, 10.0, 0.0)


def test_block_of_an_id_that_nobody_can_own_is_refused() -> None:
    with pytest.raises(CannotBlock, match="not a valid"):
        tracking({BOB: A}).peers.block(PeerId(bytes(32)), 10.0, 0.0)
