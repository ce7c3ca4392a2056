"""What must be true of honest nodes whoever lies to them; each broken one is noted with its figure.

While the liars are there, once a second:

* `false down`: nobody holds somebody Down, or has forgotten them, for longer than 5 s whom it can reach.
* `death`: who has crashed is Down everywhere 20 s later; a node that did not know it may be told of it, once. Not where
  three of four keys lie, and pass on no news: there a node has to find out by itself, in a round of all members.
* `renewed`: nobody goes on under a new generation, but for the partition.
* `incarnation`: nobody's incarnation is raised beyond what refuting costs.
* `newcomer`: one with an honest contact sees all others, is seen, and has connections with honest ones 20 s later:
  three, or one where the keys of liars are more than those of honest nodes.
* `fetch`: fetches succeed; who never answers costs a node 5 s once.
* `size`, `list`, `backlog`: the memory of an honest node, the members that it lists, and the updates that wait stay
  within what its peers may cost it.
* `work`: what a node answers a liar stays within the quotas, and so do the records that it verifies for liars.
* `slots`: while more than half of the inbound slots are taken, one IP has at most a quarter of them.
* `unpunished`: who signs two lives of one generation ends blocked by each node that is there all the while.
* `dials`: a node does not dial what liars invent more often than its budget allows.

30 s after they are closed: `after: pairs`, `after: fetch`, `after: newcomer`, `after: size`; `after: remembered`: of
their keys those that were there for a moment and left are forgotten.
"""

from __future__ import annotations

import sys
import types
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from typing import Any

from rookery.actors import membership
from rookery.actors.membership.swim import State
from rookery.runtime import Mailbox, Runtime
from rookery.testing import WholeNode
from rookery.transport import Direction
from rookery.transport.wire.simulated_wire import SimulatedWire
from tests.liars.world import World

DOWN_FOR = 5.0
DEATH_SEEN = 20.0
GREETED_FOR = 7  # seconds for which somebody is shown as alive of whom a node is told for the first time
JOINED_WITHIN = 8.0  # after a start, until the 5 s begin
HEALED_WITHIN = 5.0  # after a partition, until the 5 s begin
RENEWALS = 2
INCARNATION = 100
PER_INTRODUCER = 64
COST_OF_A_LIAR = 256 * 1024  # bytes in one honest node
ANSWERS = 5500  # frames to one liar in 5 s: what the quotas let through at once, and 500 a second
DIALS = 5.0  # a second
IP_SHARE = 0.25  # of the inbound slots, for one IP while more than twice as many are taken
RECORDS = 75  # that are verified, a second, for each liar: 1 % of a core
FETCH_TIMEOUT = 5.0
GROWTH = 1.2
MEMBER = 4096  # bytes that one more member takes in all engines, also when it is dead and remembered
REMEMBERED = 96 * 1024  # bytes in which a node may remember for a minute or two whom it has seen off
FORGOTTEN_AFTER = 75.0  # seconds from a farewell of who was there for a moment
SPEED = 0.5  # seconds that the median fetch may take longer than before


@dataclass(frozen=True, slots=True)
class Broken:
    """One invariant that did not hold. figure: of what is named in its words."""

    invariant: str
    when: float
    figure: float
    words: str

    def __str__(self) -> str:
        return f"{self.invariant} at {self.when:.0f} s: {self.words} ({self.figure:,.1f})"


class Invariants:
    """Looks at one world. `broken` has the worst case of each invariant that did not hold."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.broken: dict[str, Broken] = {}
        self.sizes_before: dict[str, int] = {}
        self.fetches_before: list[float] = []
        self._missing_since: dict[tuple[str, str], float] = {}
        self._shown: Counter[tuple[str, str]] = Counter()
        self._answered: dict[str, int] = {}
        self._counted: dict[str, tuple[float, float, float]] = {}
        self._spent: defaultdict[str, float] = defaultdict(float)
        self._gets: defaultdict[str, int] = defaultdict(int)
        self._seen_fetches = 0

    def note(self, invariant: str, figure: float, words: str) -> None:
        before = self.broken.get(invariant)
        if before is None or figure > before.figure:
            when = self.world.now if before is None else before.when  # when it first broke
            self.broken[invariant] = Broken(invariant, when, figure, words)

    # Before ----------------------------------------------------------------------------------------------------------

    def measure_before(self) -> None:
        """How the honest nodes are by themselves."""
        self.fetches_before = self.world.measure_fetches()
        self.sizes_before = {node.name: held_bytes(node.runtime) for node in self.world.honest}

    # Every second ----------------------------------------------------------------------------------------------------

    def look(self) -> None:
        world = self.world
        lists = {node.name: node.membership.members().get(timeout=5) for node in world.honest}
        self._look_at_members(lists)
        self._look_at_fetches()
        if int(world.now) % 5 == 4:
            self._look_at_work()
        if int(world.now) % 20 == 9:
            self._look_at_sizes()

    def _look_at_members(self, lists: dict[str, membership.Members]) -> None:
        world = self.world
        most = (world.honest_size + len(world.gang.keys) + 1) + PER_INTRODUCER * (len(lists) + len(world.liars))
        for name, found in lists.items():
            life = world.lives[name]
            if found.own is not None:
                life.generations.add(found.own.generation)
            if len(life.generations) > RENEWALS + 2:  # the first record, and the one with the tags
                self.note("renewed", len(life.generations), f"generations of {name}")
            active = {each.peer: each for each in found.active}
            for other, far in world.lives.items():
                if other != name and far.ended is None:
                    info = active.get(far.node.peer)
                    self._look_at_pair(name, other, here=info is not None)
                    if info is not None and info.incarnation > INCARNATION:
                        self.note("incarnation", info.incarnation, f"the incarnation of {other} at {name}")
                elif far.ended is not None and far.node.peer in active and world.now - far.ended > DEATH_SEEN:
                    self._look_at_dead(name, other)
            if len(found.others) > most:
                self.note("list", len(found.others), f"members that {name} lists")

    def _look_at_dead(self, name: str, other: str) -> None:
        """Called for each second that a dead one is shown as alive, for which once is the time to greet it."""
        shown = self._shown[name, other] = self._shown[name, other] + 1
        if shown > GREETED_FOR and self.world.num_lying <= 3 * len(self.world.honest):
            self.note("death", shown, f"{other} is dead, and for so many seconds after its time alive to {name}")

    def _look_at_pair(self, name: str, other: str, *, here: bool) -> None:
        world, pair = self.world, (name, other)
        one, far = world.lives[name], world.lives[other]
        if here or not world.reaches(one.node, far.node):
            self._missing_since.pop(pair, None)
            return
        since = self._missing_since.setdefault(pair, world.now)
        joined = max(one.began, far.began) + JOINED_WITHIN
        healed = world.healed_at + HEALED_WITHIN if world.healed_at else 0.0
        gone = world.now - max(since, joined, healed)
        if gone > DOWN_FOR:
            self.note("false down", gone, f"{name} does not hold {other} alive, seconds")

    def _look_at_work(self) -> None:
        world = self.world
        everybody = [each for liar in world.liars for each in (liar, *liar.helpers)]
        for liar in everybody:
            answers = liar.heard["pong"] + liar.heard["packet"]
            answered = answers - self._answered.get(liar.name, 0)
            self._answered[liar.name] = answers
            if answered > ANSWERS:
                self.note("work", answered, f"frames within 5 s that were answered to {liar.name}")
        for node in world.honest:
            self._look_at_slots(node)
            self._look_at_blocks(node)
            dials, records = "transport_dials_total", "membership_records_total"
            failed = node.runtime.registry.total(dials) - node.counted(dials, "opened")
            verified = node.counted(records, "kept") + node.counted(records, "refused")
            began, failed_before, verified_before = self._counted.setdefault(node.name, (world.now, failed, verified))
            seconds = world.now - began
            if not seconds:
                continue
            self._counted[node.name] = (world.now, failed, verified)
            if (failed - failed_before) / seconds > DIALS:
                self.note(
                    "dials", (failed - failed_before) / seconds, f"dials a second of {node.name} that led nowhere"
                )
            if (verified - verified_before) / seconds > RECORDS * max(1, len(world.liars)):
                self.note("work", (verified - verified_before) / seconds, f"records a second that {node.name} verifies")

    def _look_at_blocks(self, node: WholeNode) -> None:
        honest: dict[object, str] = {life.node.peer: name for name, life in self.world.lives.items()}
        for block in node.tracker.blocks().get(timeout=5):
            if block.target in honest:
                self.note("blocked", 1, f"{node.name} blocks {honest[block.target]}")

    def _look_at_slots(self, node: WholeNode) -> None:
        links = [each.link for each in node.connections.connections().get(timeout=5)]
        ips = Counter(link.ip for link in links if link.direction is Direction.IN)
        share = IP_SHARE * node.config.transport.max_inbound
        if ips.total() > 2 * share and max(ips.values()) > share:
            self.note("slots", max(ips.values()), f"inbound connections of one IP with {node.name}")

    def _look_at_fetches(self) -> None:
        world = self.world
        longest = FETCH_TIMEOUT * (len(world.liars) + 1)
        for fetch, seconds in world.took[self._seen_fetches :]:
            life = world.lives[fetch.node.name]
            if fetch.excused or life.node is not fetch.node:
                continue
            name = fetch.node.name
            if seconds is None:
                self.note("fetch", world.now - fetch.began, f"a fetch of {name} failed, seconds")
                continue
            self._spent[name] += seconds
            self._gets[name] += 1
            allowed = longest + 0.5 * self._gets[name]
            if self._spent[name] > allowed:
                self.note("fetch", self._spent[name], f"seconds for {self._gets[name]} fetches of {name}")
        self._seen_fetches = len(world.took)
        for fetch in world.due:
            waited = world.now - fetch.began
            if not fetch.excused and not fetch.node.ended and waited > longest:
                self.note("fetch", waited, f"seconds that a fetch of {fetch.node.name} waits")

    def _look_at_sizes(self) -> None:
        world = self.world
        allowed = COST_OF_A_LIAR * max(1, len(world.liars))
        most = PER_INTRODUCER * (world.honest_size + len(world.liars))
        for node in world.honest:
            before = self.sizes_before.get(node.name)
            if before is not None and world.lives[node.name].began < 1:
                grown = held_bytes(node.runtime) - before
                if grown > allowed:
                    self.note("size", grown / 1024, f"KiB that {node.name} has grown")
            backlog = node.counted("membership_backlog")
            if backlog > most:
                self.note("backlog", backlog, f"updates that wait at {node.name}")

    def look_at_caught(self) -> None:
        """The liars have had their time."""
        for node in self.world.honest:
            blocked = {block.target for block in node.tracker.blocks().get(timeout=5)}
            at_large = [
                liar.name for liar in self.world.liars if liar.strategy.caught and liar.identity.peer not in blocked
            ]
            if at_large and self.world.lives[node.name].began < 1:
                self.note("unpunished", len(at_large), f"cheats are not blocked by {node.name}: {at_large}")

    # Afterwards ------------------------------------------------------------------------------------------------------

    def look_at_newcomer(self, node: WholeNode, invariant: str) -> None:
        """It has had its time to join."""
        others = [other for other in self.world.honest if other is not node]
        sees = {each.peer for each in node.membership.members().get(timeout=5).active}
        missing = [other.name for other in others if other.peer not in sees]
        unseen = [
            other.name
            for other in others
            if node.peer not in {each.peer for each in other.membership.members().get(timeout=5).active}
        ]
        connected = node.connected() & {other.peer for other in others}
        if missing or unseen:
            self.note(invariant, len(missing) + len(unseen), f"does not see {missing}, is not seen by {unseen}")
        elif not connected:  # how many is chance: three connections fill its band, and a third of all others lie
            self.note(invariant, 0, "connections of the newcomer with honest nodes")

    def look_afterwards(self) -> None:
        """30 s after the last liar has gone."""
        world = self.world
        for node in world.honest:
            active = {each.peer for each in node.membership.members().get(timeout=5).active}
            others = [other for other in world.honest if other is not node and other.name != "latecomer"]
            gone = [other.name for other in others if other.peer not in active]
            if gone:
                self.note("after: pairs", len(gone), f"{node.name} does not hold alive {gone}")
        for name, before in self.sizes_before.items():
            life = world.lives[name]
            if life.began < 1 and life.ended is None:
                now = held_bytes(life.node.runtime) - MEMBER * (2 + len(world.gang.keys)) - REMEMBERED
                if now > GROWTH * before:
                    self.note("after: size", now / before, f"times the memory of {name} before")
        self._look_at_remembered()
        were, are = sorted(self.fetches_before), sorted(world.measure_fetches())
        slower = are[len(are) // 2] - were[len(were) // 2]
        if slower > SPEED or are[-1] > were[-1] + FETCH_TIMEOUT:
            self.note("after: fetch", are[-1], f"seconds of the slowest fetch, the median {slower:.2f} above before")

    def _look_at_remembered(self) -> None:
        world, wall = self.world, self.world.simulation.wall()
        for node in world.honest:
            left = [
                each
                for each in node.membership.members().get(timeout=5).others
                if each.state is State.LEFT and bytes(each.peer) in world.gang.keys
            ]
            long_gone = [each for each in left if wall - each.since > FORGOTTEN_AFTER]
            if world.lives[node.name].began < 1 and long_gone:
                self.note("after: remembered", len(long_gone), f"keys that {node.name} remembers")


# Sizes ---------------------------------------------------------------------------------------------------------------

_LEFT_OUT = (
    Mailbox, Runtime, SimulatedWire, type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType,
    types.GeneratorType, Enum,
)  # fmt: skip
_OTHERS = {"random", "logging", "rookery.runtime.log", "rookery.runtime.metrics", "_thread", "threading"}
_HELD_BY: dict[type, Callable[[Any], Iterable[object]] | None] = {
    **dict.fromkeys((int, float, str, bytes, bool, type(None)), lambda _item: ()),
    **dict.fromkeys((list, tuple, set, frozenset, deque), lambda item: item),
    dict: lambda item: chain(item.keys(), item.values()),
    types.MethodType: lambda item: (item.__self__,),
}
"""What an object of a type holds; None for one that is not counted."""


def held_bytes(runtime: Runtime) -> int:
    """The memory of all that hangs on a node's engines; the wire and what the process shares are not among it."""
    seen: set[int] = set()
    todo: list[Any] = [value for engine in runtime.engines for value in vars(engine).values()]
    total, pop, extend, size = 0, todo.pop, todo.extend, sys.getsizeof
    while todo:
        item = pop()
        number = id(item)
        if number in seen:
            continue
        seen.add(number)
        kind = item.__class__
        try:
            held = _HELD_BY[kind]
        except KeyError:
            held = _HELD_BY[kind] = _held_by(kind)
        if held is not None:
            total += size(item)
            extend(held(item))
    return total


def _held_by(kind: type) -> Callable[[Any], Iterable[object]] | None:
    if issubclass(kind, _LEFT_OUT) or kind.__module__ in _OTHERS or kind.__module__.startswith("tests."):
        return None
    slots = [slot for each in kind.__mro__ for slot in _slots(each)]
    base = next((_HELD_BY[each] for each in kind.__mro__[1:] if each in _HELD_BY and each is not object), None)

    def held(item: Any) -> Iterable[object]:
        own = [getattr(item, slot, None) for slot in slots]
        return [*own, *getattr(item, "__dict__", {}).values(), *(base(item) if base is not None else ())]

    return held


def _slots(kind: type) -> list[str]:
    slots = kind.__dict__.get("__slots__", ())
    names = [slots] if isinstance(slots, str) else list(slots)
    private = f"_{kind.__name__.lstrip('_')}"
    return [
        private + name if name.startswith("__") and name[-2:] != "__" else name for name in names if name[-2:] != "__"
    ]
