"""Decaying tags through the engine: virtual time, handles, and the order of what is asked."""

from __future__ import annotations

import math
from typing import Any

import pytest

from rookery.actors.connections import DecayingTag, TagClosed, TagTaken, bump, decay
from rookery.actors.connections.parts.tag_decay import SWEPT_PER_SLICE
from rookery.runtime import EngineGone, Feedback
from tests.connections.worlds import Around, make_link, peer_of


@pytest.fixture
def around(simulation: Any) -> Around:
    return Around(simulation, decay_resolution=1.0)


def register(around: Around, name: str = "useful", interval: float = 1.0, by: decay.Decay | None = None) -> DecayingTag:
    asked = around.conns.register_decaying_tag(name, interval, by or decay.fixed(1), bump.sum_unbounded())
    return asked.get(timeout=1)


def tags(around: Around, number: int = 1) -> dict[str, int] | None:
    info = around.conns.get_tag_info(peer_of(number)).get(timeout=1)
    assert info is None or info.value == sum(info.tags.values())
    return None if info is None else info.tags


def test_C18_decaying_tags_follow_the_engines_clock(around: Around) -> None:
    tag = register(around, interval=10.0)
    tag.bump(peer_of(1), 5)
    around.simulation.run(for_=30.5)
    assert tags(around) == {"useful": 2}


def test_weights_decay_without_anybody_asking(around: Around) -> None:
    around.open(make_link(1), make_link(2))
    tag = register(around)
    tag.bump(peer_of(1), 3)
    tag.bump(peer_of(2), 5)
    around.simulation.run(for_=4.0)
    around.conns.tag_peer(peer_of(1), "a", 2)
    assert [link.id for link in around.trim(1).closed] == [2]  # worth 1, and the other 2


def test_decaying_tags_end_with_the_last_connection_of_their_peer(around: Around) -> None:
    tag = register(around, interval=10.0)
    around.open(make_link(1))
    tag.bump(peer_of(1), 5)
    around.close(make_link(1))
    around.open(make_link(2, peer=1))
    assert tags(around) == {}
    around.simulation.run(for_=20.5)
    assert tags(around) == {}


def test_node_that_was_paused_makes_up_for_it_exactly(simulation: Any) -> None:
    node = simulation.node("alice")
    around = Around(simulation, decay_resolution=1.0)
    paused = Around(simulation, host=node, decay_resolution=1.0)
    for each in (around, paused):
        register(each).bump(peer_of(1), 100)
    simulation.run(for_=0.5)
    node.pause()
    simulation.run(for_=40.0)
    node.resume()
    assert tags(around) == tags(paused) == {"useful": 60}
    simulation.run(for_=1.0)
    assert tags(around) == tags(paused) == {"useful": 59}


def test_interval_below_the_resolution_is_raised(around: Around) -> None:
    assert register(around, interval=0.2).interval == 1.0


def test_interval_of_nothing_and_an_empty_name_are_refused(around: Around) -> None:
    for name, interval in (("a", 0.0), ("a", -1.0), ("a", math.inf), ("", 1.0)):
        with pytest.raises(ValueError, match="longer than 0 seconds|is a text of 1"):
            around.conns.register_decaying_tag(name, interval, decay.none(), bump.overwrite())


def test_name_is_unique_among_open_tags(around: Around) -> None:
    tag = register(around)
    with pytest.raises(TagTaken, match="'useful' is open"):
        register(around)
    tag.close()
    assert register(around).name == "useful"


def test_C3_plain_and_decaying_tag_of_one_name_show_their_sum(around: Around) -> None:
    around.open(make_link(1))
    around.conns.tag_peer(peer_of(1), "useful", 5)
    register(around).bump(peer_of(1), 7)
    assert tags(around) == {"useful": 12}
    assert around.conns.connections().get(timeout=1)[0].tags == {"useful": 12}
    around.conns.untag_peer(peer_of(1), "useful")  # the plain one
    assert tags(around) == {"useful": 7}


def test_C1_remove_of_a_decaying_tag_of_a_stranger_makes_no_record(around: Around) -> None:
    register(around).remove(peer_of(1))
    assert tags(around) is None


def test_C19_remove_takes_the_tag_from_one_peer_only(around: Around) -> None:
    tag = register(around)
    tag.bump(peer_of(1), 5)
    tag.bump(peer_of(2), 6)
    tag.remove(peer_of(1))
    assert (tags(around, 1), tags(around, 2)) == ({}, {"useful": 6})


def test_C20_close_takes_every_weight_frees_the_name_and_refuses_from_then_on(around: Around) -> None:
    count = 2 * SWEPT_PER_SLICE + 3
    around.open(*(make_link(number) for number in range(count)))
    tag = register(around)
    for number in range(count):
        tag.bump(peer_of(number), 5)
    tag.close().get(timeout=1)
    assert [each.value for each in around.conns.connections().get(timeout=1)] == [0] * count
    again = register(around)
    again.bump(peer_of(1), 1)
    assert tags(around) == {"useful": 1}
    assert tag.close().get(timeout=1) is None  # a second time
    assert tags(around) == {"useful": 1}


def test_C6_close_may_be_asked_for_twice_at_once(around: Around) -> None:
    tag = register(around)
    asked = [tag.close(), tag.close()]
    assert [reply.get(timeout=1) for reply in asked] == [None, None]
    around.simulation.close()
    around.simulation.close()


def test_C25_bump_before_a_close_is_gone_with_it(around: Around) -> None:
    tag = register(around)
    for _ in range(20):
        tag.bump(peer_of(1), 1)
    tag.close()  # all of it waits in one queue
    around.simulation.run(for_=5.0)
    assert tags(around) == {}


def test_C21_closed_tag_and_an_engine_that_is_gone_accept_no_bump(around: Around) -> None:
    tag, other = register(around), register(around, "other")
    tag.close()
    with pytest.raises(TagClosed, match="'useful' is closed"):
        tag.bump(peer_of(1), 1)
    with pytest.raises(TagClosed):
        tag.remove(peer_of(1))
    around.simulation.close()
    assert other.bump(peer_of(1), 1) is Feedback.CLOSED
    with pytest.raises(EngineGone):
        other.close().get(timeout=1)


def test_function_that_raises_is_counted_and_the_engine_lives_on(around: Around) -> None:
    tag = register(around, by=lambda value, _intervals, _now: value.value // 0)
    tag.bump(peer_of(1), 5)
    around.simulation.run(for_=3.0)
    assert tags(around) == {"useful": 5}
    assert around.counted("application_failures_total", "decaying_tag") == 3


def test_engine_without_decaying_tags_has_no_tick(around: Around) -> None:
    tag = register(around)
    tag.close()
    around.simulation.run(for_=3.0)
    assert "DecayTick" not in around.simulation.trace()
