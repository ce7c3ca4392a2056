"""The simulated network: the uplink and the downlink of a node, which all its peers share."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.runtime import Simulation

NAMES = "abcd"
RATES = st.none() | st.floats(50, 5000)
PIECES = st.lists(
    st.tuples(st.floats(0, 0.5), st.sampled_from(NAMES), st.sampled_from(NAMES), st.integers(0, 1000)), max_size=40
)


class Traffic:
    """What is sent over a network, and when each piece left its sender and arrived."""

    def __init__(self, world: Simulation) -> None:
        self.world = world
        self.pieces: list[tuple[str, str, int, float]] = []  # source, target, bytes, when it was sent
        self.left: list[tuple[int, float]] = []  # number of the piece, when
        self.arrived: list[tuple[int, float]] = []

    def send(self, source: str, target: str, size: int, how: str = "carry") -> bool:
        number = len(self.pieces)
        self.pieces.append((source, target, size, self.world.time))

        def arrive() -> None:
            self.arrived.append((number, self.world.time))

        if how == "cast":
            return self.world.network.cast(source, target, size, arrive)
        return self.world.network.carry(
            source, target, size, arrive, lambda: self.left.append((number, self.world.time))
        )

    def times(self) -> list[float]:
        return [round(when, 9) for _, when in self.arrived]

    def bytes_to(self, target: str) -> int:
        return sum(self.pieces[number][2] for number, _ in self.arrived if self.pieces[number][1] == target)


@pytest.fixture
def traffic(simulated: Simulation) -> Traffic:
    simulated.network.set_default(latency=0.0)
    return Traffic(simulated)


def through(rate: float | None, offered: list[tuple[int, float, int]]) -> dict[int, float]:
    """When a line that never rests while something waits lets pieces (number, when, bytes) through."""
    done, free = {}, 0.0
    for number, when, size in offered:
        free = done[number] = max(when, free) + (0.0 if rate is None else size / rate)
    return done


@given(pieces=PIECES, uplinks=st.tuples(*[RATES] * 4), downlinks=st.tuples(*[RATES] * 4), latency=st.floats(0, 0.3))
def test_lines_are_neither_faster_than_their_rates_nor_ever_idle(
    pieces: list[tuple[float, str, str, int]],
    uplinks: tuple[float | None, ...],
    downlinks: tuple[float | None, ...],
    latency: float,
) -> None:
    world = Simulation(1)
    world.network.set_default(latency=latency)
    for name, uplink, downlink in zip(NAMES, uplinks, downlinks, strict=True):
        world.network.set_node(name, uplink=uplink, downlink=downlink)
    traffic = Traffic(world)
    for pause, source, target, size in pieces:
        world.run(for_=pause)
        traffic.send(source, target, size)
    world.run(for_=3000)
    left, arrived = dict(traffic.left), dict(traffic.arrived)
    assert len(left) == len(arrived) == len(pieces)
    for name, uplink, downlink in zip(NAMES, uplinks, downlinks, strict=True):
        sent = [(n, when, size) for n, (source, _, size, when) in enumerate(traffic.pieces) if source == name]
        assert {n: left[n] for n, *_ in sent} == pytest.approx(through(uplink, sent))
        come = [(n, when + latency, traffic.pieces[n][2]) for n, when in traffic.left if traffic.pieces[n][1] == name]
        assert {n: arrived[n] for n, *_ in come} == pytest.approx(through(downlink, come))


@given(st.integers(0, 2**32), PIECES)
def test_stream_keeps_its_order_and_loses_nothing_on_slow_lines_that_change_and_are_cut(
    seed: int, pieces: list[tuple[float, str, str, int]]
) -> None:
    world = Simulation(seed)
    rng = world.random("test")
    network = world.network
    network.set_default(latency=0.05, jitter=0.2, loss=0.2, bandwidth=5000)
    traffic = Traffic(world)
    accepted = []
    for number, (pause, source, target, size) in enumerate(pieces):
        name = rng.choice(NAMES)
        network.set_node(name, **{rng.choice(["uplink", "downlink"]): rng.choice([None, 100.0, 1000.0])})
        if rng.random() < 0.2:
            network.partition(name, rng.choice(NAMES), both=False)
        elif rng.random() < 0.3:
            network.heal()
        if traffic.send(source, target, size):
            accepted.append(number)
        world.run(for_=pause)
    network.heal()
    world.run(for_=3000)
    order = [number for number, _ in traffic.arrived]
    assert sorted(order) == accepted
    for source in NAMES:
        for target in NAMES:
            numbers = [number for number in order if traffic.pieces[number][:2] == (source, target)]
            assert numbers == sorted(numbers)


@pytest.mark.parametrize("how", ["carry", "cast"])
def test_two_peers_share_an_uplink_and_two_senders_a_downlink(traffic: Traffic, how: str) -> None:
    network = traffic.world.network
    network.set_node("a", uplink=1000)
    for number in range(20):
        traffic.send("a", "bc"[number % 2], 100, how)
    traffic.world.run(for_=1.05)
    assert (traffic.bytes_to("b"), traffic.bytes_to("c")) == (500, 500)
    traffic.world.run(for_=10)
    network.set_node("d", downlink=1000)
    for _ in range(10):
        traffic.send("b", "d", 100, how)
        traffic.send("c", "d", 100, how)
    before = len(traffic.arrived)
    traffic.world.run(for_=1.05)
    senders = [traffic.pieces[number][0] for number, _ in traffic.arrived[before:]]
    assert sorted(senders) == ["b"] * 5 + ["c"] * 5


@pytest.mark.parametrize("how", ["carry", "cast"])
def test_piece_passes_the_uplink_the_pair_and_the_downlink_one_after_the_other(traffic: Traffic, how: str) -> None:
    network = traffic.world.network
    network.set_node("a", uplink=1000)
    network.set_node("b", downlink=500)
    network.set_default(latency=0.25, bandwidth=2000)
    traffic.send("a", "b", 1000, how)
    traffic.world.run(for_=10)
    assert traffic.times() == [1.0 + 0.5 + 0.25 + 2.0]


def test_lines_of_a_node_do_not_slow_the_other_direction_or_other_nodes(traffic: Traffic) -> None:
    traffic.world.network.set_node("a", uplink=1)
    traffic.world.network.set_node("b", downlink=1)
    traffic.send("a", "b", 1000)
    traffic.send("c", "a", 1000)
    traffic.send("b", "c", 1000)
    traffic.world.run(for_=1)
    assert traffic.times() == [0.0, 0.0]


@pytest.mark.parametrize("line", ["uplink", "downlink"])
def test_change_of_a_line_counts_for_the_rest_of_what_is_passing_and_for_what_waits(
    traffic: Traffic, line: str
) -> None:
    network, node = traffic.world.network, "a" if line == "uplink" else "b"
    network.set_node(node, **{line: 100})
    for _ in range(4):
        traffic.send("a", "b", 1000)
    traffic.world.run(for_=5)
    network.set_node(node, **{line: 50})  # half of the first is through
    traffic.world.run(for_=15)
    network.set_node(node, **{line: 1000})  # a quarter of the second
    traffic.world.run(for_=1)
    network.set_node(node, **{line: None})
    traffic.world.run(for_=10)
    assert traffic.times() == [15.0, 20.75, 21.0, 21.0]


def test_setting_one_line_leaves_the_other_as_it_was(simulated: Simulation) -> None:
    network = simulated.network
    network.set_node("a", uplink=10)
    network.set_node("a", downlink=20)
    assert (network.access("a").uplink, network.access("a").downlink) == (10, 20)
    network.set_node("a", uplink=None)
    assert (network.access("a").uplink, network.access("a").downlink) == (None, 20)


def test_piece_that_comes_out_of_the_uplink_while_the_link_is_cut_waits_until_it_is_healed(traffic: Traffic) -> None:
    network = traffic.world.network
    network.set_node("a", uplink=100)
    for target in ("b", "c", "b"):
        traffic.send("a", target, 100)
    network.partition("a", "b")
    traffic.world.run(for_=10)
    assert traffic.arrived == [(1, 2.0)]
    assert [number for number, _ in traffic.left] == [1]
    network.heal()
    traffic.world.run(for_=1)
    assert traffic.arrived == [(1, 2.0), (0, 10.0), (2, 10.0)]


def test_datagram_that_comes_out_of_the_uplink_while_the_link_is_cut_is_lost(traffic: Traffic) -> None:
    network = traffic.world.network
    network.set_node("a", uplink=100)
    assert traffic.send("a", "b", 100, "cast")
    network.partition("a", "b")
    traffic.world.run(for_=2)
    network.heal()
    traffic.world.run(for_=2)
    assert traffic.arrived == []


def test_crash_loses_what_waits_for_the_uplink_and_leaves_the_line_to_the_next_life(traffic: Traffic) -> None:
    world, network = traffic.world, traffic.world.network
    node = world.node("a")
    network.set_node("a", uplink=100)
    network.set_default(latency=0.5)
    for _ in range(3):
        traffic.send("a", "b", 100)
    world.run(for_=1.25)
    node.crash()
    world.node("a")
    traffic.send("a", "b", 100)
    world.run(for_=10)
    assert traffic.arrived == [(0, 1.5), (3, 2.75)]


def test_crash_loses_what_a_cut_held_back_behind_the_uplink(traffic: Traffic) -> None:
    world, network = traffic.world, traffic.world.network
    node = world.node("a")
    network.set_node("a", uplink=100)
    traffic.send("a", "b", 100)
    network.partition("a", "b")
    world.run(for_=2)
    node.crash()
    network.heal()
    world.run(for_=2)
    assert traffic.arrived == []


def test_lost_piece_of_a_stream_passes_the_uplink_once_and_pays_with_time(traffic: Traffic) -> None:
    network = traffic.world.network
    network.set_default(loss=0.5, resend=1.0)
    network.set_node("a", uplink=1000)
    for _ in range(50):
        traffic.send("a", "b", 100)
    traffic.world.run(for_=60)
    gaps = {round(later - earlier, 9) for (_, earlier), (_, later) in pairwise(traffic.left)}
    assert gaps == {0.1}
    assert len(traffic.arrived) == 50
    assert max(when for _, when in traffic.arrived) > 5.5


@pytest.mark.parametrize("wrong", [{"uplink": 0}, {"downlink": -1}])
def test_line_with_an_impossible_rate_is_refused_and_changes_nothing(
    simulated: Simulation, wrong: dict[str, float]
) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is above 0"):
        simulated.network.set_node("a", **wrong)
    assert simulated.network.access("a").uplink is simulated.network.access("a").downlink is None
