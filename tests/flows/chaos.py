"""A small world in which everything happens at once, and what it must come to when it is left in peace.

Members find each other through one seed; the other nodes' applications say whom they track, among them somebody who has
the data. For some seconds random things are done to random nodes; then the network is whole, everybody runs, nobody is
blocked, every address is right. In the end every node has the newest peer set, its connections, and the data; but for
one that is no member, and whose few places are all taken by peers that have it neither.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rookery.actors import tracker
from rookery.actors.maintenance.core.goal import Bounds
from rookery.actors.resolver import FetchTimedOut
from rookery.runtime import Declined, EngineGone, Feedback, Message, Reply, Simulation
from rookery.testing import SimulatedNodes
from rookery.transport import PeerId
from tests.flows.flows import KEY, NOWHERE, VALUE, Larder, connected
from tests.flows.sweeper import LONGEST_ASK

TURMOIL = 12.0
PEACE = 240.0
FETCHING = 60.0
ROOMY: dict[str, Any] = {"min_connections": 2, "expected_connections": 4, "max_connections": 64}
TIGHT: dict[str, Any] = {"min_connections": 2, "expected_connections": 3, "max_connections": 6}


Action = Callable[["World"], None]


class Watch(tracker.Mailbox):
    """Hears of one node's peer sets."""

    def __init__(self, node: Any) -> None:
        super().__init__(f"watch-{node.name}")
        self.latest = tracker.PeerSet()
        node.tracker.subscribe(self, tracker.PeerSetUpdate)

    def tell(self, message: Message) -> Feedback:
        if isinstance(message, tracker.PeerSetUpdate):
            self.latest = message.latest
        return Feedback.OK


@dataclass
class World:
    """The nodes, and what has been done to them. is_tight: nodes take fewer connections than others want."""

    is_tight: bool
    rng: random.Random
    nodes: Any  # SimulatedNodes, or RealNodes
    patience: float = 20.0  # seconds that a fetch may take
    members: list[str] = field(default_factory=list)
    tracking: dict[str, list[str]] = field(default_factory=dict)  # by application node: whom
    sets: dict[str, Watch] = field(default_factory=dict)
    replies: list[Reply[Any]] = field(default_factory=list)
    done: dict[str, int] = field(default_factory=dict)

    # The cast --------------------------------------------------------------------------------------------------------

    def join(self, name: str) -> None:
        """A new member, or one that comes back."""
        if name in self.nodes.all:
            self._restart(name)
            return
        seeds = [self.nodes.all[self.members[0]]] if self.members else []
        self.members.append(name)
        producer = Larder() if len(self.members) <= 2 else self._larder()  # each of two needs the other
        find = {"find": True}
        node = self.nodes.start(name, seeds=seeds, producer=producer, maintenance=self._bounds, resolver=find)
        self.sets[name] = Watch(node)
        self._provide(name)

    def employ(self, name: str) -> None:
        """A new node whose application says whom it tracks, or one that comes back and is told again."""
        if name in self.nodes.all:
            self._restart(name)
        else:
            self.tracking[name] = []
            bounds = self._bounds | {"policy": "band"}  # with `all` a set larger than the bounds is refused
            source = {"source": "application"}
            node = self.nodes.start(
                name,
                producer=self._larder(),
                tracker=source,
                maintenance=bounds if self.is_tight else self._bounds,
                member=False,
            )
            self.sets[name] = Watch(node)
        self.track(name)

    def _restart(self, name: str) -> None:
        moves = self.rng.random() < 0.5 and name != self.members[0]  # everybody was told where the seed is
        node = self.nodes.restart(self.nodes.all[name], elsewhere=moves)
        self.sets[name] = Watch(node)
        self._provide(name)

    def _provide(self, name: str) -> None:
        """Whoever has the data says so, as a node does of its files."""
        if self.holds(name):
            self.nodes.all[name].providers.provide([KEY])

    @property
    def _bounds(self) -> dict[str, Any]:
        return TIGHT if self.is_tight else ROOMY

    def _larder(self) -> Larder | None:
        return Larder() if self.rng.random() < 0.7 else None

    def holds(self, name: str) -> bool:
        """Whether this node has the data."""
        return self.nodes.all[name].plan.producer is not None

    def track(self, name: str) -> None:
        """The next set of an application: some peers, at their addresses."""
        others = [other for other in self.nodes.all if other != name]
        chosen = self.rng.sample(others, min(len(others), self.rng.randint(1, 4)))
        if not any(map(self.holds, chosen)):
            chosen[0] = self.rng.choice(list(filter(self.holds, others)))
        self.tracking[name] = chosen
        self._track_again(name)

    def _track_again(self, name: str) -> None:
        node = self.nodes.all[name]
        peers = {self.nodes.all[other].peer: self.nodes.all[other].address for other in self.tracking[name]}
        self.done["tracks"] = number = self.done.get("tracks", 0) + 1
        self.replies.append(node.tracker.track(number, peers))

    # What happens ----------------------------------------------------------------------------------------------------

    def somebody(self) -> Any:
        return self.rng.choice(self.nodes.running)

    def peer_of(self, node: Any) -> PeerId:
        return self.rng.choice([other.peer for other in self.nodes.all.values() if other is not node])

    def act(self, actions: Sequence[Action]) -> None:
        """One random thing."""
        action = self.rng.choice(actions)
        self.done[action.__name__] = self.done.get(action.__name__, 0) + 1
        action(self)


def tracks(world: World) -> None:
    names = [name for name in world.tracking if not world.nodes.all[name].ended]
    if names:
        world.track(world.rng.choice(names))


def overwrites(world: World) -> None:
    node = world.somebody()
    world.replies.append(node.tracker.overwrite({world.peer_of(node): NOWHERE}))


def blocks(world: World) -> None:
    node = world.somebody()
    world.replies.append(node.tracker.block(world.peer_of(node), world.rng.uniform(0.5, 4.0)))


def unblocks(world: World) -> None:
    node = world.somebody()
    world.replies.append(node.tracker.unblock(world.peer_of(node)))


def trims(world: World) -> None:
    world.replies.append(world.somebody().connections.trim_open_connections(target=world.rng.randint(0, 2)))


def protects(world: World) -> None:
    node = world.somebody()
    node.connections.protect(world.peer_of(node), "chaos")


def leaves(world: World) -> None:
    if len(world.nodes.running) > 6:
        world.somebody().stop()


def crashes(world: World) -> None:
    if len(world.nodes.running) > 6:
        world.somebody().crash()


def comes_back(world: World) -> None:
    ended = [name for name, node in world.nodes.all.items() if node.ended]
    if ended:
        name = world.rng.choice(ended)
        world.join(name) if name in world.members else world.employ(name)


def joins(world: World) -> None:
    if len(world.nodes.all) < 30:
        name = f"n{len(world.nodes.all)}"
        world.join(name) if world.rng.random() < 0.6 else world.employ(name)


def fetches(world: World) -> None:
    world.replies.append(world.somebody().resolver.get(KEY, timeout=world.patience))


def parts(world: World) -> None:
    everybody = world.nodes.running
    side = world.rng.sample(everybody, len(everybody) // 3)
    world.nodes.partition(side, [node for node in everybody if node not in side])


def heals(world: World) -> None:
    world.nodes.heal()


ACTIONS: tuple[Action, ...] = (
    tracks, tracks, overwrites, blocks, blocks, unblocks, trims, trims, protects, leaves, crashes, comes_back,
    comes_back, comes_back, joins, fetches, fetches, fetches, fetches, parts, heals, heals,
)  # fmt: skip


def run(seed: int) -> str:
    """One world from its beginning to its peace; the digest. Raises AssertionError, or what an engine failed with."""
    with Simulation(seed) as simulation:
        world = World(seed % 4 == 3, random.Random(f"chaos {seed}"), SimulatedNodes(simulation))
        size = world.rng.choice((10, 10, 12, 14, 20))
        for number in range(size):
            world.join(f"n{number}") if number % 3 != 2 else world.employ(f"n{number}")
        world.nodes.run(5)
        while simulation.time < 5 + TURMOIL:
            world.act(ACTIONS)
            world.nodes.run(world.rng.uniform(0.0, 0.4))
        calm(world)
        world.nodes.run_until(lambda: is_at_peace(world), timeout=PEACE, every=2.0)
        world.nodes.run(30)
        assert is_at_peace(world), "the peace did not last"
        world.nodes.invariants.check_answered([node.runtime for node in world.nodes.running], LONGEST_ASK)
        assert all(reply.done for reply in world.replies), "somebody still waits for an answer"
        assert_fetched(world)
        return simulation.digest()


def calm(world: World) -> None:
    """Everybody runs, nothing is cut, nobody is blocked, every address is right, and there is room for everybody."""
    world.nodes.heal()
    for name, node in list(world.nodes.all.items()):
        if node.ended:
            world.join(name) if name in world.members else world.employ(name)
    right = {node.peer: node.address for node in world.nodes.all.values()}
    for node in world.nodes.running:
        for peer in right:
            if peer != node.peer:
                world.replies.append(node.tracker.unblock(peer))
        world.replies.append(node.tracker.overwrite(right))
    for name in world.tracking:
        if world.is_tight:  # the few that are listed may be full for as long as they have whom they need themselves
            world.tracking[name] = [other for other in world.nodes.all if other != name and world.holds(other)]
        world._track_again(name)


def is_at_peace(world: World) -> bool:
    """Members know exactly each other, everybody has the newest set, and every node has somebody of it.

    Applications have all the connections they asked for, if there is room for them.
    """
    everybody = world.nodes.all
    members = {everybody[name].peer for name in world.members}
    for name, node in everybody.items():
        others = {everybody[other].peer for other in world.tracking.get(name, world.members)} - {node.peer}
        if set(world.sets[name].latest.primary) != others or not node.connected() & others:
            return False
    for name in world.members:
        known = {member.peer for member in everybody[name].membership.members().get(timeout=5).active}
        if known != members - {everybody[name].peer}:
            return False
    wanted = ((name, other) for name, others in world.tracking.items() for other in others)
    return world.is_tight or connected(world.nodes, *wanted)


def assert_fetched(world: World) -> None:
    """What was asked for came whole, or with a reason; and now every node gets it."""
    for reply in world.replies:
        result = reply.result()
        assert result == VALUE or not isinstance(result, bytes)
        assert isinstance(result, Declined | EngineGone) or not isinstance(result, Exception), result
    everybody = world.nodes.all
    seconds = 3 * FETCHING if world.is_tight else FETCHING
    gets = {name: everybody[name].resolver.get(KEY, timeout=seconds) for name in everybody}
    world.nodes.run_until(lambda: all(get.done for get in gets.values()), timeout=seconds + 10, every=1.0)
    missed = {name: get.result() for name, get in gets.items() if get.result() != VALUE}
    assert {name: each for name, each in missed.items() if not is_out_of_reach(world, name, each)} == {}


def is_out_of_reach(world: World, name: str, result: object) -> bool:
    """Whether the bounds keep a node from the data that is no member, so that it cannot ask who has it.

    Its band is full of peers of its set, and none of them has it.
    """
    if name in world.members:
        return False
    everybody = world.nodes.all
    linked = everybody[name].connected()
    full = world.is_tight and len(linked) >= Bounds.of(*TIGHT.values()).max_threshold
    holders = {everybody[other].peer for other in everybody if world.holds(other)}
    return full and isinstance(result, FetchTimedOut) and not linked & holders
