"""The state of this member, and the operations that every part of the protocol uses: send, queue, arm a timer."""

import math
import random
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from enum import Enum, auto

from msgspec import Struct, field

from ..broadcasts import Broadcasts
from ..codec import LIST_HEADS_BYTES, MAX_UPDATES, encode_header, encode_packet, encode_update
from ..config import Config
from ..effects import Outbox, RemoveDown, Repeating, SendIndirectProbe, SendNack
from ..errors import Counters
from ..member import Member, MemberId, State
from ..messages import Broadcast, Gossip, Header, Message, TurnUndead
from ..proofs import Proofs
from .backlog import Backlog
from .member_list import Accept, MemberList
from .underway import Allowance, Greeting, Probe, Suspicion, Transfer

__all__ = ["REMEMBERED_AT_LEAST", "Admits", "ConnectionState", "Core", "Renew", "Settled", "UpdateSource"]

Renew = Callable[[MemberId], MemberId | None]
Admits = Callable[[Member], bool]
Settled = Callable[[], Accept | None]
UpdateSource = Callable[[int], list[bytes]]

_FRESH = 2.0
"""Probe periods for which having heard a member counts against what others say of it."""

_REMEMBERED, REMEMBERED_AT_LEAST = 10, 60.0
"""How often the time for which it was a member a dead one is remembered if that was short, and seconds at least."""

_FEW_DEAD, _DEAD_FOR_EACH = 16, 2
"""So many dead members, or so many for each active one, are all remembered for the whole time."""


class ConnectionState(Enum):
    """No active member known, at least one known, or Down for good (membership: states of a member)."""

    DISCONNECTED = auto()
    CONNECTED = auto()
    UNDEAD = auto()


class Core(Struct):
    """The state of this member, which the functions of the other modules change."""

    identity: MemberId
    config: Config
    rng: random.Random
    renew: Renew
    probeable: Accept
    broadcasts: Broadcasts
    counters: Counters
    proofs: Proofs
    connected: Accept
    """Whether there is a connection with heartbeats to the member with this key: the best evidence of life."""

    admits: Admits
    """Whether a key that is not held becomes a member by this update."""

    settled: Settled
    """Tells the members that have been there for a while from the others; None if there are no others."""

    settled_turn: bool = False
    """Whether the last probe was of a settled member, if there are others."""

    incarnation: int = 0
    connection_state: ConnectionState = ConnectionState.DISCONNECTED
    seeds: tuple[MemberId, ...] = ()
    unheard_seeds: dict[bytes, MemberId] = field(default_factory=dict)
    """The seeds, by key, that nothing was ever heard of, directly or from others."""

    seed_attempts: int = 0
    rejoins: deque[float] = field(default_factory=deque)
    address_in_use: bool = False
    members: MemberList = field(default_factory=MemberList)
    backlog: Backlog[bytes] = field(default_factory=Backlog)
    probe: Probe = field(default_factory=Probe)
    suspicions: dict[bytes, Suspicion] = field(default_factory=dict)
    checks: deque[bytes] = field(default_factory=deque)
    """The keys of accused members that wait for our own check, the next one first."""

    check_free: float = 0.0
    """When the next check may begin."""

    heard: dict[bytes, float] = field(default_factory=dict)
    """When the present life of each member was last heard directly, or has proved to have answered us."""

    held_since: dict[bytes, float] = field(default_factory=dict)
    """When each member became one, alive or dead."""

    first_since: float | None = None
    """When the first of all did."""

    died: OrderedDict[bytes, float] = field(default_factory=OrderedDict)
    """When the last was heard of the death of each dead member, the one of longest ago first."""

    removals: dict[bytes, float] = field(default_factory=dict)
    """When each dead member is to be forgotten."""

    removal_timers: dict[bytes, float] = field(default_factory=dict)
    """When the timer for that is due: one for a key, however often it dies."""

    warned: dict[bytes, tuple[float, int]] = field(default_factory=dict)
    """When each member was last told what is said of it, and the number with which it shows that it heard that."""

    reunited: float = -math.inf
    """When we last asked a member for all others because it held us Down."""

    warnings: Allowance = field(default_factory=lambda: Allowance(64, 32))
    refutable: Allowance = field(default_factory=lambda: Allowance(16, 0.25))
    """How often we may raise our incarnation: who accuses us all the time would else use up its 1,024 in no time."""

    shown: Allowance = field(default_factory=lambda: Allowance(8, 5))
    """How often our incarnation is shown to who accuses us below it: whoever does that all the time would have us flood
    the others, and be taken for a liar. It goes to three each time, and every header of ours has it."""

    helped_greetings: Allowance = field(default_factory=lambda: Allowance(8, 1))
    """Greetings for which others than the introducer are asked for help: they take so many PingReqs of us, and those of
    our probes must be among them."""

    slowed: Allowance = field(default_factory=lambda: Allowance(1, 1 / 30))
    """How often having to refute makes our health worse: who accuses us all the time would else slow all our probes."""

    greetings: dict[bytes, Greeting] = field(default_factory=dict)
    """Who is no member and was asked by `Swim.greet` whether it is there, by key."""

    relays: dict[SendNack, None] = field(default_factory=dict)
    """Pings for others whose target has not answered yet: what may be forwarded, and the Nacks that become due."""

    transfers: dict[bytes, Transfer] = field(default_factory=dict)
    """Members that are being sent our state in SyncParts, by key."""

    sync_wait: float = 0.0
    """Seconds from the next sync to the one after it."""

    joining: bool = False
    """Whether no sync has begun since we became Connected."""

    has_left: bool = False
    stored: int = 0
    """How many updates about others were stored."""

    health: int = 0
    """Lifeguard's score: 0 if we keep up with our probes, more the slower we are."""

    awaited_timers: dict[type, tuple[int, float]] = field(default_factory=dict)
    _last_token: int = 0
    _last_number: int = 0
    _proof: tuple[MemberId, int, bytes] | None = None

    @property
    def is_connected(self) -> bool:
        return self.connection_state is ConnectionState.CONNECTED

    @property
    def is_undead(self) -> bool:
        return self.connection_state is ConnectionState.UNDEAD

    @property
    def proof(self) -> bytes:
        """The proof of our incarnation."""
        life = self.identity, self.incarnation
        if self._proof is None or self._proof[:2] != life:
            self._proof = (*life, self.proofs.link(*life) if self.incarnation else b"")
        return self._proof[2]

    def is_fresh(self, key: bytes, since: float, now: float) -> bool:
        """Whether our own evidence says that the member lives: lately, and later than `since`; or a connection does."""
        recent = now - _FRESH * self.config.probe_period * self.slowness
        return self.heard.get(key, -math.inf) > max(since, recent) or self.connected(key)

    @property
    def cluster_size(self) -> int:
        """The number of active members, ourselves included."""
        return self.members.num_active + 1

    @property
    def copies(self) -> int:
        """How often each update is sent at the present size of the cluster."""
        return self.config.copies(self.cluster_size)

    @property
    def slowness(self) -> int:
        """The factor by which our health lengthens the times of a probe."""
        return self.health + 1

    def set_seeds(self, seeds: Iterable[MemberId]) -> None:
        """Replace the seeds. A seed that was one before and has answered counts as heard."""
        heard = {seed.key for seed in self.seeds} - set(self.unheard_seeds)
        heard |= set(self.members.by_key) | {self.identity.key}
        self.seeds, self.seed_attempts = tuple(seeds), 0
        self.unheard_seeds = {seed.key: seed for seed in self.seeds if seed.key not in heard}

    def silent_seeds(self) -> list[MemberId]:
        """The seeds that nothing was ever heard of and that we may probe."""
        return [seed for key, seed in self.unheard_seeds.items() if self.probeable(key)]

    def adjust_health(self, worse: int) -> None:
        """Add `worse` to the score, within its bounds."""
        self.health = min(max(0, self.health + worse), self.config.awareness_max_multiplier - 1)

    def clock_stalled(self, late: float) -> bool:
        """Whether a timer that is so many seconds late shows that this process stalled; counted if so."""
        if not self.config.distrust_late_timers or late <= self.config.probe_rtt:
            return False
        self.counters.late_timers += 1
        return True

    def next_number(self) -> int:
        """The number of our next probe, never used before in this life."""
        self._last_number += 1
        return self._last_number

    def next_token(self) -> int:
        self._last_token += 1
        return self._last_token

    def new_epoch(self) -> None:
        """Ignore each timer with a token scheduled so far; forget the probe, suspicions and transfers under way."""
        self.awaited_timers.clear()
        self.suspicions.clear()
        self.checks.clear()
        self.transfers.clear()
        self.greetings.clear()
        self.probe.clear()

    def arm(self, kind: type[Repeating], delay: float, now: float, outbox: Outbox) -> None:
        """Schedule the next timer of this kind, in place of any earlier one."""
        outbox.schedule(kind(self.expect_timer(kind, delay, now)), delay)

    def first_delay(self, period: float) -> float:
        """Seconds until the first run of a task with this period."""
        return self.rng.uniform(0.0, period) if self.config.jitter else period

    def expect_timer(self, kind: type, delay: float, now: float) -> int:
        """Expect a timer of this kind, in place of any earlier one; returns the token that it must have."""
        token = self.next_token()
        self.awaited_timers[kind] = (token, now + delay)
        return token

    def take_awaited_timer(self, timer: Repeating | SendIndirectProbe, now: float) -> float | None:
        """How many seconds late the timer is if it is the awaited one of its kind, which it ends; None if it is not."""
        token, due = self.awaited_timers.get(type(timer), (0, 0.0))
        if token != timer.token:
            return None
        del self.awaited_timers[type(timer)]
        return max(0.0, now - due)

    def queue(self, update: Member) -> None:
        self.backlog.add(update.id.key, encode_update(update), self.copies)

    def forget(self, key: bytes) -> None:
        """Forget a member, and all that waits about it."""
        self.members.forget(key)
        self.backlog.discard(key)
        self.heard.pop(key, None)
        self.warned.pop(key, None)
        self.held_since.pop(key, None)
        self.died.pop(key, None)
        self.removals.pop(key, None)
        self.greetings.pop(key, None)

    def remove_later(self, member: MemberId, now: float, outbox: Outbox) -> None:
        """Forget a member that is Down after `remove_down_after`: sooner if it was one for a short time only.

        That is, for less than a tenth of our own time, and only while far more are dead than active: keys that come
        once and die would fill the list. Two parts of a cluster that lose each other remember each other, also if they
        had met but a moment before; so do those that knew each other from before a restart.
        """
        delay, since, first = self.config.remove_down_after, self.held_since.get(member.key), self.first_since
        is_short = since is not None and first is not None and _REMEMBERED * (now - since) < now - first
        if since is not None and is_short and self._has_many_dead():
            delay = min(delay, max(REMEMBERED_AT_LEAST, _REMEMBERED * (now - since)))
        self.died.pop(member.key, None)
        self.died[member.key] = now
        self.removals[member.key] = now + delay
        if self.removal_timers.get(member.key, math.inf) > now + delay:
            self._await_removal(member, now, outbox)

    def _has_many_dead(self) -> bool:
        active = self.members.num_active
        return len(self.members.by_key) - active > max(_FEW_DEAD, _DEAD_FOR_EACH * active)

    def _await_removal(self, member: MemberId, now: float, outbox: Outbox) -> None:
        due = self.removal_timers[member.key] = self.removals[member.key]
        outbox.schedule(RemoveDown(member), due - now)

    def remove(self, member: MemberId, now: float, outbox: Outbox) -> None:
        """A timer for this is due: forget the member if its time is over, or wait for the rest of it."""
        held, due = self.members.get(member.key), self.removals.get(member.key)
        if now >= self.removal_timers.get(member.key, math.inf):
            del self.removal_timers[member.key]
        if held is None or held.is_active or due is None:
            return
        if now >= due:
            self.forget(member.key)
        elif member.key not in self.removal_timers:
            self._await_removal(held.id, now, outbox)  # the life that is held now

    def warn(self, to: MemberId, accusation: Member, now: float, outbox: Outbox) -> None:
        """Tell a member what is said of it, so that it can refute that: at most once in a period, and few at a time.

        What we hold ourselves is told by TurnUndead, if configured.
        """
        key = to.key
        held = self.members.get(key)
        ours = held is not None and (not held.is_active or held.id != to)
        if self.is_undead or not self.probeable(key) or (ours and not self.config.notify_down_members):
            return
        last = self.warned.get(key)
        if last is not None and now - last[0] < self.config.probe_period:
            return
        if not self.warnings.take(now):
            self.counters.withheld_warnings += 1
            return
        number = self.next_number()
        self.warned[key] = now, number
        if ours:
            self.send(to, TurnUndead(accusation, number), outbox)
        else:
            encoded = encode_update(accusation)
            self.send(to, Gossip(), outbox, lambda room: [encoded] if len(encoded) <= room else [])

    def send(self, dst: MemberId, message: Message, outbox: Outbox, source: UpdateSource | None = None) -> None:
        """Send a message with the updates and items that it may carry.

        source: gives the encoded updates for a number of bytes, in place of the backlog.
        """
        header = encode_header(Header(self.identity, self.incarnation, dst, message, self.proof))
        room = self.config.max_packet_size - len(header) - LIST_HEADS_BYTES
        items = self._items_for(dst, message, room)
        if items:
            room -= sum(map(len, items))
        updates: Sequence[bytes] = ()
        if message.updates:
            updates = self._updates_for(dst, room) if source is None else source(room)
        outbox.send(dst, encode_packet(header, updates, items))

    def choose_helpers(self, target: bytes, count: int) -> list[Member]:
        """Members to ping the target for us, the settled ones first: silence of the others says nothing of us."""

        def may_help(key: bytes) -> bool:
            return key != target and self.probeable(key)

        settled = self.settled()
        if settled is None:
            return self.members.choose_active(count, self.rng, may_help)
        chosen = self.members.choose_active(count, self.rng, lambda key: may_help(key) and settled(key))
        known = {member.id.key for member in chosen}
        return chosen + self.members.choose_active(
            count - len(chosen), self.rng, lambda key: key not in known and may_help(key)
        )

    def gossip(self, fan_out: int, outbox: Outbox) -> None:
        for member in self.members.choose_active(fan_out, self.rng, self.probeable):
            self.send(member.id, Gossip(), outbox)

    def show_incarnation(self, outbox: Outbox) -> None:
        """Gossip nothing but our incarnation, which every header has.

        Who is accused by many at once, as after a partition, would else spend all copies of its updates on a few.
        """
        for member in self.members.choose_active(self.config.num_indirect_probes, self.rng, self.probeable):
            self.send(member.id, Gossip(), outbox, lambda _: [])

    def gossip_broadcasts(self, fan_out: int, outbox: Outbox) -> None:
        """As `gossip`, but only to members that the handler lets have items; for when no update waits."""
        for member in self.members.choose_active(fan_out, self.rng, self._takes_broadcasts):
            self.send(member.id, Gossip(), outbox)

    def broadcast(self, fan_out: int, outbox: Outbox) -> None:
        """Send items to some members that the handler lets have them, until none is left."""
        for member in self.members.choose_active(fan_out, self.rng, self._takes_broadcasts):
            if len(self.broadcasts):
                self.send(member.id, Broadcast(), outbox)

    def _takes_broadcasts(self, key: bytes) -> bool:
        member = self.members.get(key)
        return member is not None and self.probeable(key) and self.broadcasts.accepts(member.id)

    def _items_for(self, dst: MemberId, message: Message, room: int) -> list[bytes]:
        """Items for the part of the packet that is reserved for them, and for what the updates leave free."""
        if not (message.items and self.broadcasts.accepts(dst)):
            return []
        return self.broadcasts.fill(max(self.config.broadcast_room, room - self.backlog.size))

    def _updates_for(self, dst: MemberId, room: int) -> list[bytes]:
        """Updates from the backlog; for the accused what is said of it comes first (Lifeguard's buddy)."""
        said = self.members.claims.get(dst.key) or self.members.get(dst.key)
        if said is None or said.state not in (State.SUSPECT, State.DOWN) or not self.config.buddy:
            return self.backlog.fill(room, MAX_UPDATES)
        accusation = encode_update(said)
        return [accusation, *self.backlog.fill(room - len(accusation), MAX_UPDATES - 1)]
