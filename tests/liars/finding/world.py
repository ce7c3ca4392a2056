"""Honest nodes that are connected to few others, liars about who has which key among them, and what must hold.

    0 s     the honest nodes start and find each other, one of them secondary; each puts two files at 10 s
    15 s    the liars join, each with its strategy; at 17 s they are told which keys will be looked for
    25 s    one honest node after the other gets a file of another, every 2 s
            the liars are closed when the last file is here, or has not come in time
    + 5 s   two more get one

All the while, once a second:

* `had`: whoever gets a file that an honest node has, has it within 20 s, and 1.5 s later for each liar that says yes:
  each may be silent for so long in the one place for fetches that there is where all connections are taken.
* `dials`: a node does not dial in vain more often than its budget allows; a secondary one makes one connection a minute
  for each that asks for it.
* `knocks`: nobody dials an address that only others have named, nor that which liars claim for theirs above the budget.
* `blocked`: no honest node is blocked by another. Who was named falsely is not to blame.
* `charged`: no honest index member is passed over, unless liars have told it of keys that they then deny.
* `index`: a node keeps no more keys for others than its settings say.
* `work`: a node answers no peer more often than the limits of the protocol allow.

In the end:

* `unpunished`: who has sent rubbish is blocked by each node that got some; an index member that has named many falsely
  is passed over by those that it told.
* `size`: no node has grown by more than the liars may cost it.
* `members`: all honest nodes hold each other alive.
* `after`: without the liars a file comes within 20 s too.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rookery.actors import providers
from rookery.actors.blobs import GetReport
from rookery.actors.blobs.core.keys import BlobKey
from rookery.runtime import Feedback, Message, Reply, Simulation
from rookery.testing import SimulatedNodes, WholeNode
from rookery.transport import Address, Identity, PeerId
from rookery.transport.wire.simulated_wire import SimulatedInternet, SimulatedWire
from tests.liars import protocol
from tests.liars.invariants import Broken, held_bytes
from tests.liars.knowledge import Gang
from tests.liars.liar import Liar, Strategy, liars
from tests.liars.strategies.holders import CLAIMED_AT, NAMED_AT, Finder, SaysYes, SaysYesAndServesRubbish

PUT, LIARS_COME, WANTED, ASKING = 10.0, 15.0, 17.0, 25.0
GETS_AFTER = 2
GET_EVERY = 2.0
REST = 5.0  # seconds from the end of the liars to the next get
HAD_WITHIN, SILENT_FOR = 20.0, 1.5
DIALS, DIALS_AT_ONCE = 5.0, 10.0  # in vain, a second and at once
DIALLED_BACK = 1  # in a minute, whoever asks for it
MAX_KEYS, MAX_KEYS_OF_ONE = 4000, 1000
KEPT = MAX_KEYS
SECONDARY = 1  # the number of the honest node that nobody dials
ANSWERS = 64 + 200 + 256 + 5 * (20 + 50 + 128)  # to one peer within 5 s
MANY_FALSE = 24  # holders, after which an index member is passed over
COST_OF_A_LIAR = 256 * 1024  # bytes in one honest node
COST_OF_A_KEY = 400
BAND = {"min_connections": 2, "expected_connections": 3, "max_connections": 4}

Fault = Callable[["World"], object]


class Bystander(SimulatedWire):
    """Listens, is nobody's, and counts who knocks."""

    def __init__(self, internet: SimulatedInternet, address: str) -> None:
        """address: where it is."""
        self.knocks: Counter[str] = Counter()
        endpoint = Address.parse(address).endpoint
        name = f"bystander at {address}"
        super().__init__(internet, Identity.from_seed(bytes(32)), node=name, ip=endpoint.host, announce=lambda: None)
        self.bind(endpoint)

    def accept(self, dialler: Any, curve_key: bytes) -> None:
        """Somebody knocks."""
        self.knocks[dialler.wire.node] += 1
        super().accept(dialler, curve_key)


class Charges(providers.Mailbox):
    """Whom a node has passed over for naming falsely."""

    def __init__(self, node: WholeNode) -> None:
        super().__init__(f"charges-{node.name}")
        self.charged: list[PeerId] = []
        node.providers.subscribe(self, providers.NamesFalsely)

    def tell(self, message: Message) -> Feedback:
        if isinstance(message, providers.NamesFalsely):
            self.charged.append(message.peer)
        return Feedback.OK


@dataclass(frozen=True, slots=True, eq=False)
class Fetch:
    """A get of an honest node. within: the seconds that it may take. among_liars: they are there."""

    node: WholeNode
    holder: WholeNode
    key: BlobKey
    began: float
    reply: Reply[GetReport]
    within: float
    among_liars: bool


class World:
    """Use `run`."""

    def __init__(self, seed: int | str, size: int, strategies: Sequence[type[Strategy]], path: Path) -> None:
        """size: of honest nodes and liars together. path: of a folder for files."""
        self.rng = random.Random(f"finding {seed}")
        self.simulation = Simulation(seed)
        self.simulation.network.set_default(latency=0.05)
        self.nodes = SimulatedNodes(self.simulation)
        self.path = path
        self.strategies = strategies
        self.gang = Gang()
        self.gets: list[Fetch] = []
        self.due: list[Fetch] = []  # not done yet
        self.took: dict[Fetch, float] = {}  # seconds
        self.files: list[tuple[WholeNode, BlobKey]] = []
        self.liars: list[Liar] = []
        self.named_at, self.claimed_at = (Bystander(self.nodes.internet, at) for at in (NAMED_AT, CLAIMED_AT))
        self.honest: list[WholeNode] = []
        for number in range(size - len(strategies)):
            self.honest.append(
                self.nodes.start(
                    f"n{number}",
                    seeds=self.honest[:1],
                    maintenance=BAND,
                    providers={"max_keys": MAX_KEYS, "max_keys_per_provider": MAX_KEYS_OF_ONE},
                    membership={"tags": {"role": "secondary"} if number == SECONDARY else {}},
                )
            )
            self.run(0.3)
        self.charges = {node.name: Charges(node) for node in self.honest}

    @property
    def now(self) -> float:
        return self.simulation.time

    @property
    def everybody_lying(self) -> list[Liar]:
        return [each for liar in self.liars for each in (liar, *liar.helpers)]

    def put_files(self) -> None:
        """Two at each honest node."""
        for number in range(2 * len(self.honest)):
            node = self.honest[number % len(self.honest)]
            (self.path / "file").write_bytes(f"file {number}".encode() * 50)
            self.files.append((node, node.files.put(self.path / "file").get(timeout=5)))

    def admit_liars(self) -> None:
        """Each has joined at some honest node, from an IP of its own."""
        for liar in liars(self.nodes, self.strategies, self.gang):
            self.liars.append(liar)
            seed = self.rng.choice(self.honest)
            liar.start([(bytes(seed.peer), str(seed.address))])

    def say_what_is_wanted(self) -> None:
        """The liars know the keys."""
        hashes = [protocol.key_hash(protocol.BLOBS, key) for _, key in self.files]
        for liar in self.liars:
            liar.strategy.event(liar, "wanted", hashes)

    def get_next(self) -> None:
        """One node after the other, from one that it is not connected to, and that it has got nothing from before.

        Who is secondary has one place to dial from, and dials an asker back once a minute. So it asks for nothing, and
        is asked for nothing where liars that say yes may take the turn.
        """
        askers = [node for number, node in enumerate(self.honest) if number != SECONDARY]
        node = askers[len(self.gets) % len(askers)]
        got = {fetch.key for fetch in self.gets}
        before = {fetch.holder for fetch in self.gets if fetch.node is node}
        if self.num_saying_yes:
            before.add(self.honest[SECONDARY])
        there = [each for each in self.files if each[0] not in (node, *before) and each[1] not in got]
        holder, key = self.rng.choice([each for each in there if not node.is_connected_to(each[0])] or there)
        copy = self.path / f"copy {len(self.gets)}"
        among_liars = any(not liar.closed for liar in self.liars)
        fetch = Fetch(node, holder, key, self.now, node.files.get(key, copy), self.had_within, among_liars)
        self.gets.append(fetch)
        self.due.append(fetch)

    def run(self, seconds: float, look: Callable[[], object] = lambda: None) -> None:
        """Let time pass; `look` every second."""
        end = self.now + seconds
        while self.now < end - 1e-9:
            before = int(self.now + 1e-6)
            self.simulation.run(for_=min(0.25, end - self.now))
            for fetch in [fetch for fetch in self.due if fetch.reply.done]:
                self.due.remove(fetch)
                fetch.reply.result()
                self.took[fetch] = self.now - fetch.began
            if int(self.now + 1e-6) != before:
                look()

    @property
    def num_saying_yes(self) -> int:
        """Liars that say that they have everything."""
        return sum(not liar.closed and isinstance(liar.strategy, SaysYes) for liar in self.liars)

    @property
    def had_within(self) -> float:
        """Seconds in which a file comes."""
        return HAD_WITHIN + SILENT_FOR * self.num_saying_yes

    def close_liars(self) -> None:
        for liar in self.liars:
            liar.close()

    def close(self) -> None:
        self.close_liars()
        self.simulation.close()


class Looks:
    """`broken` has the worst case of each invariant that did not hold."""

    def __init__(self, world: World, until: Collection[str]) -> None:
        """until: invariants; once all of them are broken the trial may end."""
        self.world = world
        self.until = frozenset(until)
        self.broken: dict[str, Broken] = {}
        self.sizes = {node.name: held_bytes(node.runtime) for node in world.honest[:2]}
        self._failed: Counter[str] = Counter({node.name: _failed_dials(node) for node in world.honest})
        self._answers: dict[str, Counter[bytes]] = {}
        self._waited: dict[Fetch, float] = {}
        self._began = world.now

    def note(self, invariant: str, figure: float, words: str) -> None:
        before = self.broken.get(invariant)
        if before is None or figure > before.figure:
            when = self.world.now if before is None else before.when
            self.broken[invariant] = Broken(invariant, when, figure, words)

    def look(self) -> None:
        """Every second. Raises Seen once there is nothing more to see."""
        world, honest = self.world, {node.peer: node.name for node in self.world.honest}
        for fetch in world.gets:
            self._look_at_wait(fetch, world.took.get(fetch, world.now - fetch.began))
        framing = any(isinstance(liar.strategy, Finder) and liar.strategy.frames for liar in world.liars)
        for node in world.honest:
            for block in node.tracker.blocks().get(timeout=5):
                if isinstance(block.target, PeerId) and block.target in honest:
                    self.note("blocked", 1, f"{node.name} blocks {honest[block.target]}")
            for peer in world.charges[node.name].charged:
                if peer in honest and not framing:
                    self.note("charged", 1, f"{node.name} passes over {honest[peer]}")
            kept = node.counted("providers_kept_keys")
            if kept > KEPT:
                self.note("index", kept, f"keys that {node.name} keeps")
        if int(world.now) % 5 == 4:
            self._look_at_work()
        if self.until and self.until <= self.broken.keys():
            raise Seen

    def _look_at_wait(self, fetch: Fetch, seconds: float) -> None:
        if seconds > fetch.within and seconds > self._waited.get(fetch, 0.0):
            self._waited[fetch] = seconds
            stage = fetch.node.providers.progress(fetch.key).get(timeout=5)
            words = f"seconds that {fetch.node.name} waits for a file: {stage}"
            self.note("had" if fetch.among_liars else "after", seconds, words)

    def _look_at_work(self) -> None:
        world = self.world
        for liar in world.everybody_lying:
            if isinstance(liar.strategy, Finder):
                now, before = liar.strategy.answers.copy(), self._answers.get(liar.name, Counter())
                self._answers[liar.name] = now
                if (most := max((now - before).values(), default=0)) > ANSWERS:
                    self.note("work", most, f"answers within 5 s of one node to {liar.name}")
        seconds, honest = world.now - self._began, world.honest
        for node in honest:
            failed = _failed_dials(node) - self._failed[node.name]
            if failed > DIALS * seconds + DIALS_AT_ONCE:
                self.note("dials", failed, f"dials of {node.name} in {seconds:.0f} s that led nowhere")
            if world.named_at.knocks[node.name]:
                self.note("knocks", world.named_at.knocks[node.name], f"dials of {node.name} to a named address")
            if (knocks := world.claimed_at.knocks[node.name]) > DIALS * seconds + DIALS_AT_ONCE:
                self.note("knocks", knocks, f"dials of {node.name} in {seconds:.0f} s to an address that is claimed")
            asked = node.counted("providers_wants_total", "asked")
            if asked > DIALLED_BACK * (1 + seconds // 60) * len(world.gang.keys) + len(honest):
                self.note("dials", asked, f"connections that others have {node.name} make")

    def look_at_liars(self) -> None:
        """They have had their time."""
        world = self.world
        for node in world.honest:
            blocked = {block.target for block in node.tracker.blocks().get(timeout=5)}
            key, charged = bytes(node.peer), world.charges[node.name].charged
            for liar in world.liars:
                peer, strategy = liar.identity.peer, liar.strategy
                if isinstance(strategy, SaysYesAndServesRubbish) and key in strategy.served and peer not in blocked:
                    self.note("unpunished", 1, f"{liar.name} sent rubbish to {node.name}, which does not block it")
                many = isinstance(strategy, Finder) and strategy.charged and strategy.named[key] >= MANY_FALSE
                if many and peer not in charged:
                    self.note("unpunished", 1, f"{liar.name} named falsely, and {node.name} does not pass it over")
            others = {other.peer for other in world.honest if other is not node}
            alive = {each.peer for each in node.membership.members().get(timeout=5).active}
            if others - alive:
                self.note("members", len(others - alive), f"honest members that {node.name} does not hold alive")
            before = self.sizes.get(node.name)
            allowed = COST_OF_A_LIAR * max(1, len(world.everybody_lying)) + COST_OF_A_KEY * MAX_KEYS
            if before is not None and (grown := held_bytes(node.runtime) - before) > allowed:
                self.note("size", grown / 1024, f"KiB that {node.name} has grown")


def _failed_dials(node: WholeNode) -> int:
    dials = "transport_dials_total"
    return int(node.runtime.registry.total(dials) - node.counted(dials, "opened"))


class Seen(Exception):
    """What the trial was to see has come."""


def run(
    seed: int | str,
    size: int,
    strategies: Sequence[type[Strategy]],
    path: Path,
    *,
    fault: Fault = lambda _world: None,
    until: Collection[str] = (),
) -> tuple[World, dict[str, Broken]]:
    """The world as it was, which is closed, and the broken invariants by name.

    fault: done to the world before the liars come. until: see `Looks`.
    """
    world = World(seed, size, strategies, path)
    try:
        world.run(PUT - world.now)
        world.put_files()
        world.run(LIARS_COME - world.now)
        looks = Looks(world, until)
        fault(world)
        try:
            _live(world, looks)
        except Seen:
            pass
        return world, looks.broken
    finally:
        world.close()


def _live(world: World, looks: Looks) -> None:
    world.admit_liars()
    world.run(WANTED - world.now, looks.look)
    world.say_what_is_wanted()
    world.run(ASKING - world.now, looks.look)
    _get(world, looks, len(world.honest) - 1)
    looks.look_at_liars()
    world.close_liars()
    world.run(REST)
    _get(world, looks, GETS_AFTER)


def _get(world: World, looks: Looks, number: int) -> None:
    for _ in range(number):
        world.get_next()
        world.run(GET_EVERY, looks.look)
    while world.due and max(world.now - fetch.began - fetch.within for fetch in world.due) < 2:
        world.run(1.0, looks.look)
    for fetch in world.due:
        fetch.node.files.cancel(fetch.key)
        world.took[fetch] = world.now - fetch.began
    world.due.clear()
    looks.look()
