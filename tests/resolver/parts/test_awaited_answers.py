"""What transport hears of the answers that are to come over short-lived connections."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from rookery.actors.resolver.core import codec
from rookery.runtime import Reply
from rookery.transport import mailbox as transport

KEYS = [bytes([number]) for number in range(4)]


def awaited(rig: Any) -> dict[str, int]:
    """The connections over which answers are to come, as transport was told, and how often that was."""
    rig.simulation.settle()
    told = rig.net.control.received(transport.AnswersAwaited)
    sums: Counter[int] = Counter()
    for message in told:
        sums[message.link_id] += message.delta
    return {name: sums[link] for name, link in rig.links.items() if sums[link]}


def test_short_lived_connection_is_in_use_while_requests_are_out_and_of_others_nothing_is_said(rig: Any) -> None:
    data = rig.start()
    rig.peer_set("alice", "bob")
    rig.open("alice")
    rig.open("bob", short_lived=True)
    data.fetch_all(KEYS)
    requests = rig.sent()
    assert awaited(rig) == {"bob": 1}
    for name, request in requests:
        rig.receive(name, codec.Response(request.id, b"value"))
    assert awaited(rig) == {}
    assert len(rig.net.control.received(transport.AnswersAwaited)) == 2


def in_vain(rig: Any) -> list[bool | None]:
    rig.simulation.settle()
    return [message.in_vain for message in rig.net.control.received(transport.AnswersAwaited)]


def test_connection_is_in_vain_once_it_was_asked_and_until_data_comes_over_it(rig: Any) -> None:
    data = rig.start()
    rig.peer_set("bob")
    rig.open("bob", short_lived=True)
    for key, answer, said in [
        (KEYS[0], codec.Missing, [None, True]),
        (KEYS[1], codec.Response, [True, False]),
        (KEYS[2], codec.Missing, [False, False]),
    ]:
        before = len(in_vain(rig))
        data.fetch(key)
        ((name, request),) = rig.sent()
        rig.receive(name, answer(request.id, b"value") if answer is codec.Response else answer(request.id))
        data.cancel(key)
        assert in_vain(rig)[before:] == said


@pytest.mark.parametrize("how", ["time-out", "cancelled"])
def test_request_that_ends_without_an_answer_is_waited_for_no_more(rig: Any, how: str) -> None:
    data = rig.start(fetch_retry_delay=5.0)
    rig.peer_set("bob")
    rig.open("bob", short_lived=True)
    data.fetch(KEYS[0])
    assert awaited(rig) == {"bob": 1}
    if how == "cancelled":
        data.clear()
    else:
        rig.simulation.run(for_=1.5)
    assert awaited(rig) == {}


def test_connection_is_in_use_while_this_node_owes_an_answer(rig: Any) -> None:
    replies: list[Reply[bytes]] = []

    def later() -> Reply[bytes]:
        replies.append(Reply())
        return replies[-1]

    rig.producer.data = dict.fromkeys(KEYS, later)
    rig.start()
    rig.peer_set("bob")
    rig.open("bob", short_lived=True)
    for number in range(2):
        rig.receive("bob", codec.Request(number, KEYS[number], False))
    assert awaited(rig) == {"bob": 1}
    replies[0].set(b"value")
    assert awaited(rig) == {"bob": 1}
    replies[1].set(b"value")
    assert awaited(rig) == {}


def test_nothing_is_said_of_a_connection_that_is_gone(rig: Any) -> None:
    reply: Reply[bytes] = Reply()
    rig.producer.data = {KEYS[0]: lambda: reply}
    rig.start()
    rig.peer_set("bob")
    rig.open("bob", short_lived=True)
    rig.receive("bob", codec.Request(1, KEYS[0], False))
    assert awaited(rig) == {"bob": 1}
    rig.close("bob")
    rig.simulation.settle()
    reply.set(b"value")
    assert awaited(rig) == {"bob": 1}
