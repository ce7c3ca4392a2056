"""The engine's side of peer exchange, between mocked neighbours."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from rookery.actors import discovery, maintenance, tracker
from rookery.actors.maintenance import (
    AdvertiseReceived,
    AdvertiseSent,
    BootstrapReceived,
    BootstrapSent,
    ExchangeRefused,
)
from rookery.actors.maintenance.core import codec
from rookery.actors.maintenance.core.codec import BOOTSTRAP, PRIVATE, ExchangeMessage, Kind
from rookery.runtime import EngineFailed, Feedback
from rookery.testing import Peers
from rookery.transport import (
    Address,
    ChannelTaken,
    Closed,
    Direction,
    Link,
    Opened,
    PeerRecord,
    Reason,
    Received,
    Role,
    Send,
)
from rookery.transport import mailbox as transport
from tests.maintenance.neighbours import Neighbours

NUMBERS: dict[str, Any] = {"min_connections": 2, "expected_connections": 2, "max_connections": 4}
KNOWN = Peers()
LINKS = count(1)


class Talking(Neighbours):
    """Maintenance that exchanges peers on channel 0, and what it sends."""

    def __init__(self, simulation: Any, **settings: Any) -> None:
        super().__init__(simulation, maintenance.Config(**NUMBERS, **settings), channel=maintenance.CHANNEL)
        simulation.settle()

    def connect(self, name: str, address: str | None = None) -> Link:
        own = record(name, address)
        link = Link(next(LINKS), own.peer, Direction.OUT, Role.PRIMARY, "10.0.0.1", 0.0, own)
        self.upkeep.tell(Opened(link))
        return link

    def says(self, link: Link, message: ExchangeMessage | bytes) -> None:
        payload = codec.encode(message) if isinstance(message, ExchangeMessage) else message
        self.upkeep.tell(Received(link.id, link.peer, maintenance.CHANNEL, payload))
        self.simulation.settle()

    def sent(self) -> list[tuple[int, ExchangeMessage]]:
        return [(each.link_id, codec.decode(each.payload)) for each in self.net.control.received(Send)]


def record(name: str, address: str | None = None) -> PeerRecord:
    return KNOWN.record(name, address or f"tcp://10.0.{len(name)}.{ord(name[0])}:7000")


def advertise(*records: PeerRecord) -> ExchangeMessage:
    return ExchangeMessage(Kind.ADVERTISE, tuple(each.encode() for each in records))


def test_maintenance_takes_its_channel_with_limits(simulation: Any) -> None:
    around = Neighbours(simulation, maintenance.Config(**NUMBERS))
    registered = around.net.control.hold(transport.Register)
    simulation.start(
        maintenance.Engine,
        maintenance.Config(**NUMBERS),
        tracker=around.peers,
        connections=around.conns,
        transport=around.net,
        channel=0,
    )
    [register] = registered.waiting
    assert (register.channel, register.max_message) == (0, codec.MAX_MESSAGE)
    assert register.inbound.rate <= 10


def test_maintenance_whose_channel_is_taken_stops_the_node(simulation: Any) -> None:
    around = Neighbours(simulation, maintenance.Config(**NUMBERS))
    around.net.control.answer(transport.Register, ChannelTaken("channel 0 has a receiver already"))
    simulation.start(
        maintenance.Engine,
        maintenance.Config(**NUMBERS),
        tracker=around.peers,
        connections=around.conns,
        transport=around.net,
        channel=0,
    )
    with pytest.raises(EngineFailed, match="does not give maintenance its channel"):
        simulation.settle()


def test_maintenance_with_nobody_to_dial_asks_its_peers_for_others_and_wakes_discovery(simulation: Any) -> None:
    around = Talking(simulation)
    bob, hidden = around.connect("bob"), around.connect("hidden", "tcp://10.0.0.9:1")
    around.says(hidden, PRIVATE)
    around.upkeep.activate()
    simulation.settle()
    assert around.sent() == [(bob.id, BOOTSTRAP)]
    assert around.discovery.control.received() == [discovery.Wake()]
    assert BootstrapSent(bob.peer) in around.events()


def test_P1_discovery_is_woken_while_connections_are_missing_and_left_alone_otherwise(simulation: Any) -> None:
    around = Talking(simulation)
    around.count(3)
    around.upkeep.activate()
    simulation.run(for_=300)
    assert around.discovery.control.received() == []
    around.count(1)
    simulation.run(for_=31)
    assert 5 <= len(around.discovery.control.received()) <= 7  # about each 5 s


def test_maintenance_takes_the_answer_as_hints_to_the_tracker(simulation: Any) -> None:
    around = Talking(simulation)
    bob = around.connect("bob")
    around.upkeep.activate()
    simulation.settle()
    around.says(bob, advertise(record("carol"), record("dave"), bob.record))
    assert around.peers.control.received(tracker.Hint)[0].records == (record("carol"), record("dave"))
    assert AdvertiseReceived(bob.peer, records=2, ignored=1) in around.events()


def test_maintenance_answers_who_asks_with_its_connections(simulation: Any) -> None:
    around = Talking(simulation)
    bob, carol = around.connect("bob"), around.connect("carol")
    around.says(bob, BOOTSTRAP)
    assert around.sent() == [(bob.id, advertise(carol.record))]
    assert around.events() == [BootstrapReceived(bob.peer), AdvertiseSent(bob.peer, 1)]


def test_maintenance_that_knows_nobody_else_says_nothing(simulation: Any) -> None:
    around = Talking(simulation)
    around.says(around.connect("bob"), BOOTSTRAP)
    assert around.sent() == []


def test_maintenance_answers_also_before_it_is_activated_and_after_its_shutdown(simulation: Any) -> None:
    around = Talking(simulation)
    bob, _carol = around.connect("bob"), around.connect("carol")
    around.says(bob, BOOTSTRAP)
    around.upkeep.shutdown().get(timeout=1)
    around.says(bob, BOOTSTRAP)
    assert len(around.sent()) == 2


def test_maintenance_does_not_answer_who_asks_too_often(simulation: Any) -> None:
    around = Talking(simulation)
    bob, _carol = around.connect("bob"), around.connect("carol")
    for _ in range(5):
        around.says(bob, BOOTSTRAP)
    assert len(around.sent()) == 2
    assert around.events().count(ExchangeRefused(bob.peer, "rate")) == 3
    assert simulation.registry.value("maintenance_exchange_total", "refused_rate") == 3


@pytest.mark.parametrize(("payload", "why"), [(b"nonsense", "invalid"), (advertise(record("carol")), "unasked")])
def test_maintenance_does_not_heed_what_is_malformed_or_was_not_asked_for(
    payload: bytes | ExchangeMessage, why: str, simulation: Any
) -> None:
    around = Talking(simulation)
    bob = around.connect("bob")
    around.says(bob, payload)
    assert around.peers.control.received(tracker.Hint) == []
    assert around.events() == [ExchangeRefused(bob.peer, why)]
    assert simulation.registry.value("maintenance_exchange_total", f"refused_{why}") == 1


def test_maintenance_whose_hints_find_no_room_says_so(simulation: Any) -> None:
    around = Talking(simulation)
    bob = around.connect("bob")
    around.upkeep.activate()
    simulation.settle()
    around.peers.control.feedback(Feedback.REJECTED, tracker.Hint)
    around.says(bob, advertise(record("carol")))
    assert ExchangeRefused(bob.peer, "busy") in around.events()


def test_maintenance_ignores_what_comes_of_a_link_that_is_gone(simulation: Any) -> None:
    around = Talking(simulation)
    bob, _carol = around.connect("bob"), around.connect("carol")
    around.upkeep.tell(Closed(bob.id, bob.peer, Reason.LOST))
    around.says(bob, BOOTSTRAP)
    assert around.sent() == []
    assert simulation.registry.value("maintenance_exchange_total", "closed") == 1


def test_private_maintenance_says_so_and_neither_asks_nor_answers_nor_wakes_discovery(simulation: Any) -> None:
    around = Talking(simulation, private_mode=True)
    bob, _carol = around.connect("bob"), around.connect("carol")
    around.upkeep.activate()
    simulation.run(for_=60)
    around.says(bob, BOOTSTRAP)
    around.says(bob, advertise(record("dave")))
    assert {message for _link, message in around.sent()} == {PRIVATE}
    assert around.peers.control.received(tracker.Hint) == []
    assert around.discovery.control.received() == []
    assert around.events().count(ExchangeRefused(bob.peer, "private")) == 2


def test_maintenance_that_is_short_for_long_asks_more_and_more_rarely(simulation: Any) -> None:
    around = Talking(simulation)
    around.connect("bob")
    around.upkeep.activate()
    simulation.run(for_=600)
    assert 7 <= len(around.sent()) <= 10  # 0, 5, 15, 35, 75, 155, 275, ...
    assert around.upkeep.standing().get(timeout=1).explain().endswith("after asking 1 peer for others")


def test_maintenance_without_a_channel_exchanges_nothing(simulation: Any) -> None:
    around = Neighbours(simulation, maintenance.Config(**NUMBERS))
    around.upkeep.activate()
    simulation.settle()
    assert around.net.control.received() == []
    assert around.discovery.control.received() == [discovery.Wake()]


def test_record_with_a_false_signature_goes_to_the_tracker_which_checks_it(simulation: Any) -> None:
    around = Talking(simulation)
    bob = around.connect("bob")
    around.upkeep.activate()
    simulation.settle()
    honest = record("carol")
    forged = replace(honest, address=Address.parse("tcp://6.6.6.6:6"), generation=9)
    around.says(bob, advertise(forged))
    assert [each.verify() for each in around.peers.control.received(tracker.Hint)[0].records] == [False]
