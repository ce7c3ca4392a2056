"""The messages that the membership handles, and the events that it emits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar, cast

from msgspec import Struct

from ... import runtime
from ...runtime import Feedback, Limit, Message, Reply, Request
from ...transport.address import Address, parse_peer
from ...transport.identity import PeerId, check_owned
from ...transport.mailbox import Packet
from ...transport.record import PeerRecord
from .core.tags import encode_tags, tags_of
from .swim import State

# Events --------------------------------------------------------------------------------------------------------------


class MemberUp(Message, Struct, frozen=True):
    """A peer is a visible member now: SWIM holds it alive, and its own signed record is known."""

    peer: PeerId
    record: PeerRecord


class MemberProved(Message, Struct, frozen=True):
    """A visible member has answered this node itself. Until then others alone have told of it."""

    peer: PeerId


class MemberDown(Message, Struct, frozen=True):
    """A visible member has been declared Down, or has left."""

    peer: PeerId


class MemberUpdated(Message, Struct, frozen=True):
    """A member has a newer record: it restarted, moved, changed its tags, or came back after it was declared Down."""

    peer: PeerId
    record: PeerRecord


class MemberSuspected(Message, Struct, frozen=True):
    """A member does not answer. It is still a member, and has some time to refute the suspicion."""

    peer: PeerId


class MemberRefuted(Message, Struct, frozen=True):
    """A suspected member has refuted the suspicion."""

    peer: PeerId


class Joined(Message, Struct, frozen=True):
    """The first other member is known, or has answered: this node is not alone any more."""


class Isolated(Message, Struct, frozen=True):
    """The last other member is gone; or none has answered 20 s after joining, but seeds whose members do not answer.

    Seeds and members held Down are announced to until one answers. `Joined` comes when another member does.
    """


class Rejoined(Message, Struct, frozen=True):
    """The others had declared this node Down; it goes on under this newer record."""

    record: PeerRecord


class KeyInUse(Message, Struct, frozen=True):
    """The others declare this node Down again and again: another process seems to run with its key."""


class MembersLeftOut(Message, Struct, frozen=True):
    """The members are more than the tracker takes: its peer set is without some. Told whenever their number changes.

    count: how many are left out, 0 when all fit again. limit: peers that the tracker takes, this node included.
    """

    count: int
    limit: int


class MemberFloods(Message, Struct, frozen=True):
    """A peer keeps on sending more than any honest member does, and is closed; told at most once a minute of each.

    kind: of the packet that was one too many (`sender_limits`).
    """

    peer: PeerId
    kind: str


class MemberCheats(Message, Struct, frozen=True):
    """A peer has shown a proof that is not its owner's, or signed two records of one life; once a minute of each.

    about: whose proof it was to be. If that is the peer itself, it is closed and blocked for ten minutes.
    """

    peer: PeerId
    why: str
    about: PeerId


# Requests and commands -----------------------------------------------------------------------------------------------

AnySeed = PeerRecord | tuple[PeerId, Address] | str
"""A signed record, a peer and its address, or both as text: PEERID@tcp://HOST:PORT."""

AnySeeds = Iterable[AnySeed]
_PAIR = 2


class Join(Request[None], Struct, frozen=True):
    """Join the cluster. seeds: peers and their addresses; None for those given last, at first the configuration's."""

    seeds: tuple[tuple[PeerId, Address], ...] | None = None


class Discovered(Message, Struct, frozen=True):
    """Discovery has found these peers, by their own signed records."""

    records: tuple[PeerRecord, ...]


class SetTags(Request[None], Struct, frozen=True):
    """Replace this node's tags. metadata: encoded by `tags.encode_tags`."""

    metadata: bytes


class Leave(Request[None], Struct, frozen=True):
    """Leave the cluster."""


class MemberInfo(Struct, frozen=True):
    """One other member.

    since: unix seconds at which it became active, or Down. rtt: moving average of the round trip time of our probes, in
    seconds; None before the first answer.
    """

    peer: PeerId
    state: State
    incarnation: int
    record: PeerRecord
    since: float
    rtt: float | None = None

    @property
    def tags(self) -> Mapping[str, str]:
        """The tags in the member's record."""
        return tags_of(self.record)


class Members(Struct, frozen=True):
    """The members whose records are known, at one moment; in the order of their ids, Down ones too.

    own: this node's record; None before the first `join`. health: Lifeguard's score of this node: 0 if it
    keeps up with its probes, more the slower it is.
    """

    own: PeerRecord | None = None
    others: tuple[MemberInfo, ...] = ()
    health: int = 0

    @property
    def active(self) -> tuple[MemberInfo, ...]:
        """The members that are Alive or Suspect."""
        return tuple(member for member in self.others if member.state.is_active)


class GetMembers(Request[Members], Struct, frozen=True):
    """List the members."""


class Mailbox(runtime.EventMailbox):
    """The interface of the membership. It is one of transport's observers, and receives its packets.

    A subscriber to MemberUp gets one event for each present member at once, one to MemberProved likewise, after it.
    """

    events: ClassVar = (
        MemberUp,
        MemberDown,
        MemberProved,
        MemberUpdated,
        MemberSuspected,
        MemberRefuted,
        Joined,
        Isolated,
        Rejoined,
        KeyInUse,
        MembersLeftOut,
        MemberFloods,
        MemberCheats,
    )
    limits: ClassVar = {Packet: Limit(4096, 16 * 2**20)}

    def join(self, seeds: AnySeeds | AnySeed | None = None) -> Reply[None]:
        """Join the cluster, also again after `leave`; call it once transport listens.

        seeds: one or many to announce this node to, now and while it is isolated: PEERID@tcp://HOST:PORT, a peer with
        its address, or its signed record; None for those of the last `join`, at first of the configuration. While
        joined, another `join` only replaces the seeds. This node itself is skipped. Resolves when the announcements
        have been sent. Fails with NoAddress if this node cannot be dialled. Raises ValueError for a text that is no
        seed, for an id that nobody can own, and for a record that is forged or without an address.
        """
        if seeds is None:
            return self.ask(Join())
        return self.ask(Join(tuple(map(_seed, _many(seeds)))))

    def discovered(self, records: Iterable[PeerRecord]) -> Feedback:
        """Treat the owners of these signed records as seeds; the newest 64 are remembered.

        They are announced to while this node is isolated, at once if it is now. Forged records are refused and counted.
        """
        return self.tell(Discovered(tuple(records)))

    def set_tags(self, tags: Mapping[str, str]) -> Reply[None]:
        """Replace this node's tags, which all members see; resolves when its record has them.

        This node goes on under a new generation: 8 times at once, then once in 4 s, or the others would not keep up.
        Tags that are changed more often wait, and the last ones count. Raises ValueError for more than 512 bytes.
        """
        return self.ask(SetTags(encode_tags(tags)))

    def leave(self) -> Reply[None]:
        """Leave: tell the others, so that nobody has to find out by probing. Resolves when they have been sent that."""
        return self.ask(Leave())

    def members(self) -> Reply[Members]:
        """The known members, and this node's own record and health."""
        return self.ask(GetMembers())


def _many(seeds: AnySeeds | AnySeed) -> AnySeeds:
    if isinstance(seeds, str | PeerRecord):
        return (seeds,)
    if isinstance(seeds, tuple) and len(seeds) == _PAIR and isinstance(seeds[1], Address):
        return (cast(tuple[PeerId, Address], seeds),)
    return cast(AnySeeds, seeds)


def _seed(seed: AnySeed) -> tuple[PeerId, Address]:
    if isinstance(seed, str):
        return parse_peer(seed)
    if not isinstance(seed, PeerRecord):
        return check_owned(seed[0]), seed[1]
    if seed.address is None:
        raise ValueError(f"the record of seed {seed.peer.short} has no address: a seed can be dialled")
    if not seed.verify():
        raise ValueError(f"the record of seed {seed.peer.short} is forged: its signature is not that peer's")
    return seed.peer, seed.address
