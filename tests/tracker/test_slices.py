"""Long work: no handler runs long, and nobody sees half of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery import runtime
from rookery.actors import tracker
from rookery.actors.tracker.core.peer_sets import PeerSet, Window, do
from rookery.runtime import EngineGone
from rookery.transport import mailbox as transport
from rookery.transport.address import Address
from rookery.transport.gatekeeper import Admitted, Claim, Direction, Link, NotAdmitted, Role
from rookery.transport.identity import Identity, PeerId
from rookery.transport.reasons import Reason
from tests.tracker.core.kit import A, B, directory

MANY = dict.fromkeys(sorted(Identity.from_seed(number.to_bytes(32, "big")).peer for number in range(1000)), A)
FIRST, *_, LAST = MANY


class World:
    """A tracker that tracked carol, with a transport that confirms everything."""

    def __init__(self, simulation: Any) -> None:
        self.simulation = simulation
        self.me, self.carol = simulation.peers("me", "carol")
        self.net = simulation.mock(transport.Mailbox)
        self.net.control.answer(transport.SetGate, lambda message: message.gate.version)
        self.net.control.answer(transport.Close, None)
        config = tracker.Config(source="application", admission="tracked", tracked_peer_sets=1)
        self.peers = simulation.start(tracker.Engine, config, transport=self.net, me=self.me)
        self.listener = simulation.mock(runtime.Mailbox, "listener")
        self.peers.track(1, {self.carol: B}).get(timeout=1)

    def admit(self, peer: PeerId, address: Address = A) -> Any:
        record = replace(self.simulation.known.record("carol", str(address)), peer=peer)
        return self.peers.admit(Claim(peer, record, str(address.endpoint.host), Direction.IN))


@pytest.fixture
def world(simulation: Any) -> World:
    return World(simulation)


def test_messages_sent_while_a_set_is_tracked_see_all_of_it_and_are_answered_in_order(world: World) -> None:
    answered: list[str] = []

    def noted(name: str, reply: Any) -> Any:
        reply.then(lambda _reply: answered.append(name))
        return reply

    asked = {
        "track": noted("track", world.peers.track(2, MANY)),
        "again": noted("again", world.peers.track(2, {})),
        "carol": noted("carol", world.admit(world.carol, B)),
        "last": noted("last", world.admit(LAST)),
        "overwrite": noted("overwrite", world.peers.overwrite({FIRST: B, world.carol: A})),
        "moved": noted("moved", world.admit(FIRST, B)),
        "set": noted("set", world.peers.peer_set(2)),
    }
    world.simulation.settle()
    assert asked["track"].result() is None
    assert isinstance(asked["again"].result(), tracker.StaleSetId)
    assert asked["carol"].result() == NotAdmitted(Reason.NOT_TRACKED)
    assert asked["last"].result().role is Role.PRIMARY
    assert asked["overwrite"].result() == tracker.Overwritten((FIRST,), (), (world.carol,))
    assert isinstance(asked["moved"].result(), Admitted)
    assert asked["set"].result() == tracker.PeerSet(tuple(MANY))
    waited_for_transport = {"track", "overwrite"}
    assert [name for name in answered if name not in waited_for_transport] == ["again", "carol", "last", "moved", "set"]


def test_block_sent_while_a_set_is_tracked_holds_afterwards(world: World) -> None:
    (erin,) = world.simulation.peers("erin")
    world.peers.track(2, {**MANY, erin: A})
    blocked, refused = world.peers.block(erin), world.peers.dial(erin)
    world.simulation.settle()
    assert isinstance(blocked.result(), tracker.Blocked)
    assert refused.result() == tracker.Refused(Reason.BLOCKED)
    assert len(world.peers.dialable(2000).get(timeout=1).peers) == len(MANY)


def test_subscriber_hears_of_sets_whole_and_in_order(world: World) -> None:
    world.peers.subscribe(world.listener, tracker.PeerSetUpdate)
    world.peers.track(2, MANY)
    world.peers.track(3, {world.carol: B})
    world.simulation.settle()
    heard = world.listener.control.received(tracker.PeerSetUpdate)
    assert [(update.index, len(update.all.primary)) for update in heard] == [(1, 1), (2, len(MANY)), (3, 1)]


def test_track_that_the_end_of_the_engine_interrupts_tells_its_asker(simulation: Any) -> None:
    world = World(simulation)
    reply = world.peers.track(2, MANY)
    world.peers.tell(transport.Opened(link(world)))  # nobody reserved it: the engine fails
    with pytest.raises(runtime.EngineFailed):
        simulation.settle()
    assert reply.done
    with pytest.raises(EngineGone):
        world.peers.peer_set(1).get(timeout=1)


def link(world: World) -> Link:
    record = world.simulation.known.record("erin")
    return Link(1, record.peer, Direction.OUT, Role.PRIMARY, "10.0.0.1", 0.0, record)


# Steps against all at once -------------------------------------------------------------------------------------------

numbers = st.lists(st.integers(0, 3000), unique=True, max_size=400).map(sorted)


def names(numbers: list[int]) -> tuple[PeerId, ...]:
    return tuple(PeerId(number.to_bytes(2, "big") * 16) for number in numbers)


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=5))
def test_window_merges_its_sets_as_plain_sets_do(sets: list[tuple[list[int], list[int]]]) -> None:
    window = Window(3)
    kept: list[PeerSet] = []
    for id, (primary, secondary) in enumerate(sets):
        peers = PeerSet.of(names(primary), names(secondary))
        evicted = do(window.add_job(id, peers))
        kept.append(peers)
        assert evicted == (kept.pop(0) if len(kept) > 3 else None)
        everybody = PeerSet.of(chained(each.primary for each in kept), chained(each.secondary for each in kept))
        assert window.all == everybody


def chained(parts: Iterator[tuple[PeerId, ...]]) -> list[PeerId]:
    return [peer for part in parts for peer in part]


def test_window_of_very_many_merges_in_pieces() -> None:
    window = Window(2)
    even, odd = range(0, 60_000, 2), range(1, 60_000, 4)
    do(window.add_job(1, PeerSet(names(list(even)))))
    pieces = list(window.add_job(2, PeerSet(names(list(odd)), names(list(even)[:10_000]))))
    assert len(pieces) > 25
    assert window.all == PeerSet(names(sorted([*even, *odd])))


def test_tracking_refuses_before_its_first_step() -> None:
    d = directory(max_peers_per_set=10)
    with pytest.raises(tracker.PeerSetTooLarge):
        d.track_job(1, tracker.TrackedPeers(MANY), 0.0)
