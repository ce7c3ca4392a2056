"""A resolver that asks the providers who has what nobody connected has."""

from __future__ import annotations

from typing import Any

import pytest

from rookery.actors.providers import EndSearch, HolderFound, Search
from rookery.actors.resolver.core import codec
from rookery.actors.resolver.core.fetching.stuck_keys import IN_VAIN

KEY, OTHER = b"k", b"o"


def searched(rig: Any) -> list[bytes]:
    rig.simulation.settle()
    found = rig.providers.control.received(Search)
    assert {message.channel for message in found} <= {16}
    return [message.data_key for message in found]


def ended(rig: Any) -> list[bytes]:
    rig.simulation.settle()
    return [message.data_key for message in rig.providers.control.received(EndSearch)]


def refuse(rig: Any, seconds: float) -> None:
    """Everybody who is asked in this time has no data."""
    for _ in range(round(seconds * 20)):
        for name, message in rig.sent():
            rig.receive(name, codec.Missing(message.id))
        rig.simulation.run(for_=0.05)


def test_key_is_searched_for_when_nobody_connected_has_it_and_no_more_once_it_is_here(rig: Any) -> None:
    data = rig.start("bob", "carol", find=True)
    data.fetch(KEY)
    assert searched(rig) == []
    refuse(rig, 1)
    assert searched(rig) == [KEY]
    assert ended(rig) == []
    rig.peer_set("bob", "carol", "dave")
    rig.open("dave")
    for _ in range(40):
        for name, message in rig.sent():
            answer = codec.Response(message.id, b"v") if name == "dave" else codec.Missing(message.id)
            rig.receive(name, answer)
        rig.simulation.run(for_=0.05)
    assert rig.consumer.values == [(KEY, b"v")]
    assert ended(rig) == [KEY]


def test_key_is_searched_for_at_once_when_nobody_is_connected(rig: Any) -> None:
    data = rig.start(find=True)
    rig.peer_set("bob")
    data.fetch_all([KEY, OTHER])
    assert sorted(searched(rig)) == [KEY, OTHER]
    assert rig.wants() == []


def test_search_ends_when_the_key_is_cancelled(rig: Any) -> None:
    data = rig.start(find=True)
    rig.peer_set("bob")
    data.fetch(KEY)
    searched(rig)
    data.cancel(KEY)
    assert ended(rig) == [KEY]


def test_key_with_targets_is_not_searched_for(rig: Any) -> None:
    data = rig.start(find=True)
    rig.peer_set("bob")
    data.fetch_targeted(KEY, [rig.peer("bob")])
    rig.simulation.run(for_=30)
    assert searched(rig) == []
    assert "bob" in rig.wants()


def test_resolver_searches_for_nothing_unless_it_is_told_to(rig: Any) -> None:
    data = rig.start()
    rig.peer_set("bob")
    data.fetch(KEY)
    refuse(rig, 1)
    assert searched(rig) == []
    assert "bob" in rig.wants()


def test_every_key_that_nobody_connected_has_is_searched_for_however_many_they_are(rig: Any) -> None:
    data = rig.start("bob", find=True)
    keys = [bytes([number]) for number in range(150)]
    data.fetch_all(keys)
    refuse(rig, 10)
    assert sorted(searched(rig)) == keys


def test_every_key_is_searched_for_when_nobody_is_connected_however_many_they_are(rig: Any) -> None:
    data = rig.start("bob", find=True)
    keys = [bytes([number]) for number in range(150)]
    data.fetch_all(keys[:100])
    rig.close("bob")
    data.fetch_all(keys[100:])
    rig.simulation.run(for_=1)
    assert sorted(searched(rig)) == keys


MANY = [f"peer-{number}" for number in range(20)]


def test_key_is_searched_for_once_three_of_many_have_not_got_it_and_the_others_are_asked_on(rig: Any) -> None:
    data = rig.start(*MANY, find=True)
    data.fetch(KEY)
    for _ in range(IN_VAIN):
        assert searched(rig) == []
        rig.answer(None)
        rig.simulation.run(for_=0.11)
    assert searched(rig) == [KEY]
    assert rig.asked()[0] in MANY


def test_key_is_searched_for_within_a_second_when_nobody_of_many_answers(rig: Any) -> None:
    data = rig.start(*MANY, find=True, fetch_timeout=5.0)
    data.fetch(KEY)
    rig.simulation.run(for_=1.0)
    assert searched(rig) == [KEY]
    assert 2 < len(rig.sent()) < 6


@pytest.mark.parametrize(("channel", "is_first"), [(16, True), (1, False)])
def test_who_was_found_to_have_a_key_is_the_first_to_be_asked_for_it(rig: Any, channel: int, is_first: bool) -> None:
    data = rig.start(*MANY[:-1], find=True)
    data.fetch(OTHER)
    refuse(rig, 5)  # so that each has answered before, which speaks for them
    data.cancel(OTHER)
    data.fetch(KEY)
    refuse(rig, 0.5)
    assert searched(rig) == [OTHER, KEY]
    rig.peer_set(*MANY)
    data.tell(HolderFound(channel, KEY, rig.peer(MANY[-1])))
    rig.open(MANY[-1])
    asked = []
    for _ in range(10):
        for name, message in rig.sent():
            asked.append(name)
            rig.receive(name, codec.Missing(message.id))
        rig.simulation.run(for_=0.05)
    assert (MANY[-1] in asked[:2]) == is_first, "one was under way"


def test_who_is_connected_and_comes_to_have_a_key_is_asked_at_once(rig: Any) -> None:
    data = rig.start("bob", "carol", find=True)
    data.fetch(KEY)
    refuse(rig, 20)
    rig.sent()
    data.tell(HolderFound(16, KEY, rig.peer("carol")))
    rig.simulation.run(for_=0.11)
    assert rig.answer(b"v") == "carol"
    assert rig.consumer.values == [(KEY, b"v")]


def test_search_that_is_over_leaves_nothing_behind(rig: Any) -> None:
    data = rig.start("bob", find=True)
    data.fetch(KEY)
    refuse(rig, 1)
    data.tell(HolderFound(16, KEY, rig.peer("bob")))
    data.cancel(KEY)
    data.tell(HolderFound(16, KEY, rig.peer("bob")))
    rig.simulation.settle()
    assert ended(rig) == [KEY]
