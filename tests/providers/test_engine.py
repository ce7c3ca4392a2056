"""The engine: whether it takes part, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rookery.actors import providers
from rookery.transport import mailbox as transport

from .conftest import World

Make = Callable[..., World]
KEY = b"k" * 32


def test_node_that_does_not_take_part_says_and_asks_nothing(world: Make) -> None:
    there = world(5, enabled=False)
    there.mailbox.provide([KEY])
    there.mailbox.search(KEY)
    there.run(60)
    assert there.sent() == []
    assert there.net.control.received(transport.SendPacket) == []
    with pytest.raises(providers.NotTakingPart):
        there.mailbox.find(KEY).get(timeout=1)


@pytest.mark.parametrize(("key", "channel"), [(b"", 1), ("text", 1), (bytes(1025), 1), (KEY, 256), (KEY, -1)])
def test_what_can_be_no_key_is_refused_where_it_is_said(world: Make, key: bytes, channel: int) -> None:
    there = world(0)
    for call in (there.mailbox.search, there.mailbox.end_search, there.mailbox.find, there.mailbox.progress):
        with pytest.raises(ValueError, match="a key is|a channel is"):
            call(key, channel)
    with pytest.raises(ValueError, match="a key is|a channel is"):
        there.mailbox.provide([key], channel)


def test_node_takes_part_once_it_has_an_address(world: Make) -> None:
    there = world(0, unaddressed=True)
    assert there.mailbox.find(KEY).get(timeout=1).result.index_asked == 0
    there.own = there.record("me")
    there.run(1.1)
    assert there.mailbox.find(KEY).get(timeout=1).result.index_asked == 1
