"""The state of one member and the few moves that every part of the protocol makes: send, queue, arm."""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto

from .backlog import Backlog
from .codec import MAX_UPDATES, MIN_UPDATE_BYTES, UPDATES_HEAD_BYTES, encode_header, encode_packet, encode_update
from .config import Config
from .member import Member, MemberId
from .members import Accept, Members
from .messages import Announce, Feed, Gossip, Header, Message, TurnUndead
from .outbox import Outbox
from .probe import Probe
from .timers import Repeating, SendIndirectProbe

__all__ = ["Connection", "Core", "Counters", "Renew"]

Renew = Callable[[MemberId], MemberId | None]


class Connection(Enum):
    """Where we stand: nobody active known, taking part, or Down for good (membership reference 1.3)."""

    DISCONNECTED = auto()
    CONNECTED = auto()
    UNDEAD = auto()


@dataclass(slots=True)
class Counters:
    """Totals since the start, for metrics."""

    incomplete_probe_cycles: int = 0
    """Probes without a verdict because the indirect stage never had its turn (defect D7)."""

    failed_probes: int = 0
    refutations: int = 0
    refused_incarnation_jumps: int = 0
    foreign_generations: int = 0
    """Updates about our key under another generation."""

    withheld_rejoins: int = 0


@dataclass(slots=True)
class Core:
    identity: MemberId
    config: Config
    rng: random.Random
    renew: Renew
    probeable: Accept
    incarnation: int = 0
    connection: Connection = Connection.DISCONNECTED
    seeds: tuple[MemberId, ...] = ()
    seed_attempts: int = 0
    rejoins: deque[float] = field(default_factory=deque)
    address_in_use: bool = False
    members: Members = field(default_factory=Members)
    backlog: Backlog = field(default_factory=Backlog)
    probe: Probe = field(default_factory=Probe)
    counters: Counters = field(default_factory=Counters)
    epoch: int = 0
    awaited: dict[type, int] = field(default_factory=dict)
    _last_token: int = 0

    @property
    def is_connected(self) -> bool:
        return self.connection is Connection.CONNECTED

    @property
    def is_undead(self) -> bool:
        return self.connection is Connection.UNDEAD

    def next_token(self) -> int:
        self._last_token += 1
        return self._last_token

    def new_epoch(self) -> None:
        """Every timer with a token that is out now will be ignored, and the probe under way is forgotten."""
        self.epoch = self.next_token()
        self.awaited.clear()
        self.probe.clear()

    def arm(self, kind: type[Repeating], delay: float, outbox: Outbox) -> None:
        """Await the next timer of this kind, in place of any earlier one."""
        self.awaited[kind] = self.next_token()
        outbox.schedule(kind(self.awaited[kind]), delay)

    def take_awaited(self, timer: Repeating | SendIndirectProbe) -> bool:
        """Whether this is the awaited timer of its kind; it is awaited no more."""
        if self.awaited.get(type(timer)) != timer.token:
            return False
        del self.awaited[type(timer)]
        return True

    def queue(self, update: Member) -> None:
        self.backlog.add(update.id.key, encode_update(update), self.config.max_transmissions)

    def send(self, dst: MemberId, message: Message, outbox: Outbox) -> None:
        header = encode_header(Header(self.identity, self.incarnation, dst, message))
        outbox.send(dst, encode_packet(header, self._updates_for(dst, message, len(header))))

    def gossip(self, fan_out: int, outbox: Outbox) -> None:
        for member in self.members.choose_active(fan_out, self.rng, self.probeable):
            self.send(member.id, Gossip(), outbox)

    def _updates_for(self, dst: MemberId, message: Message, used: int) -> list[bytes]:
        if isinstance(message, Announce | TurnUndead):
            return []
        room = self.config.max_packet_size - used - UPDATES_HEAD_BYTES
        if isinstance(message, Feed):
            return self._feed(dst, room)
        return self.backlog.fill(room, MAX_UPDATES)

    def _feed(self, dst: MemberId, room: int) -> list[bytes]:
        """As many random active members, the asking one apart, as fit; random, so that repeated asking finds all."""
        most = min(MAX_UPDATES, room // MIN_UPDATE_BYTES)
        feed = []
        for member in self.members.choose_active(most, self.rng, lambda key: key != dst.key):
            encoded = encode_update(member)
            if len(encoded) > room:
                break
            feed.append(encoded)
            room -= len(encoded)
        return feed
