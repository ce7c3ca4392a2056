"""`close`: what the manager does by itself ends, and nothing else does."""

from __future__ import annotations

from typing import Any

import pytest

from rookery.actors.connections import NullConnectionManager, TagClosed, bump, decay
from rookery.actors.connections.core.decaying_tags import DecayingTags
from rookery.actors.connections.parts import memory_watch
from tests.connections.worlds import Around, make_link, peer_of, table


def test_closed_manager_trims_no_more_by_itself_and_closes_no_connection(
    simulation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_watch, "resident", lambda: 2000)
    around = Around(simulation, low_water=1, high_water=2, memory_limit=1000)
    around.open(*(make_link(number) for number in range(5)))
    around.conns.close().get(timeout=1)
    simulation.run(for_=100.0)
    assert around.closings() == []
    assert around.info().open == 5
    assert around.counted("memory_alarms_total") == 0


def test_closed_manager_trims_when_it_is_asked_and_keeps_taking_tags_and_protections(simulation: Any) -> None:
    around = Around(simulation, low_water=1, high_water=2)
    around.open(*(make_link(number) for number in range(5)))
    around.conns.close()
    around.conns.tag_peer(peer_of(3), "useful", 5)
    around.conns.protect(peer_of(4), "friend")
    report = around.trim()
    assert sorted(link.id for link in report.closed) == [0, 1, 2]


def test_closed_manager_keeps_decaying_weights_as_they_are_and_takes_no_bump(simulation: Any) -> None:
    around = Around(simulation, decay_resolution=1.0)
    tag = around.conns.register_decaying_tag("a", 1.0, decay.fixed(1), bump.sum_unbounded()).get(timeout=1)
    tag.bump(peer_of(1), 10)
    simulation.run(for_=3.5)
    around.conns.close()
    tag.bump(peer_of(1), 10)
    simulation.run(for_=30.0)
    info = around.conns.get_tag_info(peer_of(1)).get(timeout=1)
    assert info is not None
    assert info.tags == {"a": 7}
    with pytest.raises(TagClosed):
        around.conns.register_decaying_tag("b", 1.0, decay.none(), bump.overwrite()).get(timeout=1)
    simulation.run(for_=60.0)
    assert "DecayTick() at 4" not in simulation.trace()


def test_manager_may_be_closed_twice_and_at_once(simulation: Any) -> None:
    around = Around(simulation)
    asked = [around.conns.close(), around.conns.close()]
    assert [reply.get(timeout=1) for reply in asked] == [None, None]
    assert NullConnectionManager().close().get(timeout=0) is None


def test_stopped_decaying_tags_count_no_interval_that_was_due_and_not_swept() -> None:
    made = table()
    decaying = DecayingTags(made, resolution=1.0, now=0.0)
    tag, _ = decaying.register("a", 1.0, decay.fixed(1), bump.sum_unbounded(), 0.0)
    decaying.bump(tag, peer_of(1), 10, 0.0)
    decaying.stop()
    decaying.tick(5.0)
    assert decaying.next_tick is None
    assert not decaying.sweep(10)
    assert decaying.weights(peer_of(1), 5.0) == {"a": 10}
