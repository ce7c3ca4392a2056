"""The state of one member and the few moves that every part of the protocol makes: send, queue, arm."""

import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from .backlog import Backlog
from .broadcasts import Broadcasts
from .codec import LIST_HEADS_BYTES, MAX_UPDATES, encode_header, encode_packet, encode_update
from .config import Config
from .counters import Counters
from .member import Member, MemberId, State
from .member_list import Accept, MemberList
from .messages import Broadcast, Gossip, Header, Message
from .outbox import Outbox
from .probe import Probe
from .timers import Repeating, SendIndirectProbe, SendNack
from .underway import Suspicion, Transfer

__all__ = ["ConnectionState", "Core", "Renew", "UpdateSource"]

Renew = Callable[[MemberId], MemberId | None]
UpdateSource = Callable[[int], list[bytes]]


class ConnectionState(Enum):
    """Where we stand: nobody active known, taking part, or Down for good (membership: states of a member)."""

    DISCONNECTED = auto()
    CONNECTED = auto()
    UNDEAD = auto()


@dataclass(slots=True)
class Core:
    identity: MemberId
    config: Config
    rng: random.Random
    renew: Renew
    probeable: Accept
    broadcasts: Broadcasts
    counters: Counters
    incarnation: int = 0
    connection_state: ConnectionState = ConnectionState.DISCONNECTED
    seeds: tuple[MemberId, ...] = ()
    unheard_seeds: dict[bytes, MemberId] = field(default_factory=dict)
    """The seeds of which nothing was ever heard, also not from others; who is known is probed, or looked for."""

    seed_attempts: int = 0
    rejoins: deque[float] = field(default_factory=deque)
    address_in_use: bool = False
    members: MemberList = field(default_factory=MemberList)
    backlog: Backlog[bytes] = field(default_factory=Backlog)
    probe: Probe = field(default_factory=Probe)
    suspicions: dict[bytes, Suspicion] = field(default_factory=dict)
    relays: dict[SendNack, None] = field(default_factory=dict)
    """Nacks that are due unless the target answers in time."""

    transfers: dict[bytes, Transfer] = field(default_factory=dict)
    """What we are telling others, by whom."""

    sync_wait: float = 0.0
    """From the next sync to the one after it."""

    has_left: bool = False
    stored: int = 0
    """Updates about others that were news."""

    health: int = 0
    """Lifeguard's score: 0 is well; more is how much slower we are than we should be."""

    awaited_timers: dict[type, tuple[int, float]] = field(default_factory=dict)
    _last_token: int = 0

    @property
    def is_connected(self) -> bool:
        return self.connection_state is ConnectionState.CONNECTED

    @property
    def is_undead(self) -> bool:
        return self.connection_state is ConnectionState.UNDEAD

    @property
    def cluster_size(self) -> int:
        """Active members, and we."""
        return self.members.num_active + 1

    @property
    def copies(self) -> int:
        """How often each piece of news is sent."""
        return self.config.copies(self.cluster_size)

    @property
    def slowness(self) -> int:
        """By how much the times of a probe are multiplied."""
        return self.health + 1

    def set_seeds(self, seeds: Iterable[MemberId]) -> None:
        """In place of those before. Who was one of these and has answered need not do so again."""
        heard = {seed.key for seed in self.seeds} - set(self.unheard_seeds)
        heard |= set(self.members.by_key) | {self.identity.key}
        self.seeds, self.seed_attempts = tuple(seeds), 0
        self.unheard_seeds = {seed.key: seed for seed in self.seeds if seed.key not in heard}

    def silent_seeds(self) -> list[MemberId]:
        """Those of whom nothing was ever heard, and that may be asked."""
        return [seed for key, seed in self.unheard_seeds.items() if self.probeable(key)]

    def adjust_health(self, worse: int) -> None:
        """The score rises by so much; it falls by -1."""
        self.health = min(max(0, self.health + worse), self.config.awareness_max_multiplier - 1)

    def clock_stalled(self, late: float) -> bool:
        """Whether a timer that comes so many seconds late is no base for a verdict; counted if so."""
        if not self.config.distrust_late_timers or late <= self.config.probe_rtt:
            return False
        self.counters.late_timers += 1
        return True

    def next_token(self) -> int:
        self._last_token += 1
        return self._last_token

    def new_epoch(self) -> None:
        """Every timer with a token that is out now will be ignored, and what is under way is forgotten."""
        self.awaited_timers.clear()
        self.suspicions.clear()
        self.transfers.clear()
        self.probe.clear()

    def arm(self, kind: type[Repeating], delay: float, now: float, outbox: Outbox) -> None:
        """Await the next timer of this kind, in place of any earlier one."""
        outbox.schedule(kind(self.expect_timer(kind, delay, now)), delay)

    def first_delay(self, period: float) -> float:
        """When the first of a repeating task comes, in seconds from now."""
        return self.rng.uniform(0.0, period) if self.config.jitter else period

    def expect_timer(self, kind: type, delay: float, now: float) -> int:
        """The token by which the awaited timer of this kind will be known."""
        token = self.next_token()
        self.awaited_timers[kind] = (token, now + delay)
        return token

    def take_awaited_timer(self, timer: Repeating | SendIndirectProbe, now: float) -> float | None:
        """How many seconds late the awaited timer of its kind comes; it is awaited no more. None for any other."""
        token, due = self.awaited_timers.get(type(timer), (0, 0.0))
        if token != timer.token:
            return None
        del self.awaited_timers[type(timer)]
        return max(0.0, now - due)

    def queue(self, update: Member) -> None:
        self.backlog.add(update.id.key, encode_update(update), self.copies)

    def forget_down(self) -> None:
        """Whom we hold Down, and what we still had to say about them."""
        for key in self.members.forget_down():
            self.backlog.discard(key)

    def send(self, dst: MemberId, message: Message, outbox: Outbox, source: UpdateSource | None = None) -> None:
        """source: gives the updates for so many bytes, in place of the backlog."""
        header = encode_header(Header(self.identity, self.incarnation, dst, message))
        room = self.config.max_packet_size - len(header) - LIST_HEADS_BYTES
        items = self._items_for(dst, message, room)
        if items:
            room -= sum(map(len, items))
        updates: Sequence[bytes] = ()
        if message.updates:
            updates = self._updates_for(dst, room) if source is None else source(room)
        outbox.send(dst, encode_packet(header, updates, items))

    def gossip(self, fan_out: int, outbox: Outbox) -> None:
        for member in self.members.choose_active(fan_out, self.rng, self.probeable):
            self.send(member.id, Gossip(), outbox)

    def gossip_broadcasts(self, fan_out: int, outbox: Outbox) -> None:
        """As `gossip`, where only broadcasts wait: to those that are to have them."""
        for member in self.members.choose_active(fan_out, self.rng, self._takes_broadcasts):
            self.send(member.id, Gossip(), outbox)

    def broadcast(self, fan_out: int, outbox: Outbox) -> None:
        """The application's items to some members that are to have them, until none is left."""
        for member in self.members.choose_active(fan_out, self.rng, self._takes_broadcasts):
            if len(self.broadcasts):
                self.send(member.id, Broadcast(), outbox)

    def _takes_broadcasts(self, key: bytes) -> bool:
        member = self.members.get(key)
        return member is not None and self.probeable(key) and self.broadcasts.accepts(member.id)

    def _items_for(self, dst: MemberId, message: Message, room: int) -> list[bytes]:
        """Their own part of the packet, and what the updates leave free."""
        if not (message.items and self.broadcasts.accepts(dst)):
            return []
        return self.broadcasts.fill(max(self.config.broadcast_room, room - self.backlog.size))

    def _updates_for(self, dst: MemberId, room: int) -> list[bytes]:
        """From the backlog; a suspect is told first that it is one (Lifeguard's buddy)."""
        held = self.members.get(dst.key)
        if held is None or held.state is not State.SUSPECT or not self.config.buddy:
            return self.backlog.fill(room, MAX_UPDATES)
        word = encode_update(held)
        return [word, *self.backlog.fill(room - len(word), MAX_UPDATES - 1)]
