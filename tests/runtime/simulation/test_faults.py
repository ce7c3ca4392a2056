"""The simulated network: latency, jitter, loss, duplication, bandwidth, partitions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.runtime import Link, Simulation


class Wire:
    """Sends numbered pieces from a to b and writes down when they arrive."""

    def __init__(self, world: Simulation, how: str = "carry", source: str = "a", target: str = "b") -> None:
        self.world = world
        self.arrived: list[tuple[int, float]] = []
        self._send = getattr(world.network, how)
        self._ends = (source, target)

    def send(self, number: int, size: int = 100) -> bool:
        sent: bool = self._send(*self._ends, size, lambda: self.arrived.append((number, round(self.world.time, 9))))
        return sent

    @property
    def order(self) -> list[int]:
        return [number for number, _ in self.arrived]


def test_latency_delays_every_piece(simulated: Simulation) -> None:
    simulated.network.set_default(latency=0.25)
    wire = Wire(simulated)
    wire.send(1)
    simulated.run(for_=1)
    assert wire.arrived == [(1, 0.25)]


@given(st.integers(0, 2**32), st.lists(st.floats(0, 0.3), max_size=30))
def test_stream_keeps_its_order_and_loses_nothing_under_jitter_and_loss(seed: int, pauses: list[float]) -> None:
    world = Simulation(seed)
    world.network.set_default(latency=0.1, jitter=0.5, loss=0.3)
    wire = Wire(world)
    for number, pause in enumerate(pauses):
        wire.send(number)
        world.run(for_=pause)
    world.run(for_=60)
    assert wire.order == list(range(len(pauses)))


def test_stream_pays_for_loss_with_time(simulated: Simulation) -> None:
    simulated.network.set_default(latency=0.0, loss=0.5, resend=1.0)
    wire = Wire(simulated)
    for number in range(50):
        wire.send(number)
    simulated.run(for_=60)
    assert len(wire.arrived) == 50
    assert max(when for _, when in wire.arrived) >= 1.0


def test_datagrams_are_lost_at_the_given_rate(simulated: Simulation) -> None:
    simulated.network.set_default(loss=0.3)
    wire = Wire(simulated, "cast")
    assert [wire.send(number) for number in range(2000)] == [True] * 2000
    simulated.run(for_=1)
    assert 1300 < len(wire.arrived) < 1500


def test_datagrams_are_doubled_at_the_given_rate(simulated: Simulation) -> None:
    simulated.network.set_default(duplicate=0.5)
    wire = Wire(simulated, "cast")
    for number in range(1000):
        wire.send(number)
    simulated.run(for_=1)
    assert set(wire.order) == set(range(1000))
    assert 1400 < len(wire.arrived) < 1600


def test_datagrams_overtake_each_other_under_jitter(simulated: Simulation) -> None:
    simulated.network.set_default(jitter=1.0)
    wire = Wire(simulated, "cast")
    for number in range(20):
        wire.send(number)
    simulated.run(for_=5)
    assert wire.order != sorted(wire.order)
    assert sorted(wire.order) == list(range(20))


@pytest.mark.parametrize("how", ["carry", "cast"])
def test_bandwidth_sends_one_piece_after_the_other(simulated: Simulation, how: str) -> None:
    simulated.network.set_default(latency=0.5, bandwidth=1000)
    wire = Wire(simulated, how)
    for number in range(3):
        wire.send(number, size=1000)
    simulated.run(for_=10)
    assert wire.arrived == [(0, 1.5), (1, 2.5), (2, 3.5)]


@pytest.mark.parametrize("how", ["carry", "cast"])
def test_partition_cuts_both_ways_or_one_until_healed(simulated: Simulation, how: str) -> None:
    there, back = Wire(simulated, how), Wire(simulated, how, "b", "a")
    network = simulated.network
    network.partition(["a"], ["b", "c"])
    assert (there.send(1), back.send(1)) == (False, False)
    network.heal()
    network.partition(["a"], ["b"], both=False)
    assert (there.send(2), back.send(2)) == (False, True)
    network.heal()
    assert (there.send(3), back.send(3)) == (True, True)
    simulated.run(for_=1)
    assert (there.order, back.order) == ([3], [2, 3])


def test_partition_lets_arrive_what_was_on_its_way(simulated: Simulation) -> None:
    wire = Wire(simulated)
    wire.send(1)
    simulated.network.partition(["a"], ["b"])
    simulated.run(for_=1)
    assert wire.order == [1]


def test_change_of_links_is_told_once_per_change(simulated: Simulation) -> None:
    changes: list[str] = []
    simulated.network.on_change(lambda: changes.append("changed"))
    simulated.network.partition(["a", "b"], ["c", "d"])
    simulated.network.heal()
    assert len(changes) == 2


def test_link_set_for_a_pair_outlasts_the_default(simulated: Simulation) -> None:
    network = simulated.network
    network.set_link("a", "b", both=False, latency=1.0)
    network.set_default(latency=2.0)
    assert (network.link("a", "b").latency, network.link("b", "a").latency) == (1.0, 2.0)


def test_link_that_loses_everything_carries_no_stream_and_no_datagram(simulated: Simulation) -> None:
    arrived: list[str] = []
    simulated.network.set_default(loss=1.0)
    assert not simulated.network.carry("a", "b", 1, lambda: arrived.append("stream"))
    assert simulated.network.cast("a", "b", 1, lambda: arrived.append("datagram"))  # its sender cannot know
    simulated.run(for_=10)
    assert arrived == []


@pytest.mark.parametrize(
    "wrong", [{"latency": -1}, {"jitter": -1}, {"loss": 1.1}, {"duplicate": -0.1}, {"bandwidth": 0}, {"resend": -1}]
)
def test_link_with_impossible_values_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Link(**wrong)  # type: ignore[arg-type]
