"""A resolver that asks the providers who has what nobody connected has."""

from __future__ import annotations

from typing import Any

from rookery.actors.providers import EndSearch, Search
from rookery.actors.resolver.core import codec

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
    for _ in range(int(seconds * 20)):
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
