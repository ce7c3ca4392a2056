"""What the tracker's mailbox takes: what can mean nothing is refused in the caller's thread."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import pytest

from rookery.actors import tracker
from rookery.transport.identity import PeerId
from tests.tracker.core.kit import ME
from tests.tracker.world import A, World


@pytest.fixture
def world(simulation: Any) -> World:
    return World(simulation)


@pytest.mark.parametrize("duration", [0.0, -1.0, float("nan"), True, 10**400, "5"])
def test_block_for_no_time_is_refused_at_the_caller(world: World, duration: Any) -> None:
    with pytest.raises(ValueError, match="longer than 0"):
        world.peers.block(world.bob, duration)


@pytest.mark.parametrize("duration", [1e300, 3e11, 5])
def test_block_for_any_finite_time_is_in_force_and_listed(world: World, duration: float) -> None:
    until = world.peers.block(world.bob, duration).get(timeout=1).until
    assert world.peers.blocks().get(timeout=1) == (tracker.BlockInForce(world.bob, until),)


@pytest.mark.parametrize(
    "ask",
    [
        lambda peers: peers.block("10.0.0.1"),
        lambda peers: peers.block(b"\1" * 32),
        lambda peers: peers.block(ip_address("fe80::1%eth0")),
        lambda peers: peers.unblock(None),
        lambda peers: peers.trust(b""),
        lambda peers: peers.distrust("ab" * 32),
        lambda peers: peers.dial(b"short"),
        lambda peers: peers.dialable(-1),
        lambda peers: peers.track(-1, {}),
        lambda peers: peers.track(2**64, {}),
        lambda peers: peers.track(1, {"ab" * 32: None}),
        lambda peers: peers.track(1, {ME: "tcp://10.0.0.1:7000"}),
        lambda peers: peers.track(1, []),
        lambda peers: peers.track(1, {PeerId(bytes(32)): A}),
        lambda peers: peers.track(1, tracker.TrackedPeers({}, {PeerId(bytes(32)): None})),
        lambda peers: peers.overwrite({PeerId(bytes(32)): A}),
        lambda peers: peers.overwrite([]),
        lambda peers: peers.overwrite({ME: None}),
        lambda peers: peers.overwrite({ME: 7}),
        lambda peers: peers.peer_set(-1),
        lambda peers: peers.peer_set(2**64),
    ],
)
def test_argument_that_can_mean_nothing_is_refused_at_the_caller(world: World, ask: Callable[[Any], object]) -> None:
    with pytest.raises(ValueError, match="."):
        ask(world.peers)
    assert world.peers.blocks().get(timeout=1) == ()  # it lives


@pytest.mark.parametrize("id", [True, 1.0, "1"])
def test_set_id_that_is_no_whole_number_is_refused_at_the_caller(world: World, id: Any) -> None:
    with pytest.raises(TypeError):
        world.peers.track(id, {})


def test_highest_set_id_can_be_tracked_and_says_that_nothing_can_follow(world: World) -> None:
    world.track(2**64 - 1, {world.bob: A})
    assert world.peers.peer_set(2**64 - 1).get(timeout=1) == tracker.PeerSet((world.bob,))
    with pytest.raises(tracker.StaleSetId, match="there is no higher id"):
        world.peers.track(2**64 - 1, {}).get(timeout=1)


def test_trust_and_block_of_the_node_itself_can_neither_begin_nor_end(world: World) -> None:
    for ask in (world.peers.trust, world.peers.distrust):
        with pytest.raises(tracker.CannotTrust, match="it is this node"):
            ask(world.me).get(timeout=1)
    for change in (world.peers.block, world.peers.unblock):
        with pytest.raises(tracker.CannotBlock, match="it is this node"):
            change(world.me).get(timeout=1)
