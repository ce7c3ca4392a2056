"""`Swim`: who is alive, as a state machine without clock, socket or thread.

The caller passes in packets, due timers and the time, and performs the effects that an operation leaves in the
outbox, in order:

    outbox = Outbox()
    swim = Swim.new(MemberId(key, generation), Config.new_lan(50), random.Random(), renew=renew)
    swim.join(seeds, now, outbox)
    for effect in outbox.drain():
        match effect:
            case Send(to, data): ...                    # a datagram to `to`
            case Schedule(timer, delay): ...            # later: swim.handle_timer(timer, now, outbox)
            case Notify(notification): ...              # MemberUp, MemberDown, ...
    swim.handle_data(datagram, now, outbox)             # then drain again

Operations have Foca's names (membership: beside foca); `join` and `probe_next` are ours. `now` is in monotonic
seconds.
"""

import random
from collections.abc import Iterable, Iterator
from typing import Self

from .broadcasts import BroadcastHandler, Broadcasts, NoBroadcasts
from .codec import encode_item
from .config import Config
from .core import checks, connection, probes, reactions, sync, updates
from .core.member_list import Accept
from .core.state import Admits, ConnectionState, Core, Renew, Settled
from .effects import (
    AnnounceToSeeds,
    BeginCheck,
    ChangeSuspectToDown,
    CheckSuspect,
    Outbox,
    PeriodicAnnounce,
    PeriodicAnnounceDown,
    PeriodicGossip,
    PeriodicSync,
    ProbeRandomMember,
    RemoveDown,
    Repeating,
    SendIndirectProbe,
    SendNack,
    SendSyncPart,
    Timer,
)
from .errors import Counters, DataTooBigError, EmptyBroadcastError, NotUndeadError, SameIdentityError
from .member import Member, MemberId, State
from .messages import Announce
from .proofs import Proofs, Trusting

__all__ = ["Swim"]


def _never(identity: MemberId) -> MemberId | None:
    return None


def _always(key: bytes) -> bool:
    return True


def _no_connection(key: bytes) -> bool:
    return False


def _anybody(update: Member) -> bool:
    return True


def _all_alike() -> Accept | None:
    return None


_TRUSTING = Trusting()


class Swim:
    """One member of a cluster. Not thread-safe; make one with `Swim.new`."""

    __slots__ = ("_core",)

    def __init__(self, core: Core) -> None:
        self._core = core

    @classmethod
    def new(
        cls,
        identity: MemberId,
        config: Config,
        rng: random.Random,
        *,
        renew: Renew = _never,
        probeable: Accept = _always,
        admits: Admits = _anybody,
        connected: Accept = _no_connection,
        proofs: Proofs = _TRUSTING,
        settled: Settled = _all_alike,
    ) -> Self:
        """A member that knows nobody; nothing is sent or scheduled.

        `renew` gives the identity to go on with after this life, of the same key and a higher generation, or None for
        none. `probeable(key)` is false for a member that we must neither probe nor accuse (design: local blocks).
        `admits(update)` is asked before a key that is not held becomes a member; what it refuses has no effect.
        `connected(key)` is true for one that a connection with heartbeats shows to be alive. `proofs` makes and checks
        the proofs of what members say of their lives. `settled()` tells the members that have been there for a while
        from those that came lately, of which nobody knows yet whether they stay; None if all are alike.
        """
        return cls.with_custom_broadcast(
            identity,
            config,
            rng,
            NoBroadcasts(),
            renew=renew,
            probeable=probeable,
            admits=admits,
            connected=connected,
            proofs=proofs,
            settled=settled,
        )

    @classmethod
    def with_custom_broadcast(
        cls,
        identity: MemberId,
        config: Config,
        rng: random.Random,
        handler: BroadcastHandler,
        *,
        renew: Renew = _never,
        probeable: Accept = _always,
        admits: Admits = _anybody,
        connected: Accept = _no_connection,
        proofs: Proofs = _TRUSTING,
        settled: Settled = _all_alike,
    ) -> Self:
        """As `new`, with a handler for the application's broadcasts: `NamedBroadcasts`, or one of your own."""
        counters = Counters()
        broadcasts = Broadcasts(handler, counters)
        return cls(
            Core(identity, config, rng, renew, probeable, broadcasts, counters, proofs, connected, admits, settled)
        )

    @property
    def identity(self) -> MemberId:
        """Our present identity; changes with a rejoin."""
        return self._core.identity

    @property
    def incarnation(self) -> int:
        return self._core.incarnation

    @property
    def connection_state(self) -> ConnectionState:
        return self._core.connection_state

    @property
    def config(self) -> Config:
        return self._core.config

    @property
    def counters(self) -> Counters:
        return self._core.counters

    @property
    def health(self) -> int:
        """Lifeguard's score: 0 if we keep up with our probes; their times are score + 1 times as long."""
        return self._core.health

    @property
    def has_left(self) -> bool:
        """Whether `leave_cluster` made us Undead."""
        return self._core.has_left

    @property
    def num_members(self) -> int:
        """Active members, ourselves not counted."""
        return self._core.members.num_active

    @property
    def num_known(self) -> int:
        """Members held, Down ones included."""
        return len(self._core.members.by_key)

    def has_room(self, now: float) -> bool:
        """Whether another member can be taken in: less than `max_members` are held, or a dead one can go for it."""
        return updates.has_room(self._core, now)

    def iter_members(self) -> Iterator[Member]:
        """The active members (Alive and Suspect) as of now, in the order we first heard of them."""
        return (member for member in self._core.members if member.is_active)

    def iter_membership_state(self) -> Iterator[Member]:
        """Every member that we hold now, Down ones included: to save or replicate them."""
        return iter(self._core.members)

    def get(self, key: bytes) -> Member | None:
        """What we hold about the member with this key, in whatever state; None if nothing."""
        return self._core.members.get(key)

    def updates_backlog(self) -> int:
        """How many members have an update still to be sent."""
        return len(self._core.backlog)

    def custom_broadcast_backlog(self) -> int:
        """How many of the application's broadcasts are still to be sent."""
        return len(self._core.broadcasts)

    def apply_many(
        self,
        members: Iterable[Member],
        do_broadcast: bool,
        now: float,
        outbox: Outbox,
        *,
        source: bytes | None = None,
    ) -> None:
        """Apply updates; without `do_broadcast` they are not passed on.

        They are believed, as from a saved state, unless there is a `source`: the key of the member that says so. Then
        they are taken as if it had gossiped them: one with a false proof is not applied, and if it is about the source
        itself, none is (see `Cheated`).
        """
        news = members if source is None else updates.sift(self._core, members, source, outbox)
        if news is not None:
            heard = source is not None
            updates.apply_many(self._core, news, do_broadcast, now, outbox, heard=heard)

    def alive(self, key: bytes, now: float, outbox: Outbox) -> None:
        """The present life of this member was heard by another way than our packets: counts as evidence of life."""
        held = self._core.members.get(key)
        if held is not None and held.is_active:
            updates.hear_directly(self._core, key, now, outbox)
            connection.update_connection_state(self._core, now, outbox)

    def outlive(self, later: MemberId, now: float, outbox: Outbox) -> None:
        """Go on above a later life of ours, which our own signature proves: the clock was set back, or far ahead once.

        Nothing happens unless it is of our key and later; at most `max_rejoins_per_minute` times a minute.
        """
        core = self._core
        if later.key == core.identity.key and later.generation > core.identity.generation:
            updates.begin_new_life(core, now, outbox, later.generation)
            connection.update_connection_state(core, now, outbox)

    def announce(self, dst: MemberId, outbox: Outbox) -> None:
        """Announce to `dst` (any generation of its key), which answers with a Feed. Allowed in every state."""
        self._core.send(dst, Announce(), outbox)

    def join(self, seeds: Iterable[MemberId], now: float, outbox: Outbox) -> None:
        """Announce to the seeds now, and again with back-off: to all while we are isolated (defects: D11), else to
        those that nothing was ever heard of.

        Replaces the seeds given before. After `leave_cluster` call `change_identity` first.
        """
        self._core.set_seeds(seeds)
        connection.announce_to_seeds(self._core, outbox)
        connection.update_connection_state(self._core, now, outbox)

    def gossip(self, outbox: Outbox) -> None:
        """Send waiting updates to `num_indirect_probes` random active members; without any, to show our incarnation."""
        self._core.gossip(self._core.config.num_indirect_probes, outbox)

    def add_broadcast(self, data: bytes) -> bool:
        """Spread `data` with the next packets, or now with `broadcast`; False if the handler calls it stale.

        Raises EmptyBroadcastError, DataTooBigError for more bytes than packets have room for (defects: D5), and
        CustomBroadcastError if the handler raised; nothing is queued then.
        """
        core = self._core
        if not data:
            raise EmptyBroadcastError("a broadcast has at least one byte")
        if len(encode_item(data)) > core.config.broadcast_room:
            room = f"{core.config.broadcast_room} bytes with its framing (Config.broadcast_share)"
            raise DataTooBigError(f"a broadcast of {len(data)} bytes; it must fit into {room}")
        return core.broadcasts.take(data, None, core.config, core.copies)

    def broadcast(self, outbox: Outbox) -> None:
        """Send the application's broadcasts now, to `num_indirect_probes` random members that the handler accepts."""
        self._core.broadcast(self._core.config.num_indirect_probes, outbox)

    def probe_next(self, key: bytes) -> None:
        """Probe this member next, if it is active; for what is no evidence of death (flows: end of a link 6)."""
        self._core.members.probe_next(key)

    def greet(self, target: MemberId, now: float, outbox: Outbox, *, by: bytes | None = None) -> None:
        """Ask one who is no member whether it is there. Its answer is a packet of it, so it becomes a member.

        `by` also asks helpers to ping it: the member with this key, and, at a pace, random others. If it answers one of
        these that is notified as Answered, and it becomes a member if `apply_many` says so. `forget` ends it.
        """
        probes.greet(self._core, target, by, now, outbox)

    def forget(self, key: bytes, now: float, outbox: Outbox) -> Member | None:
        """Forget a member, in whatever state, without a word to the others; it may come back. What was held, if any."""
        held = updates.forget(self._core, key, outbox)
        connection.update_connection_state(self._core, now, outbox)
        return held

    def leave_cluster(self, outbox: Outbox) -> None:
        """Announce that we have left, and become Undead; no echo of that makes us rejoin (defects: D3)."""
        core = self._core
        farewell = core.proofs.farewell(core.identity)
        core.queue(Member(core.identity, core.incarnation, State.LEFT, (), farewell))
        self.gossip(outbox)
        core.has_left = True
        updates.become_undead(core, outbox)

    def change_identity(self, new: MemberId, now: float, outbox: Outbox) -> None:
        """Go on as `new`, with every member kept; ends Undead.

        Raises SameIdentityError unless the key is another or the generation is higher.
        """
        current = self._core.identity
        if new.key == current.key and new.generation <= current.generation:
            raise SameIdentityError(f"{new} cannot follow {current}: the generation must be higher")
        updates.adopt(self._core, new, outbox)
        connection.update_connection_state(self._core, now, outbox)

    def reuse_down_identity(self, now: float, outbox: Outbox) -> None:
        """End Undead with the same identity, which all others must have forgotten: wait for `remove_down_after`.

        Raises NotUndeadError in any other state.
        """
        core = self._core
        if not core.is_undead:
            raise NotUndeadError(f"{core.identity} is {core.connection_state.name.lower()}, not undead")
        core.connection_state, core.incarnation, core.has_left = ConnectionState.DISCONNECTED, 0, False
        core.backlog.discard(core.identity.key)
        connection.update_connection_state(core, now, outbox)

    def set_config(self, config: Config) -> None:
        """Go over to another configuration, from the next use of each value on.

        Waiting broadcasts that do not fit any more are dropped and counted. Raises InvalidConfigError if a probe timer
        differs or a periodic task would begin; nothing has changed then.
        """
        core = self._core
        core.config.check_change(config)
        core.config = config
        core.broadcasts.cut(config)
        core.adjust_health(0)  # brings the score below the new bound

    def handle_timer(self, timer: Timer, now: float, outbox: Outbox) -> None:
        """Handle a timer that is due. A stale or repeated one does nothing (defects: D6)."""
        core = self._core
        match timer:
            case RemoveDown(member):
                core.remove(member, now, outbox)
            case ChangeSuspectToDown():
                checks.declare_down(core, timer, now, outbox)
            case CheckSuspect():
                checks.take_step(core, timer, now, outbox)
            case SendNack():
                probes.send_nack(core, timer, outbox)
            case _:
                late = core.take_awaited_timer(timer, now)
                if late is not None:
                    self._handle_awaited(timer, late, now, outbox)

    def _handle_awaited(self, timer: Repeating | SendIndirectProbe, late: float, now: float, outbox: Outbox) -> None:
        core = self._core
        match timer:
            case SendIndirectProbe():
                probes.ask_helpers(core, outbox)
            case ProbeRandomMember():
                probes.probe_random_member(core, late, now, outbox)
            case PeriodicAnnounce():
                connection.announce_to_active(core, now, outbox)
            case PeriodicGossip():
                connection.push_gossip(core, now, outbox)
            case PeriodicAnnounceDown():
                connection.announce_to_down(core, now, outbox)
            case AnnounceToSeeds():
                connection.announce_to_seeds_again(core, now, outbox)
            case PeriodicSync():
                sync.sync_with_anybody(core, now, outbox)
            case BeginCheck():
                checks.begin_next(core, now, outbox)
            case SendSyncPart():
                sync.send_next_part(core, now, outbox)

    def handle_data(self, data: bytes, now: float, outbox: Outbox, *, sender: bytes | None = None) -> None:
        """Handle a packet. `sender` is the key that the transport has authenticated, if it does (defects: D12).

        Raises DataTooBigError, DecodeError, ForgedSenderError, DataFromOurselvesError, ForgedProofError and
        UnknownLifeError with nothing changed, and IndirectForOurselvesError with the sender and its updates applied.
        """
        reactions.receive(self._core, data, now, outbox, sender)
