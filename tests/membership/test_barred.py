"""Whom this node blocks: by peer, by IP, by network."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from rookery.actors.membership.barred import Barred
from rookery.testing import Peers
from rookery.transport import Address

ANN, BOB = Peers().identity("ann").peer, Peers().identity("bob").peer
HERE = Address.parse("tcp://10.0.0.1:7000")


def test_blocked_peer_is_barred_wherever_it_is_until_the_block_ends() -> None:
    barred = Barred()
    barred.add(ANN)
    assert barred.bars(ANN, HERE)
    assert barred.bars(ANN, None)
    assert not barred.bars(BOB, HERE)
    barred.discard(ANN)
    assert not barred.bars(ANN, HERE)


def test_blocked_ip_and_network_bar_those_who_live_there() -> None:
    for target in (ip_address("10.0.0.1"), ip_network("10.0.0.0/24")):
        barred = Barred()
        barred.add(target)
        assert barred.bars(ANN, HERE)
        assert not barred.bars(ANN, Address.parse("tcp://10.0.1.1:7000"))
        assert not barred.bars(ANN, Address.parse("tcp://node.example.org:7000"))
        assert not barred.bars(ANN, Address.parse("tcp://[2001:db8::1]:7000"))
        assert not barred.bars(ANN, None)
        barred.discard(target)
        assert not barred.bars(ANN, HERE)
