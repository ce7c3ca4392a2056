"""The peers, IPs and networks that this node blocks."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from rookery.actors.membership.core.local_blocks import LocalBlocks
from rookery.testing import Peers
from rookery.transport import Address

ANN, BOB = Peers().identity("ann").peer, Peers().identity("bob").peer
HERE = Address.parse("tcp://10.0.0.1:7000")


def test_blocked_peer_is_blocked_at_any_address_until_the_block_ends() -> None:
    blocks = LocalBlocks()
    blocks.add(ANN)
    assert blocks.is_blocked(ANN, HERE)
    assert blocks.is_blocked(ANN, None)
    assert not blocks.is_blocked(BOB, HERE)
    blocks.discard(ANN)
    assert not blocks.is_blocked(ANN, HERE)


def test_blocked_ip_or_network_blocks_the_peers_at_its_addresses() -> None:
    for target in (ip_address("10.0.0.1"), ip_network("10.0.0.0/24")):
        blocks = LocalBlocks()
        blocks.add(target)
        assert blocks.is_blocked(ANN, HERE)
        assert not blocks.is_blocked(ANN, Address.parse("tcp://10.0.1.1:7000"))
        assert not blocks.is_blocked(ANN, Address.parse("tcp://node.example.org:7000"))
        assert not blocks.is_blocked(ANN, Address.parse("tcp://[2001:db8::1]:7000"))
        assert not blocks.is_blocked(ANN, None)
        blocks.discard(target)
        assert not blocks.is_blocked(ANN, HERE)
