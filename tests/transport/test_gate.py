"""The gate: what is refused by key, IP, network and time, without asking anybody."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery import transport
from rookery.testing import Peers
from rookery.transport import Gate, Reason
from rookery.transport.core.subnets import SubnetSet
from tests.transport.worlds import World

KEY = b"k" * 32
BOB = Peers().identity("bob").peer
NETWORKS = ["10.0.0.0/8", "10.1.2.0/24", "192.0.2.7/32", "0.0.0.0/0", "2001:db8::/32", "::/0"]


@given(
    networks=st.lists(st.sampled_from(NETWORKS)),
    ip=st.one_of(st.ip_addresses(), st.sampled_from(["10.1.2.3", "192.0.2.7", "2001:db8::1"])),
)
def test_subnet_set_holds_exactly_the_ips_of_its_networks(networks: list[str], ip: object) -> None:
    members = [ip_network(text) for text in networks]
    mapped = getattr(ip, "ipv4_mapped", None)
    judged = mapped if mapped is not None else ip
    expected = any(str(judged) in map(str, [network]) or _holds(network, str(judged)) for network in members)
    assert (str(ip) in SubnetSet(members)) == expected


def _holds(network: object, ip: str) -> bool:
    from ipaddress import ip_address

    return ip_address(ip) in network  # type: ignore[operator]


def test_subnet_set_is_a_set_of_networks() -> None:
    wide, narrow = ip_network("10.0.0.0/8"), ip_network("10.1.0.0/16")
    assert SubnetSet([narrow, wide]) == SubnetSet([wide, narrow, wide])
    assert list(SubnetSet([narrow, wide])) == [wide, narrow]
    assert wide in SubnetSet([wide])
    assert narrow not in SubnetSet([wide])
    assert "" not in SubnetSet([wide])  # the IP of a dial whose name is not resolved yet


def test_gate_refuses_every_ip_of_a_blocked_network_and_no_other() -> None:
    gate = Gate(1, blocked_subnets=SubnetSet([ip_network("10.1.2.0/24")]))
    assert gate.check("10.1.2.3", KEY) is gate.check_packets("10.1.2.255", KEY) is Reason.BLOCKED
    assert gate.check("10.1.3.1", KEY) is gate.check_packets("10.1.3.1", KEY) is None
    assert gate.check("::ffff:10.1.2.3", KEY) is Reason.BLOCKED


KEYS = [bytes([number]) * 32 for number in range(3)]
IPS = ["10.1.2.3", "10.1.3.1", "2001:db8::1"]
GATES = st.builds(
    Gate,
    st.just(1),
    blocked=st.frozensets(st.sampled_from(KEYS)),
    blocked_ips=st.frozensets(st.sampled_from(IPS)),
    blocked_subnets=st.lists(st.sampled_from([ip_network(text) for text in NETWORKS[:2]])).map(SubnetSet),
    packets=st.none() | st.frozensets(st.sampled_from(KEYS)),
)


@given(before=GATES, now=GATES)
def test_gate_that_refuses_packets_which_the_one_before_allowed_says_so(before: Gate, now: Gate) -> None:
    sources = list(product(IPS, KEYS))
    if any(before.check_packets(*each) is None and now.check_packets(*each) is not None for each in sources):
        assert now.refuses_packets_more_than(before)


@given(gate=GATES)
def test_gate_refuses_no_more_packets_than_one_that_says_the_same(gate: Gate) -> None:
    assert not gate.refuses_packets_more_than(replace(gate, version=2, cooling={BOB: 10.0}))


def test_gate_that_cools_a_peer_down_accepts_no_connection_of_it_until_then() -> None:
    gate = Gate(1, cooling={BOB: 10.0})
    assert gate.check_connection(BOB, 9.9) is Reason.COOLDOWN
    assert gate.check_connection(BOB, 10.0) is None
    assert gate.check_connection(Peers().identity("carol").peer, 0.0) is None


def test_gate_blocks_more_than_another_if_anybody_could_pass_that() -> None:
    key, ip, net = frozenset({KEY}), frozenset({"10.0.0.1"}), SubnetSet([ip_network("10.0.0.0/8")])
    full = Gate(1, blocked=key, blocked_ips=ip, blocked_subnets=net)
    for less in (Gate(2), Gate(2, blocked=key), Gate(2, blocked=key, blocked_ips=ip)):
        assert full.blocks_more_than(less)
        assert not less.blocks_more_than(full)
    assert not full.blocks_more_than(full)


def test_gate_that_blocks_the_network_of_a_connected_peer_ends_its_connection(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    world.connected(alice, bob)
    network = ip_network(f"{bob.link_to(alice).ip}/24", strict=False)
    bob.open_gate(blocked_subnets=SubnetSet([network]))
    assert bob.closed() == [Reason.BLOCKED]


def test_T10_claim_within_the_cooldown_is_refused_before_a_slot_and_a_verdict_are_paid_for(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    bob.open_gate(cooling={alice.peer: bob.runtime.now() + 3600.0})
    ticket = alice.dial(bob)
    world.until(lambda: alice.gatekeeper.releases == [(ticket, Reason.COOLDOWN)])
    assert (bob.gatekeeper.claims, bob.counted_slots()) == ([], 0)
    assert bob.counted("refused", "cooldown") == 1


def test_T10_packets_have_no_cooldown(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    bob.open_gate(cooling={alice.peer: bob.runtime.now() + 3600.0})
    alice.net.send_packet(bob.peer, bob.address, b"alive?")
    world.until(lambda: bob.receiver.control.received(transport.Packet))


@pytest.mark.parametrize("purpose", ["connection", "packets"])
def test_record_with_a_bad_signature_is_refused_whatever_it_is_for(world: World, purpose: str) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    alice.engine.record = replace(alice.engine.record, generation=9)
    if purpose == "connection":
        ticket = alice.dial(bob)
        world.until(lambda: alice.gatekeeper.releases == [(ticket, Reason.RECORD)])
    else:
        alice.net.send_packet(bob.peer, bob.address, b"alive?")
        world.until(lambda: bob.counted("refused", "record") == 1)
    assert bob.gatekeeper.claims == []


@pytest.mark.parametrize("reason", [Reason.COOLDOWN, Reason.TOO_MANY])
def test_peer_that_is_turned_away_for_now_is_told_whom_the_gate_names(world: World, reason: Reason) -> None:
    full = {"max_connections": 1, "reserved_outbound": 1} if reason is Reason.TOO_MANY else {}
    alice, bob = world.node("alice"), world.node("bob", **full)
    named = (world.known.record("carol", "tcp://198.18.0.3:7000"), world.known.record("dave", "tcp://198.18.0.4:7000"))
    waiting = {alice.peer: bob.runtime.now() + 3600.0} if reason is Reason.COOLDOWN else {}
    bob.open_gate(alternatives=named, cooling=waiting)
    ticket = alice.dial(bob)
    world.until(lambda: alice.gatekeeper.releases == [(ticket, reason)])
    assert {record.peer for record in alice.gatekeeper.hints} == {record.peer for record in named}


def test_private_node_names_nobody_to_a_peer_that_it_turns_away(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob", max_connections=1, reserved_outbound=1)
    named = world.known.record("carol", "tcp://198.18.0.3:7000")
    bob.open_gate(alternatives=(named,), packets=frozenset({alice.identity.curve_public}))
    ticket = alice.dial(bob)
    world.until(lambda: alice.gatekeeper.releases == [(ticket, Reason.TOO_MANY)])
    assert alice.gatekeeper.hints == []
