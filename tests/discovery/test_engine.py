"""The engine between mocks: lookups, hints, failures, wakes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rookery.actors import tracker
from rookery.actors.discovery import Found, SourceFailed, SourceRecovered, StaticRecord
from rookery.actors.discovery.parts.sources import MAX_FOUND, LookupResult
from rookery.runtime import Feedback
from rookery.transport import PeerRecord
from rookery.transport import mailbox as transport
from tests.discovery.conftest import Script, World

Make = Callable[..., World]


def test_discovery_hints_what_a_source_gives_and_never_trusts_or_tracks_it(world: Make, simulation: Any) -> None:
    bob = simulation.known.record("bob", "tcp://10.0.0.2:7000")
    here = world(Script(LookupResult((bob.encode(),))))
    assert here.hinted() == [bob]
    assert here.events(Found) == [Found("script", (bob,))]
    assert {type(message) for message in here.peers.control.received()} == {tracker.Hint}
    assert [message.records for message in here.members.control.received()] == [(bob,)]


def test_discovery_hands_each_source_this_nodes_record_as_it_is_at_the_look(world: Make, simulation: Any) -> None:
    source = Script(LookupResult())
    here = world(source)
    assert source.lookups == [here.me]
    here.me = here.record("me", generation=7)
    simulation.run(for_=2)
    assert source.lookups[-1].generation == 7


def test_static_records_of_the_configuration_become_hints(world: Make, simulation: Any) -> None:
    bob = simulation.known.record("bob", "tcp://10.0.0.2:7000")
    here = world(records=(StaticRecord.of(bob),))
    assert here.hinted() == [bob]
    assert here.counted("records", "static", "hinted") == 1


def test_own_record_and_what_is_no_record_of_the_network_are_counted_and_not_hinted(
    world: Make, simulation: Any
) -> None:
    me = simulation.known.record("me", "tcp://10.0.0.2:7000")
    identity = simulation.known.identity("bob")
    stranger = PeerRecord.sign(identity, network="other", address=me.address, generation=1)
    here = world(Script(LookupResult((me.encode(), stranger.encode(), b"garbage", b""))))
    assert here.hinted() == []
    assert here.counted("records", "script", "own") == 1
    assert here.counted("records", "script", "invalid") == 3


def test_lookup_that_gives_too_much_is_cut_and_the_rest_counted(world: Make, simulation: Any) -> None:
    bob = simulation.known.record("bob", "tcp://10.0.0.2:7000").encode()
    here = world(Script(LookupResult((bob,) * (MAX_FOUND + 5)), LookupResult()))
    assert len(here.hinted()) == MAX_FOUND
    assert here.counted("records", "script", "too_many") == 5


def test_what_a_source_hears_between_lookups_becomes_a_hint(world: Make, simulation: Any) -> None:
    bob = simulation.known.record("bob", "tcp://10.0.0.2:7000")
    source = Script(LookupResult())
    here = world(source)
    source.heard(bob.encode())
    simulation.settle()
    assert here.hinted() == [bob]


def test_what_is_heard_before_the_first_lookup_is_dropped_and_counted(simulation: Any) -> None:
    source = Script(LookupResult())
    here = World(simulation, source, transport_is_slow=True)
    source.heard(here.record("bob").encode())
    simulation.settle()
    assert here.counted("records", "script", "early") == 1
    assert here.hinted() == []


def test_tracker_that_refuses_a_hint_is_counted(simulation: Any) -> None:
    bob = simulation.known.record("bob", "tcp://10.0.0.2:7000")
    source = Script(LookupResult())
    here = World(simulation, source)
    here.peers.control.feedback(Feedback.REJECTED, tracker.Hint, times=1)
    source.heard(bob.encode())
    simulation.settle()
    assert here.counted("records", "script", "refused") == 1
    assert here.events(Found) == []


def test_source_that_fails_is_told_once_and_looked_up_again_until_it_works(world: Make, simulation: Any) -> None:
    source = Script(OSError("no such thing"), OSError("again"), LookupResult())
    here = world(source)
    simulation.run(for_=1.3)
    assert here.events(SourceFailed) == [SourceFailed("script", "no such thing")]
    simulation.run(for_=5)
    assert here.events(SourceFailed) == [SourceFailed("script", "no such thing")]
    assert here.events(SourceRecovered) == [SourceRecovered("script")]
    assert here.counted("lookups", "script", "failed") == 2


def test_source_that_is_dead_does_not_stop_the_others(world: Make, simulation: Any) -> None:
    bob = simulation.known.record("bob", "tcp://10.0.0.2:7000")
    here = world(Script(OSError("dead"), name="dead"), Script(LookupResult((bob.encode(),)), name="alive"))
    simulation.run(for_=120)
    assert here.events(SourceFailed) == [SourceFailed("dead", "dead")]
    assert len(here.hinted()) > 5


def test_sight_without_records_is_normal_unless_something_failed(world: Make, simulation: Any) -> None:
    here = world(Script(LookupResult()), Script(LookupResult(failures=("10.0.0.9: refused",)), name="failing"))
    assert here.events(SourceFailed) == [SourceFailed("failing", "10.0.0.9: refused")]
    assert here.counted("records", "failing", "failed") == 1


def test_any_number_of_wakes_are_one_lookup_and_none_comes_before_the_floor(world: Make, simulation: Any) -> None:
    source = Script(LookupResult())
    here = world(source)
    simulation.run(for_=200)
    lookups = len(source.lookups)
    for _ in range(50):
        here.discovery.wake()
    simulation.settle()
    assert len(source.lookups) == lookups + 1
    for _ in range(50):
        here.discovery.wake()
    simulation.run(for_=0.9)
    assert len(source.lookups) == lookups + 1
    simulation.run(for_=0.2)
    assert len(source.lookups) == lookups + 2


def test_wake_while_transport_does_not_answer_is_not_lost(world: Make, simulation: Any) -> None:
    source = Script(LookupResult())
    here = world(source)
    simulation.run(for_=200)
    records = here.net.control.hold(transport.GetRecord)
    here.discovery.wake()
    simulation.settle()
    here.discovery.wake()
    lookups = len(source.lookups)
    records.pop().set(simulation.known.own(here.me))
    here.net.control.answer(transport.GetRecord, simulation.known.own(here.me))
    simulation.run(for_=1.5)
    assert len(source.lookups) == lookups + 2


def test_transport_that_does_not_answer_is_a_failed_lookup_and_the_next_goes_on(world: Make, simulation: Any) -> None:
    source = Script(LookupResult())
    here = world(source)
    here.net.control.hold(transport.GetRecord)
    simulation.run(for_=20)
    assert [event.source for event in here.events(SourceFailed)] == ["script"]
    here.net.control.answer(transport.GetRecord, simulation.known.own(here.me))
    simulation.run(for_=60)
    assert here.events(SourceRecovered) == [SourceRecovered("script")]


def test_lookups_of_an_idle_node_become_rare(world: Make, simulation: Any) -> None:
    source = Script(LookupResult())
    world(source)
    simulation.run(for_=600)
    before = len(source.lookups)
    simulation.run(for_=600)
    assert 8 <= len(source.lookups) - before <= 10


def test_stopped_discovery_closes_its_sources(simulation: Any) -> None:
    source = Script(LookupResult())
    World(simulation, source)
    simulation.close()
    assert source.closed


def test_source_that_cannot_be_closed_is_logged_and_keeps_no_other_open(
    world: Make, simulation: Any, caplog: pytest.LogCaptureFixture
) -> None:
    class Stuck(Script):
        def close(self) -> None:
            raise ValueError("a label is too long")

    stuck, other = Stuck(LookupResult(), name="stuck"), Script(LookupResult(), name="other")
    world(stuck, other)
    simulation.stop()
    assert other.closed
    assert "a source could not be closed" in caplog.text
    assert simulation.failure is None
