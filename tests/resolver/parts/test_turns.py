"""No turn is long, however much there is to do: what is left over is done in the next ones."""

from __future__ import annotations

import itertools
from typing import Any

from rookery.actors.resolver.parts.client import PEERS_PER_TURN, SENDS_PER_TURN, TIME_OUTS_PER_TURN
from rookery.transport import mailbox as transport

KEYS = [number.to_bytes(2, "big") for number in range(3 * TIME_OUTS_PER_TURN)]


def steps(rig: Any, measure: Any) -> list[int]:
    """By how much a figure grew with each message, while no time passed."""
    figures = [measure()]
    while rig.simulation.step_until(lambda: measure() > figures[-1], timeout=0):
        figures.append(measure())
    return [after - before for before, after in itertools.pairwise(figures)]


def test_time_outs_of_very_many_requests_come_in_slices_at_the_same_moment(rig: Any) -> None:
    data = rig.start("bob", key_length=2, max_requests_per_peer=1000, fetch_retry_delay=60.0)
    data.fetch_all(KEYS)
    assert len(rig.sent()) == len(KEYS)
    rig.simulation.run_until(lambda: rig.count("requests_total", "timed out"), timeout=1)
    first = rig.count("requests_total", "timed out")
    rest = steps(rig, lambda: rig.count("requests_total", "timed out"))
    assert [first, *rest] == [TIME_OUTS_PER_TURN] * 3
    assert rig.simulation.time == 1
    assert rig.count("requests_active") == 0


def test_one_turn_sends_fewer_requests_among_very_many_peers(rig: Any) -> None:
    names = [f"peer {number}" for number in range(256)]
    data = rig.start(*names, key_length=2)
    data.fetch_all(KEYS)
    sent = steps(rig, lambda: len(rig.net.control.received(transport.Send)))
    assert sum(sent) == len(KEYS)
    assert max(sent) == 1 + PEERS_PER_TURN // (1 + len(names)) < SENDS_PER_TURN
