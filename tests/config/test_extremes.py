"""Every number that can be configured, at the lowest and the highest that is accepted, and far beyond."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
import zmq

from rookery.actors.membership import swim
from rookery.actors.membership.config import _OVERRIDES
from rookery.config import ConfigError, Mistake, NodeConfig, load
from rookery.config.node import SHARED_KEYS
from rookery.node import Node, new
from rookery.runtime import Simulation
from rookery.runtime.settings import (
    MILLISECOND,
    Many,
    Maybe,
    One,
    Option,
    Problem,
    Section,
    Settings,
    SettingsError,
    declared,
    show_path,
)
from rookery.testing import SimulatedNodes, settings
from rookery.transport.wire.socket_waiter import SocketWaiter

Sections = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Number:
    """A setting that is a number."""

    path: tuple[str, str]
    shape: One
    option: Option

    @property
    def low(self) -> float:
        bounds = [bound for bound in (self.option.minimum, self.option.above) if bound is not None]
        assert bounds, "every number has a lower bound of its own"
        return bounds[0] if self.option.above is None else math.nextafter(bounds[0], math.inf)

    @property
    def high(self) -> float:
        high = self.shape.bounds(self.option).maximum
        assert high is not None
        return self.shape.type(high)

    def __str__(self) -> str:
        return ".".join(self.path)


def _numbers(kind: type[Settings], path: tuple[str, ...] = ()) -> Iterator[Number]:
    for setting in declared(kind):
        shape, here = setting.shape, (*path, setting.name)
        while isinstance(shape, (Maybe, Many)):
            shape = shape.inner if isinstance(shape, Maybe) else shape.item
        if isinstance(shape, Section):
            yield from _numbers(shape.settings, here)
        elif isinstance(shape, One) and shape.type in (int, float):
            section, key = here
            yield Number((section, key), shape, setting.option)


NUMBERS = tuple(_numbers(NodeConfig))
BY_NAME = {str(number): number for number in NUMBERS}
ALONE = "tracker.max_peers_per_set"
"""1 leaves room for the node itself."""
FIXED = {"resolver.key_length", "connections.low_water", "connections.high_water"}
"""Numbers that a node decides: what differs is refused."""
DAY = 86_400.0
LONGEST = BY_NAME["tracker.cooldown"].high
COUNT = 2**31 - 1
FEW = {"maintenance": {"min_connections": 0, "expected_connections": 1}}
SMALL = {"blobs": {"chunk_size": 128}}
BESIDE: Mapping[str, Sections] = {
    "transport.max_connections low": FEW,
    "maintenance.max_connections low": FEW,
    "maintenance.expected_connections low": {"maintenance": {"min_connections": 0}},
    "maintenance.min_connections high": {"maintenance": {"expected_connections": COUNT, "max_connections": COUNT}},
    "maintenance.expected_connections high": {"maintenance": {"max_connections": COUNT}},
    "transport.reserved_outbound high": {"transport": {"max_connections": COUNT}},
    "transport.max_message low": SMALL,
    "resolver.max_message low": SMALL,
    "transport.heartbeat_interval high": {
        "transport": {"heartbeat_interval": LONGEST - 1, "heartbeat_timeout": LONGEST}
    },
    "transport.heartbeat_timeout low": {
        "transport": {"heartbeat_interval": MILLISECOND, "heartbeat_timeout": 2 * MILLISECOND}
    },
    "tracker.backoff_initial high": {"tracker": {"backoff_cap": LONGEST}},
    "tracker.backoff_cap low": {"tracker": {"backoff_initial": MILLISECOND}},
    "discovery.interval low": {"discovery": {"floor": MILLISECOND}},
    "discovery.floor high": {"discovery": {"interval": LONGEST}},
    "membership.peer_set_delay high": {"membership": {"max_peer_set_delay": LONGEST}},
    "membership.max_peer_set_delay low": {"membership": {"peer_set_delay": 0}},
    "membership.probe_period low": {"membership": {"probe_period": 2 * MILLISECOND, "probe_rtt": MILLISECOND}},
    "membership.probe_rtt high": {"membership": {"probe_period": LONGEST, "probe_rtt": LONGEST - 1}},
    "resolver.request_rate high": {"resolver": {"request_rate": 5e8, "inbound_rate": 1e9}},
    "resolver.inbound_rate low": {"resolver": {"request_rate": 0.001, "inbound_rate": 0.002}},
    "resolver.request_burst high": {"resolver": {"request_burst": COUNT // 2, "inbound_burst": COUNT}},
    "resolver.inbound_burst low": {"resolver": {"request_burst": 1, "inbound_burst": 2}},
    "resolver.max_serves low": {"resolver": {"max_serves_per_peer": 1}},
    "resolver.max_serves_per_peer high": {"resolver": {"max_serves": COUNT}},
    "resolver.serve_timeout low": {"resolver": {"serve_timeout": 0.002}, "blobs": {"serve_patience": MILLISECOND}},
    "blobs.serve_patience high": {
        "resolver": {"serve_timeout": LONGEST},
        "blobs": {"serve_patience": LONGEST - 1},
    },
}
"""What a rule between settings wants to have beside an extreme, and the extreme itself where that rule moves it."""
ENDS = [(number, end) for number in NUMBERS if str(number) not in FIXED for end in ("low", "high")]


def sections(number: Number, end: str) -> dict[str, Any]:
    section, key = number.path
    made: dict[str, Any] = {section: {key: getattr(number, end)}}
    for name, values in BESIDE.get(f"{number} {end}", {}).items():
        made.setdefault(name, {}).update(values)
    return made


def save(folder: Path, values: Sections) -> Path:
    """The same as YAML."""
    file = folder / "node.yaml"
    file.write_text(yaml.safe_dump(values))
    return file


@pytest.fixture(scope="module", name="folder")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("node")
    new.make_node(folder, "")
    return folder


REAL = {"transport", "resolver", "blobs"}
"""Sections of which sockets and files make something; the quick suite starts nodes for these alone."""
STARTED = [pytest.param(*each, marks=[pytest.mark.full] * (each[0].path[0] not in REAL)) for each in ENDS]


@pytest.mark.parametrize(("number", "end"), STARTED, ids=str)
def test_number_at_its_end_starts_a_node(number: Number, end: str, folder: Path) -> None:
    with Node(load(save(folder, sections(number, end)))) as node:
        assert node.status().connected == 0


@pytest.mark.parametrize(("number", "end"), STARTED, ids=str)
def test_number_at_its_end_lets_two_nodes_meet_or_fail_to_without_harm(number: Number, end: str) -> None:
    with Simulation(1) as simulation:
        nodes = SimulatedNodes(simulation)
        alice = nodes.start("alice")
        nodes.start("bob", seeds=[] if str(number) == ALONE and end == "low" else [alice], **sections(number, end))
        nodes.run(1)
        nodes.all["bob"].connected()


def refusals(number: Number) -> Iterator[float]:
    whole = number.shape.type is int
    yield from (number.low - 1, number.high + 1) if whole else (number.low - 1, math.nextafter(number.high, math.inf))
    yield from (each for each in (2**31, 2**63, 2**64, 10**30, 10**400, 1e308) if each > number.high)
    yield from (math.inf, -math.inf, math.nan)


@pytest.mark.parametrize("number", NUMBERS, ids=str)
def test_number_beyond_its_ends_is_refused_in_the_file_and_in_code_alike(number: Number, folder: Path) -> None:
    section, key = number.path
    same = {str(number), *(show_path(key) for pair in SHARED_KEYS if number.path in pair for key in pair)}
    for value in refusals(number):
        wrong: dict[str, Any] = {section: {key: value}}
        with pytest.raises(ConfigError) as in_file:
            load(save(folder, wrong))
        with pytest.raises(SettingsError) as in_code:
            settings(**wrong)
        told: list[Mistake | Problem] = [*in_file.value.mistakes, *in_code.value.problems]
        for each in told:
            assert show_path(each.path) in {*same, key}, value
            assert each.allowed, value


@pytest.mark.parametrize("number", [each for each in NUMBERS if each.shape.unit == "seconds"], ids=str)
def test_duration_is_nothing_or_at_least_what_a_clock_counts(number: Number) -> None:
    assert number.low == 0 or number.low >= MILLISECOND


@pytest.mark.parametrize(
    "number",
    [each for each in NUMBERS if each.path[1] in _OVERRIDES and each.path[1] != "max_packet_size"],
    ids=str,
)
def test_number_beyond_its_ends_is_refused_by_the_members_core_too(number: Number) -> None:
    """What `Swim` is given while it runs; only its packets may be larger than what transport carries with records."""
    running = swim.Config.new_lan()
    for value in refusals(number):
        with pytest.raises(swim.InvalidConfigError, match=rf"^{number.path[1]}: .*must be a (whole )?number"):
            replace(running, **{number.path[1]: value})  # type: ignore[arg-type]  # each is a number


@pytest.mark.parametrize("number", sorted(FIXED))
def test_number_that_a_node_decides_is_refused_when_it_differs(number: str, folder: Path) -> None:
    section, key = BY_NAME[number].path
    both = {"low_water": 7, "high_water": 7} if section == "connections" else {key: 7}
    with pytest.raises(ConfigError, match=number):
        load(save(folder, {section: both}))


def test_wait_on_sockets_of_any_length_is_one_that_poll_takes() -> None:
    with zmq.Context() as context, context.socket(zmq.PAIR) as socket:
        waiter = SocketWaiter(socket)
        waiter.wake()
        waiter.wait(LONGEST)
        waiter.wake()
        waiter.wait(math.inf)
        waiter.close()
