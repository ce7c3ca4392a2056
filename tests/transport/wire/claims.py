"""Routing ids that somebody claims, in a process of its own: where it goes wrong, libzmq ends the process.

With the argument `node` a node lives through every kind of claim; with `bare` a bare ROUTER shows that there is danger.
"""

from __future__ import annotations

import socket
import sys
from unittest.mock import patch

import zmq

from rookery.transport import Address, Reason
from tests.transport.raw import RawPeer
from tests.transport.worlds import Node, RealWorld


def bare() -> None:
    """Dial with an id that a peer has claimed: libzmq ends the process."""
    context = zmq.Context()
    router, claimant = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
    claimant.routing_id = b"claimed"
    port = router.bind_to_random_port("tcp://127.0.0.1")
    claimant.connect(f"tcp://127.0.0.1:{port}")
    claimant.send(b"known by now")
    router.recv_multipart()
    router.setsockopt(zmq.CONNECT_ROUTING_ID, b"claimed")
    router.connect("tcp://127.0.0.1:1")
    print("unharmed", flush=True)


def node() -> None:
    """Claim the id of a dial, of a live link, of one that has ended, and the id of a peer who is dialled next."""
    world = RealWorld()
    alice, bob = world.node("alice", dial_timeout=0.5), world.node("bob")
    seen = [claim_pending_dial(world, alice, bob)]
    seen.append(claim_live_link(world, alice, bob))
    world.get(alice.net.close(bob.peer, Reason.REQUESTED))
    world.until(lambda: not bob.links())
    for claimed in (seen[-1], bob.peer, bob.peer[:16]):
        with RawPeer(alice, world.known.identity("claimant"), routing_id=claimed) as raw:
            raw.encrypted()
            raw.hello()  # heard or not: libzmq may not have forgotten the ended one yet
            seen.append(connect(world, alice, bob))
            world.get(alice.net.close(bob.peer, Reason.REQUESTED))
            world.until(lambda: not bob.links())
    assert len(set(seen)) == len(seen), "a routing id was used twice"
    dial_with_claimed_ids(world, alice, bob)
    world.close()
    print("unharmed", flush=True)


def dial_with_claimed_ids(world: RealWorld, alice: Node, bob: Node) -> None:
    """The random numbers give an id that somebody has: others are drawn."""
    claimed, free = b"c" * 16, b"f" * 16
    with RawPeer(alice, world.known.identity("claimant"), routing_id=claimed) as raw:
        raw.join()
        world.until(lambda: alice.links())
        with patch("os.urandom", side_effect=[claimed, claimed, free]):
            assert connect(world, alice, bob) == free


def claim_pending_dial(world: RealWorld, alice: Node, bob: Node) -> bytes:
    """Nobody answers the dial; the claimant is not heard, and the dial ends as it would have."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = Address.parse(f"tcp://127.0.0.1:{silent.getsockname()[1]}")
        route = b"\0"
        while route[0] == 0:  # libzmq's clients cannot claim such an id
            alice.dial(bob, address=address)
            world.until(lambda: alice.engine.links.by_route)
            (route,) = alice.engine.links.by_route
            if route[0] != 0:
                assert_ignored(world, alice, route)
            world.until(lambda: not alice.engine.links.by_route)
    return route


def claim_live_link(world: RealWorld, alice: Node, bob: Node) -> bytes:
    """The link goes on, and the claimant gets nothing of it."""
    while (route := connect(world, alice, bob))[0] == 0:
        world.get(alice.net.close(bob.peer, Reason.REQUESTED))
        world.until(lambda: not bob.links())
    assert_ignored(world, alice, route)
    alice.net.send(alice.link_to(bob).id, 16, b"to bob")
    world.until(lambda: bob.payloads()[-1:] == [b"to bob"])
    return route


def connect(world: RealWorld, alice: Node, bob: Node) -> bytes:
    """The routing id of the new link."""
    world.connected(alice, bob)
    route: bytes = alice.engine.links.live[bob.peer].route
    return route


def assert_ignored(world: RealWorld, alice: Node, routing_id: bytes) -> None:
    with RawPeer(alice, world.known.identity("claimant"), routing_id=routing_id) as raw:
        raw.encrypted()
        raw.hello()
        assert not raw.socket.poll(200), "the claimant was heard"


if __name__ == "__main__":
    {"bare": bare, "node": node}[sys.argv[1]]()
