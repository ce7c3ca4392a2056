"""Whole nodes of which few are connected: every node gets what some node has."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import Any

import pytest

from rookery.actors import resolver
from rookery.actors.blobs import NobodyHasIt
from rookery.actors.blobs.core.keys import BlobKey
from rookery.actors.resolver import Delivery
from rookery.node.control.status import ConnectionRow, connection_rows
from rookery.runtime import Reply
from rookery.testing import SimulatedNodes, WholeNode
from rookery.transport.core.short_lived import IDLE

CHANNEL = 16
CONTENT = bytes(range(250)) * 4


class World:
    """So many nodes with these bounds, each a member; 50 ms from each to each. One of them has put a file."""

    def __init__(
        self,
        simulation: Any,
        path: Path,
        count: int,
        bounds: tuple[int, int, int],
        *,
        kind: type[WholeNode] = WholeNode,
    ) -> None:
        self.simulation = simulation
        self.path = path
        simulation.network.set_default(latency=0.05)
        self.nodes = SimulatedNodes(simulation, kind=kind)
        low, expected, high = bounds
        upkeep = {"min_connections": low, "expected_connections": expected, "max_connections": high}
        self.all: list[WholeNode] = []
        for number in range(count):
            seeds = self.all[:1]
            self.all.append(self.nodes.start(f"node-{number}", seeds=seeds, maintenance=upkeep))
            if number % 10 == 9:
                self.nodes.run(0.3)
        self.nodes.run(30)
        self.holder = self.all[count // 2]
        self.put(CONTENT)
        self.nodes.run(5)

    def put(self, content: bytes) -> None:
        """The holder has this file, which the others will ask for."""
        (self.path / "file").write_bytes(content)
        self.content = content
        self.key = self.holder.files.put(self.path / "file").get(timeout=5)

    def everybody_gets_it(self, *, within: float) -> list[float]:
        """All others ask at the same moment; the virtual seconds that each of them waited, in order."""
        start = self.simulation.time
        replies = {
            node: node.files.get(self.key, self.path / node.name) for node in self.nodes.running if node != self.holder
        }
        waited: dict[WholeNode, float] = {}
        while len(waited) < len(replies) and self.simulation.time < start + within:
            self.simulation.run(for_=0.1)
            waited |= {
                node: self.simulation.time - start
                for node, reply in replies.items()
                if node not in waited and reply.done
            }
        late = {
            node.name: str(node.providers.progress(self.key).get(timeout=5)) for node in replies if node not in waited
        }
        assert late == {}
        assert all((self.path / node.name).read_bytes() == self.content for node in replies)
        return sorted(waited.values())

    def everybody_gets_it_though(self, ended: set[str], *, down: float) -> list[float]:
        """All others ask, and these nodes crash while they do; after so long they are back and ask again.

        The virtual seconds that each waited since, in order; 0 if it had the file before.
        """
        replies = {node.name: self._ask(node) for node in self.all if node != self.holder}
        self.simulation.run(for_=0.2)
        assert sum(reply.done for reply in replies.values()) <= 2, "they are being asked"
        for name in ended:
            self.nodes.all[name].crash()
        self.simulation.run(for_=down)
        for name in sorted(ended):
            node = self.nodes.restart(self.nodes.all[name])
            if name == self.holder.name:
                self.holder = node
                self.put(self.content)  # what it had was in memory
            else:
                replies[name] = self._ask(node)
        start = self.simulation.time
        waited: dict[str, float] = {}
        while len(waited) < len(replies) and self.simulation.time < start + 20:
            waited |= {name: self.simulation.time - start for name in replies if self._has(name) and name not in waited}
            self.simulation.run(for_=0.1)
        assert set(replies) - set(waited) == set()
        return sorted(waited.values())

    def _ask(self, node: WholeNode) -> Reply[Any]:
        (self.path / node.name).unlink(missing_ok=True)
        return node.files.get(self.key, self.path / node.name)

    def _has(self, name: str) -> bool:
        return (self.path / name).exists() and (self.path / name).read_bytes() == self.content

    def index_members(self) -> list[WholeNode]:
        """Those that keep the file's place in the index, as one of them sees it."""
        return [node for node in self.all if node.counted("providers_received_total", "provide")]


def test_every_node_gets_what_one_of_24_has_though_each_has_few_connections(simulation: Any, tmp_path: Path) -> None:
    world = World(simulation, tmp_path, 24, (2, 4, 6))
    assert max(len(node.connected()) for node in world.all) <= 6
    waited = world.everybody_gets_it(within=20)
    assert waited[len(waited) // 2] <= 5


def short_lived(world: World) -> list[ConnectionRow]:
    """Of all nodes."""
    rows = [connection_rows(node.connections.connections().get(timeout=5)) for node in world.all]
    return [row for each in rows for row in each if row.short_lived]


@pytest.mark.parametrize("count", [10, pytest.param(24, marks=pytest.mark.full)])
def test_nodes_whose_bands_are_full_fetch_and_serve_in_places_beside_them(
    simulation: Any, tmp_path: Path, count: int
) -> None:
    world = World(simulation, tmp_path, count, (2, 2, 2))
    before = {node.name: node.connected() for node in world.all}
    numbers = sorted(len(connected) for connected in before.values())
    assert numbers[2:] == [2] * (count - 2), "two may find nobody else with room"
    world.everybody_gets_it(within=30)
    assert short_lived(world), "as an operator sees them"
    world.nodes.run(15)
    assert not short_lived(world)
    for node in world.all:
        assert node.connected() >= before[node.name], "what was for fetches ended, and nothing else"
        assert len(node.connected()) <= 2


def test_node_for_which_nobody_has_had_room_for_long_fetches_as_soon_as_others(simulation: Any, tmp_path: Path) -> None:
    world = World(simulation, tmp_path, 4, (3, 3, 3))
    upkeep = {"min_connections": 2, "expected_connections": 3, "max_connections": 4}
    late = world.nodes.start("late", seeds=world.all[:1], maintenance=upkeep)
    world.nodes.run(120)
    assert not late.connected()
    reply = late.files.get(world.key, tmp_path / "late")
    world.nodes.run(5)
    assert reply.done
    assert (tmp_path / "late").read_bytes() == world.content


def test_every_node_gets_it_though_index_members_are_gone_and_a_tenth_of_the_packets(
    simulation: Any, tmp_path: Path
) -> None:
    world = World(simulation, tmp_path, 24, (2, 4, 6))
    simulation.network.set_default(loss=0.1)
    gone = [node for node in world.index_members() if node not in (world.holder, world.all[0])][:2]
    assert gone
    for node in gone:
        node.crash()
    world.everybody_gets_it(within=40)


def test_holder_that_was_restarted_is_found_again(simulation: Any, tmp_path: Path) -> None:
    world = World(simulation, tmp_path, 12, (2, 3, 4))
    fetched = world.all[1].files.get(world.key, tmp_path / "copy")
    world.nodes.run_until(lambda: fetched.done, timeout=20)
    world.nodes.restart(world.holder)  # what it had was in memory
    world.nodes.run(40)
    asked = world.all[2].files.get(world.key, tmp_path / "another")
    world.nodes.run_until(lambda: asked.done, timeout=20)
    assert (tmp_path / "another").read_bytes() == CONTENT


def test_holder_that_is_restarted_is_asked_at_once_by_who_waits_for_what_it_has(
    simulation: Any, tmp_path: Path
) -> None:
    world = World(simulation, tmp_path, 8, (2, 2, 2))
    asker = next(node for node in world.all[1:] if not node.is_connected_to(world.holder))
    world.holder.crash()
    world.nodes.run(30)
    reply = asker.files.get(world.key, tmp_path / "copy")
    world.nodes.run(40)
    world.holder = world.nodes.restart(world.holder)
    world.put(CONTENT)  # what it had was in memory
    world.nodes.run(4)
    assert reply.done


def test_get_of_what_nobody_has_ends_with_who_was_asked(simulation: Any, tmp_path: Path) -> None:
    world = World(simulation, tmp_path, 12, (2, 3, 4))
    reply = world.all[3].files.get(BlobKey(b"n" * 32), tmp_path / "copy", wait=False)
    with pytest.raises(NobodyHasIt, match=r"asked [23] index members and 11 of 11 members; nobody has it"):
        reply.get(timeout=20)


def test_holder_that_hangs_is_named_by_who_looks_for_what_it_has(simulation: Any, tmp_path: Path) -> None:
    world = World(simulation, tmp_path, 8, (2, 2, 2))
    asker = next(node for node in world.all[1:] if not node.is_connected_to(world.holder))
    world.nodes.partition([world.holder], [node for node in world.all if node != world.holder])
    found = asker.providers.find(world.key)
    reply = asker.files.get(world.key, tmp_path / "copy", wait=False)
    world.nodes.run(15)
    assert found.get(timeout=0).result.silent == (world.holder.peer,)
    said = f"nobody that answered has it; {world.holder.peer.short} was named and did not answer"
    with pytest.raises(NobodyHasIt, match=said):
        reply.get(timeout=0)


def test_find_lists_who_has_a_file(simulation: Any, tmp_path: Path) -> None:
    world = World(simulation, tmp_path, 12, (2, 3, 4))
    found = world.all[3].providers.find(world.key).get(timeout=20)
    assert [each.peer for each in found.holders] == [world.holder.peer]
    assert found.holders[0].address == world.holder.address


def test_member_that_is_private_is_asked_nothing_and_says_so_in_its_tags(simulation: Any, tmp_path: Path) -> None:
    nodes = SimulatedNodes(simulation)
    first = nodes.start("first")
    others = [nodes.start(f"node-{number}", seeds=[first]) for number in range(3)]
    quiet = nodes.start("quiet", seeds=[first], tracker={"admission": "private"})
    nodes.run(20)
    (tmp_path / "file").write_bytes(CONTENT)
    key = quiet.files.put(tmp_path / "file").get(timeout=5)
    nodes.run(5)
    assert quiet.config.membership.tags == {"providers": "none"}
    assert sum(node.counted("providers_received_total", "provide") for node in [first, *others]) == 0
    found = others[0].providers.find(key).get(timeout=20)
    assert found.holders == ()
    assert found.result.members == 3


class Archive:
    """Documents by their hash."""

    def __init__(self) -> None:
        self.documents: dict[bytes, bytes] = {}

    def produce(self, key: bytes) -> bytes | None:
        return self.documents.get(key)

    def deliver(self, delivery: Delivery, value: bytes) -> bool:
        self.documents[delivery.key] = value
        return hashlib.sha256(value).digest() == delivery.key


class ArchiveNode(WholeNode):
    """A node with a resolver of its own, whose keys it provides."""

    def add_actors(self) -> None:
        self.archive = Archive()
        self.documents = self.start_actor(
            resolver.Engine,
            resolver.Config(find=True),
            mailbox=self.runtime.mailbox(resolver.Mailbox, "documents"),
            channel=CHANNEL,
            producer=self.archive,
            consumer=self.archive,
        )


def test_node_that_does_not_take_part_wishes_for_connections_as_without_providers(simulation: Any) -> None:
    nodes = SimulatedNodes(simulation, kind=ArchiveNode)
    others: list[Any] = [nodes.start("first"), nodes.start("second")]
    upkeep = {"policy": "band", "min_connections": 1, "expected_connections": 1, "max_connections": 4}
    apart: Any = nodes.start("apart", tracker={"source": "application"}, maintenance=upkeep, member=False)
    apart.tracker.track(1, {node.peer: node.address for node in others}).get(timeout=5)
    nodes.run_until(apart.connected, timeout=20)
    unlinked: Any
    (unlinked,) = [node for node in others if node.peer not in apart.connected()]
    document = b"minutes"
    key = hashlib.sha256(document).digest()
    unlinked.archive.documents[key] = document
    apart.documents.fetch(key)
    nodes.run_until(lambda: key in apart.archive.documents, timeout=20)


def test_every_node_gets_what_an_application_provides(simulation: Any, tmp_path: Path) -> None:
    world = World(simulation, tmp_path, 12, (2, 3, 4), kind=ArchiveNode)
    there = [node for node in world.all if isinstance(node, ArchiveNode)]
    document = b"minutes of the last meeting"
    key = hashlib.sha256(document).digest()
    there[6].archive.documents[key] = document
    there[6].providers.provide([key], CHANNEL)
    world.nodes.run(5)
    for node in there:
        node.documents.fetch(key)
    world.nodes.run_until(lambda: all(key in node.archive.documents for node in there), timeout=20)


def test_nodes_own_resolver_finds_what_an_application_provides_if_it_is_set_to(simulation: Any) -> None:
    nodes = SimulatedNodes(simulation)
    document = b"minutes of the last meeting"
    key = hashlib.sha256(document).digest()
    archive = Archive()
    archive.documents[key] = document
    few = {"min_connections": 1, "expected_connections": 1, "max_connections": 1}
    first = nodes.start("first", maintenance=few)
    others = [nodes.start(f"node-{n}", seeds=[first], maintenance=few, resolver={"find": True}) for n in range(6)]
    holder = nodes.start("holder", seeds=[first], maintenance=few, producer=archive)
    holder.providers.provide([key])
    nodes.run(20)
    far = next(node for node in others if not node.is_connected_to(holder))
    assert far.resolver.get(key, timeout=20).get(timeout=30) == document
    assert far.counted("providers_searches_total", "found") >= 1


class SlowArchive(Archive):
    """Each document is brought from the cellar, which takes longer than a connection may be idle."""

    def __init__(self, simulation: Any) -> None:
        super().__init__()
        self._simulation = simulation

    def produce(self, key: bytes) -> Any:
        reply: Reply[bytes | None] = Reply()
        self._simulation.call_at(self._simulation.time + IDLE + 3, lambda: reply.set(self.documents.get(key)))
        return reply


def test_short_lived_connection_lasts_until_a_slow_holder_has_answered(simulation: Any) -> None:
    nodes = SimulatedNodes(simulation)
    archive = SlowArchive(simulation)
    keys = [hashlib.sha256(document).digest() for document in (b"minutes", b"accounts")]
    archive.documents = dict(zip(keys, (b"minutes", b"accounts"), strict=True))
    few = {"min_connections": 1, "expected_connections": 1, "max_connections": 1}
    patient = {"find": True, "fetch_timeout": 20.0, "serve_timeout": 15.0}
    first = nodes.start("first", maintenance=few)
    others = [nodes.start(f"node-{n}", seeds=[first], maintenance=few, resolver=patient) for n in range(6)]
    holder = nodes.start("holder", seeds=[first], maintenance=few, resolver=patient, producer=archive)
    holder.providers.provide(keys)
    nodes.run(20)
    far = next(node for node in others if not node.is_connected_to(holder))
    replies = [far.resolver.get(key, timeout=60) for key in keys]
    nodes.run(IDLE + 3 + 5)
    assert [reply.get(timeout=0) for reply in replies] == list(archive.documents.values())
    nodes.run(IDLE + 2)
    assert not far.is_connected_to(holder), "it ends when nothing is to come any more"


@pytest.mark.parametrize(
    ("count", "bounds", "down", "seed"),
    [
        (12, (2, 3, 4), 3.0, 0),
        *(
            pytest.param(count, bounds, down, seed, marks=[pytest.mark.full, pytest.mark.timeout(900)])
            for count, bounds, seeds in ((24, (2, 4, 6), 20), (100, (4, 8, 12), 2))
            for down in (0.0, 3.0)
            for seed in range(1, 1 + seeds)
        ),
    ],
)
def test_every_node_gets_it_though_holder_index_members_and_a_tenth_restart_while_they_are_asked(
    simulation: Any, tmp_path: Path, count: int, bounds: tuple[int, int, int], down: float, seed: int
) -> None:
    world = World(simulation, tmp_path, count, bounds)
    simulation.network.set_default(loss=0.1)
    needed = {world.holder.name, *(node.name for node in world.index_members())}
    others = sorted({node.name for node in world.all[1:]} - needed)
    waited = world.everybody_gets_it_though({*needed, *random.Random(seed).sample(others, count // 10)}, down=down)
    assert waited[len(waited) // 2] <= 5


@pytest.mark.full
@pytest.mark.timeout(900)  # of the hundred each takes over a minute of a core
@pytest.mark.parametrize(
    ("count", "bounds", "seed"),
    [*((24, (2, 4, 6), seed) for seed in range(20)), *((100, (4, 8, 12), seed) for seed in range(3))],
)
def test_every_node_gets_it_also_while_others_are_restarted(
    simulation: Any, tmp_path: Path, count: int, bounds: tuple[int, int, int], seed: int
) -> None:
    world = World(simulation, tmp_path, count, bounds)
    assert world.everybody_gets_it(within=20)
    rng = random.Random(seed)
    for node in rng.sample([node for node in world.all[1:] if node != world.holder], count // 10):
        world.nodes.restart(node)
    world.put(CONTENT[::-1])
    world.everybody_gets_it(within=40)
