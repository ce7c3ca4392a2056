"""Many members in virtual time on one heap: pure, and fast enough for a thousand of them.

    cluster = Cluster(Config.new_lan(50), seed=1, link=replace(LAN, loss=0.1))
    cluster.start(50, every=0.1)                # one after the other, each joins through the first
    cluster.run(30)
    cluster.crash(7)
    cluster.run_until(lambda: cluster.views.is_exact, timeout=60)

* Each member is a real `Swim` and its packets are real bytes; only clock, chance and network are simulated.
* Equal seeds give equal runs, in any process.
* A stalled member is a stopped process: what comes for it waits. When it goes on, overdue timers are first, in the
  order of deadline and rank, then packets, as in the inbox of the engine.
* A crashed member is gone without a word; started again it is another life.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from heapq import heappop, heappush

from ..actors.membership.swim import (
    Config,
    MemberDown,
    MemberId,
    MemberUp,
    Notification,
    Notify,
    Rejoin,
    Schedule,
    Send,
    SwimError,
    Timer,
)
from ..runtime import Link
from .network import LAN, ClusterNetwork
from .process import Process
from .views import GRACE, Views

__all__ = ["Cluster", "ConditionTimeout"]

_PACKET_RANK = 100  # after every timer that is due at the same moment
_STEP = 0.05  # seconds between two looks of `run_until`


@dataclass(frozen=True, slots=True)
class Act:
    """Something from outside the members."""

    act: Callable[[], object]


class ConditionTimeout(RuntimeError):
    """What a run waited for did not come to pass in its time."""


class Cluster:
    """A cluster without members yet. Members are numbered from 0, in the order in which they are started.

    `processes` has the present life of each, `refused` what members have refused, by the name of the error.
    """

    def __init__(
        self,
        config: Config,
        *,
        seed: int,
        link: Link = LAN,
        heed: Callable[[float, int, Notification], object] | None = None,
    ) -> None:
        """config: of every member. link: what packets meet. heed: called with time, member and each notification."""
        self.config = config
        self.seed = seed
        self.now = 0.0
        self.network = ClusterNetwork(link, random.Random(f"{seed}/network"))
        self.rng = random.Random(f"{seed}/choices")
        self.views = Views()
        self.processes: list[Process] = []
        self.refused: dict[str, int] = {}
        self._heed = heed
        self._numbers: dict[bytes, int] = {}
        self._lives: dict[int, int] = {}
        self._blocked: dict[int, set[bytes]] = {}
        self._all: list[Process] = []
        self._excused: dict[int, float] = {}
        self._when_exact: list[Callable[[], object]] = []
        self._cut_until = float("-inf")
        self._events: list[tuple[float, int, int, Process | None, Timer | bytes | Act]] = []
        self._sequence = 0

    # Time ------------------------------------------------------------------------------------------------------------

    def run(self, seconds: float) -> None:
        """Let so many virtual seconds pass."""
        end = self.now + seconds
        events = self._events
        while events and events[0][0] <= end:
            self.now, rank, sequence, process, what = heappop(events)
            if process is None or isinstance(what, Act):
                assert isinstance(what, Act)
                what.act()
            elif process.is_stalled:
                process.waiting.append((self.now, rank, sequence, what))
            elif process.is_running:
                self._hand(process, what)
        self.now = end

    def run_until(self, condition: Callable[[], object], *, timeout: float) -> float:
        """The virtual seconds until the condition held, to 50 ms. Raises ConditionTimeout."""
        started = self.now
        while not condition():
            if self.now - started >= timeout:
                raise ConditionTimeout(f"not within {timeout:g} virtual seconds (seed {self.seed})")
            self.run(_STEP)
        return self.now - started

    def at(self, time: float, act: Callable[[], object]) -> None:
        """Do something then."""
        self._push(time, -1, None, Act(act))

    def when_exact(self, act: Callable[[], object]) -> None:
        """Do something once, as soon as every running member sees every other one and nobody else."""
        self._when_exact.append(act)
        self._look()

    def _look(self) -> None:
        if self._when_exact and self.views.is_exact:
            waiting, self._when_exact = self._when_exact, []
            for act in waiting:
                act()

    @property
    def sent(self) -> tuple[int, int]:
        """Packets and bytes that all members together have sent, former lives included."""
        return sum(each.packets_sent for each in self._all), sum(each.bytes_sent for each in self._all)

    # Members ---------------------------------------------------------------------------------------------------------

    def start(self, count: int = 1, *, every: float = 0.0, seeds: Iterable[int] = (0,)) -> None:
        """Start `count` more members, `every` so many seconds one; each joins through the `seeds`."""
        seeds = tuple(seeds)
        for place in range(count):
            self.at(self.now + place * every, lambda: self._add(seeds))

    def _add(self, seeds: tuple[int, ...]) -> None:
        number = len(self.processes)
        key = sha256(f"member {number}".encode()).digest()
        self._numbers[key] = number
        self.processes.append(self._begin(number, MemberId(key, 1)))
        self._join(number, seeds)

    def _begin(self, number: int, identity: MemberId) -> Process:
        life = self._lives[number] = self._lives.get(number, 0) + 1
        self.views.started(number)
        process = Process(number, identity, self.config, random.Random(f"{self.seed}/{number}/{life}"))
        process.blocked = self._blocked.setdefault(number, set())
        self._all.append(process)
        return process

    def _join(self, number: int, seeds: Iterable[int]) -> None:
        process = self.processes[number]
        ids = [MemberId(self.processes[seed].swim.identity.key, 0) for seed in seeds if seed != number]
        process.swim.join(ids, self.now, process.outbox)
        self._carry_out(process)

    def crash(self, number: int) -> None:
        """It is gone without a word."""
        process = self.processes[number]
        if process.is_running:
            process.is_running = process.is_stalled = False
            process.waiting.clear()
            self.views.ended(number)
            self._look()

    def restart(self, number: int, *, seeds: Iterable[int] = (0,), same_generation: bool = False) -> None:
        """Start it again after a crash or a leave."""
        self.crash(number)
        last = self.processes[number].swim.identity
        identity = last if same_generation else MemberId(last.key, last.generation + 1)
        self.processes[number] = self._begin(number, identity)
        self._join(number, seeds)

    def leave(self, number: int, *, rounds: int = 3, every: float = 0.1) -> None:
        """It says goodbye in so many rounds of gossip, and ends."""
        process = self.processes[number]
        process.swim.leave_cluster(process.outbox)
        self._carry_out(process)
        self.views.ended(number)
        self._look()
        for place in range(1, rounds):
            self.at(self.now + place * every, lambda: self._gossip(process))
        self.at(self.now + rounds * every, lambda: setattr(process, "is_running", False))

    def _gossip(self, process: Process) -> None:
        if process.is_running:
            process.swim.gossip(process.outbox)
            self._carry_out(process)

    def stall(self, number: int, seconds: float) -> None:
        """Stop the process, and let it go on after so many seconds."""
        process = self.processes[number]
        process.is_stalled = process.is_running
        self._excused[number] = self.now + seconds + GRACE
        self.at(self.now + seconds, lambda: self._go_on(process))

    def _go_on(self, process: Process) -> None:
        if not process.is_stalled:
            return
        process.is_stalled = False
        waiting, process.waiting = process.waiting, []
        for _, _, _, what in sorted(waiting, key=lambda item: (item[1] == _PACKET_RANK, item[:3])):
            self._hand(process, what)

    # The network -----------------------------------------------------------------------------------------------------

    def partition(self, *sides: Iterable[int]) -> None:
        """Cut these groups from each other and from everybody else, until `heal`."""
        self.network.partition(*sides)
        self._cut_until = float("inf")

    def heal(self) -> None:
        """End the partition."""
        self.network.heal()
        self._cut_until = self.now + GRACE

    def block(self, number: int, other: int) -> None:
        """`number` blocks `other`, in this life and the next: it does not speak with it, nor about it."""
        self._blocked[number].add(self.processes[other].swim.identity.key)
        self.network.block(number, other)

    # What members do -------------------------------------------------------------------------------------------------

    def _hand(self, process: Process, what: Timer | bytes) -> None:
        try:
            if isinstance(what, bytes):
                process.swim.handle_data(what, self.now, process.outbox)
            else:
                process.swim.handle_timer(what, self.now, process.outbox)
        except SwimError as error:
            name = type(error).__name__
            self.refused[name] = self.refused.get(name, 0) + 1
        self._carry_out(process)

    def _carry_out(self, process: Process) -> None:
        now = self.now
        for effect in process.outbox.drain():
            match effect:
                case Send(to, data):
                    process.packets_sent += 1
                    process.bytes_sent += len(data)
                    receiver = self._numbers[to.key]
                    delay = self.network.delay(process.number, receiver)
                    if delay is not None:
                        self._push(now + delay, _PACKET_RANK, self.processes[receiver], data)
                case Schedule(timer, delay):
                    self._push(now + delay, timer.rank, process, timer)
                case Notify(notification):
                    self._note(process, notification)

    def _push(self, time: float, rank: int, process: Process | None, what: Timer | bytes | Act) -> None:
        self._sequence += 1
        heappush(self._events, (time, rank, self._sequence, process, what))

    def _note(self, process: Process, notification: Notification) -> None:
        observer = process.number
        if self._heed is not None:
            self._heed(self.now, observer, notification)
        match notification:
            case MemberUp(member):
                self.views.up(observer, self._numbers[member.key])
                self._look()
            case MemberDown(member):
                subject = self._numbers[member.key]
                self.views.down(self.now, observer, subject, is_false=self._is_false(observer, subject, member))
                self._look()
            case Rejoin():
                if not self._is_excused(observer):
                    self.views.rejoins.append((self.now, observer))
            case _:
                pass

    def _is_false(self, observer: int, subject: int, member: MemberId) -> bool:
        process = self.processes[subject]
        was_there = subject in self.views.running and process.swim.identity == member
        return was_there and not self._is_excused(subject) and not self.network.cuts(observer, subject)

    def _is_excused(self, number: int) -> bool:
        return max(self._cut_until, self._excused.get(number, float("-inf"))) > self.now
