"""Seven of the flows of docs/flows.md, step by step, by the real engines of two or three nodes.

Each test is one flow: what begins it, then the messages in their order. Those who hear of something at the same moment
may hear it in any order, so such steps stand in lists of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rookery.actors import connections, resolver, tracker
from rookery.actors.connections import Counts
from rookery.testing import SimulatedNodes
from rookery.transport import Closed, Opened, Reason, Received
from rookery.transport import mailbox as transport
from rookery.transport.gatekeeper import Direction
from tests.flows import flows
from tests.flows.recording import Recording, Step


class Stage:
    """The nodes of a flow, prepared and quiet, and a recording of what they do from then on."""

    def __init__(self, simulation: Any, flow: flows.Flow) -> None:
        self.nodes = SimulatedNodes(simulation)
        flow.prepare(self.nodes)
        self.nodes.run(2)
        self.recording = Recording(simulation)
        self.replies = flow.act(self.nodes)
        self.flow = flow

    def play(self) -> Recording:
        """Until the flow is over."""
        self.nodes.run_until(lambda: self.flow.done(self.nodes) and all(r.done for r in self.replies), timeout=30)
        return self.recording

    def peer(self, name: str) -> Any:
        return self.nodes.all[name].peer


@pytest.fixture
def stage(simulation: Any) -> Callable[[flows.Flow], Stage]:
    """Makes a `Stage`."""
    return lambda flow: Stage(simulation, flow)


def test_outbound_dial(stage: Any) -> None:
    play = stage(flows.OUTBOUND_DIAL)
    told = play.play()
    alice, bob = play.peer("alice"), play.peer("bob")
    told.assert_order(
        Step("bob/tracker", tracker.Track, id=1),
        Step("bob/maintenance", tracker.DialableChanged),
        Step("bob/tracker", tracker.Dialable),
        Step("bob/tracker", tracker.Dial, peer=alice),
        Step("bob/transport", transport.Dial),
        Step("alice/tracker", tracker.Admit),
        Step("bob/tracker", tracker.Admit),
        Step("bob/tracker", Opened),
        Step("alice/tracker", Opened),
    )
    told.assert_order(Step("bob/connections", Opened), Step("bob/maintenance", Counts, open=1))
    (claim_at_alice,) = [m.claim for who, m in told.handled if who == "alice/tracker" and isinstance(m, tracker.Admit)]
    (claim_at_bob,) = [m.claim for who, m in told.handled if who == "bob/tracker" and isinstance(m, tracker.Admit)]
    assert (claim_at_alice.peer, claim_at_alice.direction, claim_at_alice.ticket) == (bob, Direction.IN, None)
    assert (claim_at_bob.peer, claim_at_bob.direction) == (alice, Direction.OUT)
    for observer in ("connections", "tracker", "membership", "resolver"):
        for name in ("alice", "bob"):
            assert told.count(Step(f"{name}/{observer}", Opened)) == 1
    assert not any(isinstance(message, (Closed, tracker.Released)) for _, message in told.handled)


def test_inbound_accept_of_two_that_dial_each_other(stage: Any) -> None:
    """The dial of the lower id goes on; the other's gives its ticket back."""
    play = stage(flows.INBOUND_ACCEPT)
    told = play.play()
    low, high = sorted(("alice", "bob"), key=play.peer)
    told.assert_order(
        Step(f"{low}/tracker", tracker.Dial, peer=play.peer(high)),
        Step(f"{low}/transport", transport.Dial),
        Step(f"{high}/tracker", tracker.Admit),
        Step(f"{high}/tracker", tracker.Released, reason=Reason.SUPERSEDED),
        Step(f"{high}/tracker", Opened),
    )
    (claim,) = [m.claim for who, m in told.handled if who == f"{high}/tracker" and isinstance(m, tracker.Admit)]
    assert claim.supersedes is not None
    for name in (low, high):
        assert told.count(Step(f"{name}/connections", Opened)) == 1
    open_there = play.nodes.all[low].connections.connections().get(timeout=1)
    assert [each.link.direction for each in open_there] == [Direction.OUT]


def test_block_of_a_live_peer(stage: Any) -> None:
    play = stage(flows.BLOCK)
    told = play.play()
    alice, bob = play.peer("alice"), play.peer("bob")
    told.assert_order(
        Step("alice/tracker", tracker.Block, target=bob),
        Step("alice/transport", transport.SetGate),  # ends what the gate blocks
        Step("alice/tracker", Closed, peer=bob, reason=Reason.BLOCKED),
        Step("alice/tracker", tracker.Released, reason=Reason.BLOCKED),
    )
    told.assert_order(
        Step("alice/transport", transport.SetGate),
        Step("alice/transport", transport.Close, peer=bob, reason=Reason.BLOCKED),  # confirms that nothing is left
    )
    told.assert_order(Step("alice/membership", tracker.PeerBlocked, peer=bob))
    told.assert_order(Step("alice/resolver", Closed, peer=bob))
    told.assert_order(Step("alice/connections", Closed), Step("alice/maintenance", Counts, open=0))
    told.assert_order(Step("bob/tracker", Closed, peer=alice))
    (reply,) = play.replies
    assert reply.get(timeout=0).until == pytest.approx(play.nodes.all["alice"].runtime.wall() + 20, abs=1)
    play.recording.clear()
    play.nodes.run_until(lambda: flows.connected(play.nodes, ("alice", "bob")), timeout=60)
    for at_once in (  # of two actors that are told at once, either may be first
        Step("alice/membership", tracker.PeerUnblocked, peer=bob),
        Step("alice/transport", transport.SetGate),
    ):
        told.assert_order(at_once, Step("alice/tracker", Opened))


def test_overwrite_of_an_address(stage: Any) -> None:
    play = stage(flows.OVERWRITE)
    told = play.play()
    alice = play.peer("alice")
    told.assert_order(
        Step("bob/tracker", tracker.Overwrite),
        Step("bob/transport", transport.Close, peer=alice, reason=Reason.ADDRESS_CHANGED),
        Step("bob/tracker", Closed, peer=alice, reason=Reason.ADDRESS_CHANGED),
        Step("bob/tracker", tracker.Released, reason=Reason.ADDRESS_CHANGED),
        Step("bob/maintenance", tracker.DialableChanged),
    )
    (reply,) = play.replies
    assert reply.get(timeout=0).changed == (alice,)
    told.clear()
    play.nodes.run_until(lambda: told.count(Step("bob/transport", transport.Dial)), timeout=30)
    assert not any(isinstance(message, tracker.PeerSetUpdate) for _, message in told.handled)
    dials = [message for who, message in told.handled if who == "bob/transport" and isinstance(message, transport.Dial)]
    assert {dial.address for dial in dials} == {flows.NOWHERE}
    flows.overwrite_back(play.nodes)
    play.nodes.run_until(lambda: flows.connected(play.nodes, ("alice", "bob")), timeout=60)


def test_trim(stage: Any) -> None:
    play = stage(flows.TRIM)
    told = play.play()
    (reply,) = play.replies
    report = reply.get(timeout=0)
    assert len(report.closed) == 1
    (victim,) = [name for name in ("bob", "carol") if not play.nodes.all[name].connected()]
    told.assert_order(
        Step("alice/connections", connections.Trim),
        Step("alice/transport", transport.CloseLink, reason=Reason.TRIMMED),
        Step("alice/connections", Closed, peer=play.peer(victim), reason=Reason.TRIMMED),
        Step("alice/maintenance", Counts, open=1, closing=0),
    )
    told.assert_order(Step("alice/tracker", tracker.Released, reason=Reason.TRIMMED))
    told.assert_order(Step(f"{victim}/tracker", tracker.Released, reason=Reason.TRIMMED))
    told.clear()
    play.nodes.run(0.9)
    assert told.count(Step(f"{victim}/tracker", tracker.Dial, peer=play.peer("alice"))) == 0, "the cooldown is over"


def test_membership_change(stage: Any) -> None:
    play = stage(flows.MEMBERSHIP)
    told = play.play()
    carol = play.peer("carol")
    for name in ("alice", "bob"):
        told.assert_order(
            Step(f"{name}/membership", transport.Packet),
            Step(f"{name}/tracker", tracker.Track),
            Step(f"{name}/resolver", tracker.PeerSetUpdate),
        )
        tracked = [m for who, m in told.handled if who == f"{name}/tracker" and isinstance(m, tracker.Track)]
        assert carol in tracked[-1].peers.primary
        assert [track.id for track in tracked] == sorted({track.id for track in tracked})
    told.clear()
    play.nodes.all["carol"].stop()
    play.nodes.run(5)
    for name in ("alice", "bob"):
        tracked = [m for who, m in told.handled if who == f"{name}/tracker" and isinstance(m, tracker.Track)]
        assert carol not in tracked[-1].peers.primary


def test_fetch(stage: Any) -> None:
    play = stage(flows.FETCH)
    told = play.play()
    alice, bob = play.peer("alice"), play.peer("bob")
    told.assert_order(
        Step("bob/resolver", resolver.Get),
        Step("bob/transport", transport.SendFirst),
        Step("alice/resolver", Received, peer=bob),
        Step("alice/transport", transport.Send),
        Step("bob/resolver", Received, peer=alice),
    )
    busy = [m.delta for who, m in told.handled if who == "bob/connections" and isinstance(m, connections.Busy)]
    assert busy == [1, -1]
    (reply,) = play.replies
    assert reply.get(timeout=0) == flows.VALUE
