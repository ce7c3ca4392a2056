"""What connections hears of the requests that are out."""

from typing import Any

import pytest

from rookery.actors import connections
from rookery.actors.resolver.core import codec
from rookery.runtime import Reply

KEYS = [bytes([number]) for number in range(4)]


def test_peer_is_busy_while_it_has_requests_of_ours(rig: Any) -> None:
    data = rig.start("bob")
    data.fetch_all(KEYS)
    requests = rig.sent()
    assert rig.busy() == {"bob": 4}
    for name, request in requests[:3]:
        rig.receive(name, codec.Response(request.id, b"value"))
    rig.simulation.settle()
    assert rig.busy() == {"bob": 1}
    rig.receive(requests[3][0], codec.Missing(requests[3][1].id))
    rig.simulation.settle()
    assert rig.busy() == {}


def test_answer_followed_by_the_next_request_says_nothing(rig: Any) -> None:
    data = rig.start("bob", max_requests_per_peer=1)
    data.fetch_all(KEYS)
    for _ in KEYS:
        rig.simulation.settle()
        assert rig.busy() == {"bob": 1}
        rig.answer(b"value")
    assert rig.busy() == {}
    assert len(rig.connections.control.received(connections.Busy)) == 2


@pytest.mark.parametrize("how", ["time-out", "link closed", "cancelled", "shutdown"])
def test_request_that_ends_in_any_way_makes_its_peer_less_busy(rig: Any, how: str) -> None:
    data = rig.start("bob")
    data.fetch_all(KEYS)
    rig.sent()
    assert rig.busy() == {"bob": 4}
    if how == "time-out":
        rig.simulation.run(for_=1.0)
    elif how == "link closed":
        rig.close("bob")
    elif how == "cancelled":
        data.clear()
    else:
        rig.simulation.close()
    if how != "shutdown":
        rig.simulation.settle()
    assert rig.busy() == {}


def test_what_others_ask_of_us_makes_nobody_busy(rig: Any) -> None:
    rig.producer.data = {KEYS[0]: Reply}
    rig.start("bob")
    rig.receive("bob", codec.Request(1, KEYS[0]))
    rig.simulation.settle()
    assert rig.connections.control.received(connections.Busy) == []
