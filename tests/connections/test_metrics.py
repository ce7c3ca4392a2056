"""What an operator sees: connections by state, trims by who wanted them, and why they fell short."""

from __future__ import annotations

from typing import Any

from rookery.transport.gatekeeper import Direction
from rookery.transport.reasons import Reason
from tests.connections.worlds import Around, make_link, peer_of


def test_metrics_count_connections_by_state_and_what_became_of_them(simulation: Any) -> None:
    around = Around(simulation, grace_period=5.0, silence_period=1.0)
    around.open(make_link(1), make_link(2, direction=Direction.IN), make_link(3))
    around.conns.protect(peer_of(1), "friend")
    around.conns.tag_peer(peer_of(9), "useful", 1)
    simulation.run(for_=1.0)
    assert around.counted("open") == 3
    assert [around.counted("state", state) for state in ("eligible", "in_grace", "protected")] == [0, 2, 1]
    assert (around.counted("temporary"), around.counted("protected_peers")) == (1, 1)
    simulation.run(for_=5.0)
    assert [around.counted("state", state) for state in ("eligible", "in_grace", "protected")] == [2, 0, 1]
    around.close(make_link(2), reason=Reason.LOST)
    assert [around.counted("opened_total", way) for way in ("in", "out")] == [1, 2]
    assert around.counted("closed_total", "lost") == 1
    assert around.counted("state", "eligible") == 1


def test_metrics_count_trims_by_trigger_how_long_they_took_and_how_many_they_closed(simulation: Any) -> None:
    around = Around(simulation, low_water=4, high_water=5, close_timeout=3.0)
    around.open(*(make_link(number) for number in range(6)))
    simulation.run(for_=10.0)  # in the background
    for number in range(6):
        if number in around.closings():
            around.close(make_link(number))
    around.trim(3)
    around.force(2)
    around.conns.trim_open_connections(1).get(timeout=60)  # nobody closes
    triggers = ("background", "explicit", "forced")
    assert [around.counted("trims_total", trigger) for trigger in triggers] == [1, 2, 1]
    assert [around.counted("trimmed_total", trigger) for trigger in triggers] == [2, 2, 1]
    assert around.counted("trim_seconds_total") == 3.0
    assert around.counted("closing") == 1
    assert around.counted("trims_short_total", "unclosed") == 1
