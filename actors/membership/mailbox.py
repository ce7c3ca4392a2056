"""What the membership can be asked and told, and the events it emits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

from ... import runtime
from ...runtime import Feedback, Limit, Message, Reply, Request
from ...transport.address import Address, parse_peer
from ...transport.identity import PeerId
from ...transport.mailbox import Packet
from ...transport.record import PeerRecord
from .swim import State
from .tags import encode_tags, tags_of

# Events --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MemberUp(Message):
    """A member is there, by its own signed record."""

    peer: PeerId
    record: PeerRecord


@dataclass(frozen=True, slots=True)
class MemberDown(Message):
    """A member has died, or has left."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class MemberUpdated(Message):
    """A member has a newer record: it was restarted, has moved, or came back after it was held dead."""

    peer: PeerId
    record: PeerRecord


@dataclass(frozen=True, slots=True)
class MemberSuspected(Message):
    """A member does not answer; it is still a member, and has some time to show that it lives."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class MemberRefuted(Message):
    """A suspected member has shown that it lives."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class Joined(Message):
    """The first other member is there."""


@dataclass(frozen=True, slots=True)
class Isolated(Message):
    """The last other member is gone. The seeds, and members held dead, are tried again until somebody answers."""


@dataclass(frozen=True, slots=True)
class Rejoined(Message):
    """The others held this node dead; it goes on under this newer record of its own."""

    record: PeerRecord


@dataclass(frozen=True, slots=True)
class KeyInUse(Message):
    """The others hold this node dead again and again: another process seems to run with its key."""


@dataclass(frozen=True, slots=True)
class PeerSetRefused(Message):
    """The members are too many for the tracker, which keeps the set before. listed: this node included."""

    listed: int
    limit: int


# Requests and commands -----------------------------------------------------------------------------------------------

AnySeed = PeerRecord | tuple[PeerId, Address] | str
"""A signed record, a peer and its address, or both as text: PEERID@tcp://HOST:PORT."""

AnySeeds = Iterable[AnySeed]
_PAIR = 2


@dataclass(frozen=True, slots=True)
class Join(Request[None]):
    """Take part. seeds: peers and where they are; None for those of the configuration."""

    seeds: tuple[tuple[PeerId, Address], ...] | None = None


@dataclass(frozen=True, slots=True)
class Discovered(Message):
    """Others may be there."""

    records: tuple[PeerRecord, ...]


@dataclass(frozen=True, slots=True)
class SetTags(Request[None]):
    """Other tags. metadata: as `tags.encode_tags` makes them."""

    metadata: bytes


@dataclass(frozen=True, slots=True)
class Leave(Request[None]):
    """Say goodbye."""


@dataclass(frozen=True, slots=True)
class MemberInfo:
    """One other member.

    since: unix seconds at which it came up or went down. rtt: seconds that its answers to our probes take, as a moving
    average; None before the first.
    """

    peer: PeerId
    state: State
    incarnation: int
    record: PeerRecord
    since: float
    rtt: float | None = None

    @property
    def tags(self) -> Mapping[str, str]:
        """What the member says of itself."""
        return tags_of(self.record)


@dataclass(frozen=True, slots=True)
class Members:
    """Who is known, by a signed record, at one moment; in the order of their ids, Down ones too.

    own: this node's record; None before the first `join`. health: 0 if this node keeps up with its own probes; more is
    how much slower than it should be it holds itself to be (Lifeguard).
    """

    own: PeerRecord | None = None
    others: tuple[MemberInfo, ...] = ()
    health: int = 0

    @property
    def active(self) -> tuple[MemberInfo, ...]:
        """Those that are not Down."""
        return tuple(member for member in self.others if member.state.is_active)


@dataclass(frozen=True, slots=True)
class GetMembers(Request[Members]):
    """Who is there."""


class Mailbox(runtime.EventMailbox):
    """How others reach the membership. It is one of transport's observers, and takes its packets.

    Who subscribes to MemberUp is told one of each present member at once.
    """

    events: ClassVar = (
        MemberUp,
        MemberDown,
        MemberUpdated,
        MemberSuspected,
        MemberRefuted,
        Joined,
        Isolated,
        Rejoined,
        KeyInUse,
        PeerSetRefused,
    )
    limits: ClassVar = {Packet: Limit(4096, 16 * 2**20)}

    def join(self, seeds: AnySeeds | AnySeed | None = None) -> Reply[None]:
        """Take part from now on, also again after `leave`; call it once transport listens.

        seeds: one or many to announce this node to, now and while it is isolated: PEERID@tcp://HOST:PORT, a peer with
        its address, or its signed record; None for those of the last `join`, at first of the configuration. A later
        `join` only replaces them. This node itself among them is ignored. Resolves when the announcements are on their
        way. Fails with NoAddress if this node cannot be dialled. Raises ValueError for a text that is no seed, and for
        a record that is forged or without an address.
        """
        if seeds is None:
            return self.ask(Join())
        return self.ask(Join(tuple(map(_seed, _many(seeds)))))

    def discovered(self, records: Iterable[PeerRecord]) -> Feedback:
        """Others may be there, by their own signed records, of which the newest 64 are remembered.

        They are announced to while this node is isolated, at once if it is now. Forged records are refused and counted.
        """
        return self.tell(Discovered(tuple(records)))

    def set_tags(self, tags: Mapping[str, str]) -> Reply[None]:
        """Tell the others these tags in place of the present ones; resolves when our record has them.

        This node goes on under a new generation. Raises ValueError for tags of more than 512 bytes.
        """
        return self.ask(SetTags(encode_tags(tags)))

    def leave(self) -> Reply[None]:
        """Tell the others that this node goes, so that nobody has to find out. Resolves when that has been said."""
        return self.ask(Leave())

    def members(self) -> Reply[Members]:
        """Who is there."""
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
        return seed[0], seed[1]
    if seed.address is None:
        raise ValueError(f"the record of seed {seed.peer.short} has no address: a seed can be dialled")
    if not seed.verify():
        raise ValueError(f"the record of seed {seed.peer.short} is forged: its signature is not that peer's")
    return seed.peer, seed.address
