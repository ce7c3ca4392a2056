"""A cluster in virtual time: a heap of (time, rank, sequence, event), latency and loss from the seed, nothing else."""

import heapq
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from rookery.actors.membership.swim import (
    Config,
    Member,
    MemberDown,
    MemberId,
    Notification,
    Notify,
    Outbox,
    Proofs,
    Schedule,
    Send,
    State,
    Swim,
    SwimError,
    Timer,
    Trusting,
)
from rookery.actors.membership.swim.messages import Message

from ..rig import encode, name, next_life

_PACKET_RANK = 99
"""Timers due at the same instant go by their rank, and before packets."""


@dataclass
class Peer:
    swim: Swim
    outbox: Outbox = field(default_factory=Outbox)
    running: bool = True


class Cluster:
    """`size` members that join through the first one; `log` is every notification with its time and its member."""

    def __init__(
        self, size: int, config: Config, seed: int, *, loss: float = 0.0, proofs: Proofs | None = None
    ) -> None:
        self.now = 0.0
        self.loss = loss
        self.log: list[tuple[float, int, Notification]] = []
        self.refused: list[tuple[int, SwimError]] = []
        self._rng = random.Random(seed)
        self._events: list[tuple[float, int, int, Callable[[], None]]] = []
        self._sequence = 0
        self.overhear: Callable[[int, bytes], object] = lambda number, data: None
        """Called with each packet that arrives, and the number of who gets it."""
        self._cut: Callable[[int, int], bool] = lambda one, other: False
        self.peers = [
            Peer(
                Swim.new(
                    name(number),
                    config,
                    random.Random(f"{seed}/{number}"),
                    renew=next_life,
                    proofs=proofs or Trusting(),
                )
            )
            for number in range(size)
        ]
        self._numbers = {peer.swim.identity.key: number for number, peer in enumerate(self.peers)}
        for number in range(size):
            self._at(self._rng.uniform(0.0, 1.0), 0, partial(self._join, number))

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self._events and self._events[0][0] <= end:
            self.now, _, _, event = heapq.heappop(self._events)
            event()
        self.now = end

    def run_until(self, condition: Callable[[], bool], timeout: float) -> float:
        """Seconds until the condition held; fails when it does not in time."""
        start = self.now
        while not condition():
            assert self.now - start < timeout, f"not within {timeout} s"
            self.run(0.05)
        return self.now - start

    def kill(self, number: int) -> None:
        self.peers[number].running = False

    def cut(self, is_cut: Callable[[int, int], bool]) -> None:
        """Lose every packet from one number to another for which this holds."""
        self._cut = is_cut

    def active(self, number: int) -> set[int]:
        return {self._numbers[member.id.key] for member in self.peers[number].swim.iter_members()}

    def is_full(self) -> bool:
        """Every running member has exactly the other running ones as active."""
        running = {number for number, peer in enumerate(self.peers) if peer.running}
        return all(self.active(number) == running - {number} for number in running)

    def held_down(self) -> set[tuple[int, int]]:
        """Pairs of running members of which the first holds the second, by its present identity, Down."""
        return {
            (number, self._numbers[held.id.key])
            for number, peer in enumerate(self.peers)
            if peer.running
            for held in peer.swim.iter_membership_state()
            if held.state is State.DOWN and self._lives_as(held.id)
        }

    def _lives_as(self, member: MemberId) -> bool:
        peer = self.peers[self._numbers[member.key]]
        return peer.running and peer.swim.identity == member

    def deaths_told(self, number: int) -> dict[int, float]:
        """When each member first notified that this one is Down."""
        key, told = self.peers[number].swim.identity.key, dict[int, float]()
        for time, observer, note in self.log:
            if isinstance(note, MemberDown) and note.member.key == key:
                told.setdefault(observer, time)
        return told

    def _join(self, number: int) -> None:
        peer = self.peers[number]
        peer.swim.join([name(0, generation=0), name(1, generation=0)], self.now, peer.outbox)
        self.carry_out(number)

    def carry_out(self, number: int) -> None:
        for effect in self.peers[number].outbox.drain():
            match effect:
                case Send(to, data):
                    self._transmit(number, to, data)
                case Schedule(timer, delay):
                    self._on(number, delay, timer.rank, self._firing(timer))
                case Notify(notification):
                    self.log.append((self.now, number, notification))

    def _firing(self, timer: Timer) -> Callable[[Swim, Outbox], None]:
        return lambda swim, outbox: swim.handle_timer(timer, self.now, outbox)

    def _transmit(self, number: int, to: MemberId, data: bytes) -> None:
        other, sender = self._numbers[to.key], self.peers[number].swim.identity.key
        if self._rng.random() < self.loss or self._cut(number, other):
            return
        self._on(
            other,
            self._rng.uniform(0.0005, 0.005),
            _PACKET_RANK,
            lambda swim, outbox: self._receive(other, data, sender),
        )

    def _receive(self, number: int, data: bytes, sender: bytes) -> None:
        peer = self.peers[number]
        self.overhear(number, data)
        try:
            peer.swim.handle_data(data, self.now, peer.outbox, sender=sender)
        except SwimError as error:
            self.refused.append((number, error))

    def inject(self, source: int, to: int, message: Message, updates: Iterable[Member] = ()) -> None:
        """A packet that a member would not send by itself, at its present incarnation."""
        swim, dst = self.peers[source].swim, self.peers[to].swim.identity
        data = encode(swim.identity, dst, message, updates, swim.incarnation, (), swim._core.proof)
        self._transmit(source, dst, data)

    def _on(self, number: int, delay: float, rank: int, act: Callable[[Swim, Outbox], None]) -> None:
        def event() -> None:
            peer = self.peers[number]
            if peer.running:
                act(peer.swim, peer.outbox)
                self.carry_out(number)

        self._at(delay, rank, event)

    def _at(self, delay: float, rank: int, event: Callable[[], None]) -> None:
        self._sequence += 1
        heapq.heappush(self._events, (self.now + delay, rank, self._sequence, event))
