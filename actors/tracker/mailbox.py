"""What the tracker can be asked and told, and the events it emits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from msgspec import Struct

from ... import runtime
from ...runtime import Feedback, Lane, Limit, Message, Overflow, Reply, Request, arguments
from ...transport.address import IP, Address, Subnet
from ...transport.gatekeeper import Claim, Ticket, Verdict
from ...transport.identity import PeerId, check_owned
from ...transport.reasons import Reason
from ...transport.record import PeerRecord
from .core.blocks import Target, canonical
from .core.known_peers import PeerInfo
from .core.peer_sets import Addresses, PeerSet, TrackedPeers
from .core.unlisted_peers import network_number
from .errors import MAX_SET_ID

# Events --------------------------------------------------------------------------------------------------------------


class PeerSetUpdate(Message, Struct, frozen=True):
    """A set was tracked. latest: that set. all: every set of the window."""

    index: int
    latest: PeerSet
    all: PeerSet


class DialableChanged(Message, Struct, frozen=True):
    """`dialable` may answer otherwise than before. One waits at a time."""

    overflow: ClassVar[Overflow] = Overflow.LATEST


class PeerBlocked(Message, Struct, frozen=True):
    """A block begins, or has another end now. until: unix seconds, infinite for one that only `unblock` ends."""

    peer: PeerId
    until: float


class PeerUnblocked(Message, Struct, frozen=True):
    """A block has ended, by `unblock` or because its time was over."""

    peer: PeerId


class IpBlocked(Message, Struct, frozen=True):
    """A block of an IP or a network begins, or has another end now. until: as in `PeerBlocked`."""

    target: IP | Subnet
    until: float


class IpUnblocked(Message, Struct, frozen=True):
    """A block of an IP or a network has ended, by `unblock` or because its time was over."""

    target: IP | Subnet


class AddressChanged(Message, Struct, frozen=True):
    """`overwrite` changed the addresses of these peers."""

    peers: tuple[PeerId, ...]


class BookFailed(Message, Struct, frozen=True):
    """The address book cannot be written, or could not be read; it is tried again. `BookRecovered` ends it."""

    why: str


class BookRecovered(Message, Struct, frozen=True):
    """The address book is written again, and lacks nothing."""


# Requests of the application -----------------------------------------------------------------------------------------


class Track(Request[None], Struct, frozen=True):
    """Make `peers` the newest set."""

    id: int
    peers: TrackedPeers


class Overwritten(Struct, frozen=True):
    """What became of each peer: another address now, the same as before, or in no tracked set."""

    changed: tuple[PeerId, ...] = ()
    unchanged: tuple[PeerId, ...] = ()
    unknown: tuple[PeerId, ...] = ()


class Overwrite(Request[Overwritten], Struct, frozen=True):
    """Change addresses in place; peers in order of their ids."""

    peers: tuple[tuple[PeerId, Address], ...]


class GetPeerSet(Request[PeerSet | None], Struct, frozen=True):
    """Read a set of the window."""

    id: int


class Blocked(Struct, frozen=True):
    """A block is in force. until: unix seconds, infinite for one that only `unblock` ends."""

    until: float


class Block(Request[Blocked], Struct, frozen=True):
    """Refuse, and disconnect. duration: seconds, infinite for good, None for at least `block_duration`.

    at_least: a block in force that ends later keeps its end.
    """

    target: Target
    duration: float | None = None
    disconnect: bool = True
    at_least: bool = False


class Unblock(Request[bool], Struct, frozen=True):
    """End a block."""

    target: Target


class BlockInForce(Struct, frozen=True):
    """A block as it stands. until: unix seconds, infinite for one that only `unblock` ends."""

    target: Target
    until: float


class GetBlocks(Request[tuple[BlockInForce, ...]], Struct, frozen=True):
    """Read every block in force."""


class GetKnown(Request[tuple[PeerInfo, ...]], Struct, frozen=True):
    """Read what is known of every peer."""


class GetTrusted(Request[tuple[PeerId, ...]], Struct, frozen=True):
    """Read who is trusted."""


class Trust(Request[bool], Struct, frozen=True):
    """Trust a peer."""

    peer: PeerId


class Distrust(Request[bool], Struct, frozen=True):
    """End the trust in a peer."""

    peer: PeerId


class Hint(Message, Struct, frozen=True):
    """Records that came from the network. source: the peer that named them, None if they do not come from one."""

    lane: ClassVar[Lane] = Lane.DATA
    overflow: ClassVar[Overflow] = Overflow.REJECT
    records: tuple[PeerRecord, ...]
    source: PeerId | None = None


# Requests of the dialling side ---------------------------------------------------------------------------------------


class Candidates(Struct, frozen=True):
    """Whom to dial, best first, and when to ask again: monotonic seconds, None while nobody only waits."""

    peers: tuple[PeerId, ...]
    next_at: float | None


class Dialable(Request[Candidates], Struct, frozen=True):
    """Ask for at most `limit` peers. urgent: connections are short, so do not let peers rest after a loss.

    avoid: /24 of IPv4 and /48 of IPv6 whose peers are left out unless they are trusted. among: only these peers; None
    for anybody.
    """

    limit: int
    exclude: frozenset[PeerId] = frozenset()
    urgent: bool = False
    avoid: frozenset[Subnet] = frozenset()
    among: frozenset[PeerId] | None = None


class Dialled(Struct, frozen=True):
    """The peer is connected, by this dial or by its own that went first."""

    peer: PeerId


class Refused(Struct, frozen=True):
    """Nothing was dialled."""

    reason: Reason


class Failed(Struct, frozen=True):
    """It was dialled, and no link came of it."""

    reason: Reason


DialResult = Dialled | Refused | Failed


class Dial(Request[DialResult], Struct, frozen=True):
    """Connect to a peer. short_lived: for a fetch, in a place beside `max_connections`."""

    peer: PeerId
    short_lived: bool = False


# Towards transport ---------------------------------------------------------------------------------------------------


class Admit(Request[Verdict], Struct, frozen=True):
    """Judge a claim."""

    claim: Claim


class Released(Message, Struct, frozen=True):
    """A ticket comes back."""

    ticket: Ticket
    reason: Reason


class Mailbox(runtime.EventMailbox):
    """How others reach the tracker. It is transport's `Gatekeeper`, and one of its observers.

    Who subscribes to PeerSetUpdate is told the newest at once; so are the blocks in force, and that the book fails.
    """

    events: ClassVar = (
        PeerSetUpdate,
        DialableChanged,
        PeerBlocked,
        PeerUnblocked,
        IpBlocked,
        IpUnblocked,
        AddressChanged,
        BookFailed,
        BookRecovered,
    )
    limits: ClassVar = {Hint: Limit(64)}

    def track(self, id: int, peers: TrackedPeers | Addresses) -> Reply[None]:
        """Make `peers` the newest set; a plain mapping lists primaries. Resolves when it has taken effect.

        id: 0 to 2**64 - 1. An empty set tracks nobody. A peer in both parts is primary. This node itself may be listed,
        which changes nothing for it. Raises ValueError for another id, what is no peer or no address, and for a peer
        without a record whose id nobody can own: that takes 0.1 ms for each that was not looked at lately. Fails
        with StaleSetId, PeerSetTooLarge or SourceIsStatic and nothing changed; with NotInEffect if transport did not
        confirm in time.
        """
        id, tracked = _set_id(id), TrackedPeers.of(peers)
        for listed in (tracked.primary, tracked.secondary):
            for peer, where in listed.items():
                if not isinstance(where, PeerRecord):  # whose signature says that somebody owns the id
                    check_owned(peer)
        return self.ask(Track(id, tracked))

    def overwrite(self, peers: Mapping[PeerId, Address]) -> Reply[Overwritten]:
        """Change addresses of tracked peers in place. Resolves when no link to an old address is left; see `track`.

        Nothing happens without peers. Raises ValueError for what is no peer or no address, and as `track` for an id.
        """
        known = TrackedPeers(peers).primary.items()
        for peer, _address_of in known:
            check_owned(peer)
        return self.ask(Overwrite(tuple((peer, _address(peer, address)) for peer, address in known)))

    def peer_set(self, id: int) -> Reply[PeerSet | None]:
        """The set with this id; None if it is not among the newest ones. Raises ValueError for what can be no id."""
        return self.ask(GetPeerSet(_set_id(id)))

    def block(
        self, target: Target, duration: float | None = None, *, disconnect: bool = True, at_least: bool = False
    ) -> Reply[Blocked]:
        """Disconnect and refuse a peer, an IP or a network of IPs, for `duration` seconds from now.

        Infinite is for good. A block in force ends then too, earlier or later than before. With `at_least`, as for
        blocks that no operator asked for, it keeps its end if that is later; so it does without a `duration`, which is
        then at least `block_duration`. Resolves when nothing of whom it concerns is delivered any more and the block is
        stored; without `disconnect`, open connections stay until they end or the block is repeated with it, and no
        other is let in. Fails with CannotBlock, NotInEffect or NotStored. Raises ValueError for what can be no target,
        as an id that nobody can own, and for a duration that is not above 0.
        """
        target = _target(target)
        if duration is not None:
            duration = arguments.seconds(duration, "a block")
        return self.ask(Block(target, duration, disconnect, at_least))

    def unblock(self, target: Target) -> Reply[bool]:
        """End the block of this very target; False if there was none. Resolves when that is in effect and stored.

        Blocks of a peer, of its IP and of its network are apart: ending one ends no other. Fails with CannotBlock for
        this node itself.
        """
        return self.ask(Unblock(_target(target)))

    def blocks(self) -> Reply[tuple[BlockInForce, ...]]:
        """Every block in force: of peers, then of IPs, then of networks, each oldest first."""
        return self.ask(GetBlocks())

    def trusted(self) -> Reply[tuple[PeerId, ...]]:
        """Who is trusted, in order of their ids."""
        return self.ask(GetTrusted())

    def known(self) -> Reply[tuple[PeerInfo, ...]]:
        """Everybody of whom something is known, who is trusted or blocked, and how they are connected; in no order."""
        return self.ask(GetKnown())

    def trust(self, peer: PeerId) -> Reply[bool]:
        """Trust a peer: it is dialled first, and `private` lets it in. False if it was trusted. It ends no block.

        Fails with CannotTrust for this node itself. Raises ValueError for an id that nobody can own.
        """
        return self.ask(Trust(check_owned(peer)))

    def distrust(self, peer: PeerId) -> Reply[bool]:
        """End the trust; False if there was none. In `private` the peer is disconnected. Fails with CannotTrust."""
        return self.ask(Distrust(check_owned(peer)))

    def hint(self, records: Iterable[PeerRecord], source: PeerId | None = None) -> Feedback:
        """Records from the network; source: the peer that named them, whose share of the unlisted peers is bounded.

        Their signatures are checked; they never lower trust nor move a given address.
        """
        return self.tell(Hint(tuple(records), source))

    def dialable(
        self,
        limit: int,
        exclude: Iterable[PeerId] = (),
        *,
        urgent: bool = False,
        avoid: Iterable[Subnet] = (),
        among: frozenset[PeerId] | None = None,
    ) -> Reply[Candidates]:
        """Whom to dial; nothing is reserved. urgent: connections are short (below the minimum).

        avoid, among: see `Dialable`. Raises ValueError for a network of another size, and for a limit that is not
        from 0 to 2**31 - 1.
        """
        limit = arguments.whole(limit, "the number of peers to dial", 0, arguments.MAX_COUNT)
        subnets = frozenset(avoid)
        for each in subnets:
            network_number(each)
        return self.ask(Dialable(limit, frozenset(exclude), urgent, subnets, among))

    def dial(self, peer: PeerId, *, short_lived: bool = False) -> Reply[DialResult]:
        """Connect to a peer; answered when that has succeeded or failed. short_lived: see `Dial`."""
        return self.ask(Dial(PeerId(peer), short_lived))

    def admit(self, claim: Claim) -> Reply[Verdict]:
        """See `transport.mailbox.Gatekeeper`."""
        return self.ask(Admit(claim))

    def released(self, ticket: Ticket, reason: Reason) -> Feedback:
        """See `transport.mailbox.Gatekeeper`."""
        return self.tell(Released(ticket, reason))


def _set_id(id: int) -> int:
    return arguments.whole(id, "the id of a peer set", 0, MAX_SET_ID)


def _target(target: Target) -> Target:
    return canonical(check_owned(target) if isinstance(target, PeerId) else target)


def _address(peer: PeerId, address: Address | PeerRecord | None) -> Address:
    if not isinstance(address, Address):
        raise ValueError(f"{peer} is to have an address")  # noqa: TRY004
    return address
