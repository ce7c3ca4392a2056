"""What connections can be asked, and the events it emits."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import ClassVar, Protocol

from msgspec import Struct

from ... import runtime
from ...runtime import Feedback, Message, Overflow, Reply, Request, arguments
from ...runtime.arguments import SHOWN, shortened
from ...transport.address import IP, Subnet
from ...transport.gatekeeper import Link
from ...transport.identity import PeerId, check_owned
from ...transport.reasons import Reason
from ..tracker.mailbox import Blocked, BlockInForce
from .core.bump import Bump
from .core.decay import Decay
from .core.peer import MAX_WEIGHT, weight_of
from .core.reports import Connection, Info, TagInfo, TrimReport
from .errors import TagClosed, check_other

__all__ = [  # what other actors use of it
    "Connected",
    "Counts",
    "Disconnected",
    "Mailbox",
    "PeerConnected",
    "PeerDisconnected",
    "TrimReport",
]


# Events: told to subscribers -----------------------------------------------------------------------------------------


class Counts(Message, Struct, frozen=True):
    """How many connections there are. closing: chosen to be closed and not yet gone; not among `open`."""

    overflow: ClassVar[Overflow] = Overflow.LATEST
    open: int
    closing: int


class Connected(Message, Struct, frozen=True):
    """A connection is there. Once for each, and before its `Disconnected`."""

    link: Link


class Disconnected(Message, Struct, frozen=True):
    """A connection is gone, for this reason. Once for each."""

    link: Link
    reason: Reason


class PeerConnected(Message, Struct, frozen=True):
    """The first connection to a peer is there. short_lived: for a fetch, and counted nowhere."""

    peer: PeerId
    short_lived: bool = False


class PeerDisconnected(Message, Struct, frozen=True):
    """The last connection to a peer is gone, for this reason. short_lived: it was for a fetch."""

    peer: PeerId
    reason: Reason
    short_lived: bool = False


# Told and asked: the method of each name says what it means -----------------------------------------------------------


class TagPeer(Request[None], Struct, frozen=True):
    peer: PeerId
    tag: str
    weight: int


class UntagPeer(Request[bool], Struct, frozen=True):
    peer: PeerId
    tag: str


class UpsertTag(Request[int], Struct, frozen=True):
    peer: PeerId
    tag: str
    function: Callable[[int], int]


class GetTagInfo(Request[TagInfo | None], Struct, frozen=True):
    peer: PeerId


class RegisterDecayingTag(Request["DecayingTag"], Struct, frozen=True):
    name: str
    interval: float
    decay: Decay
    bump: Bump


class BumpTag(Message, Struct, frozen=True):
    tag_id: int
    peer: PeerId
    delta: int


class RemoveTag(Message, Struct, frozen=True):
    tag_id: int
    peer: PeerId


class CloseTag(Request[None], Struct, frozen=True):
    tag_id: int


class Protect(Request[None], Struct, frozen=True):
    peer: PeerId
    tag: str


class Unprotect(Request[bool], Struct, frozen=True):
    peer: PeerId
    tag: str


class IsProtected(Request[bool], Struct, frozen=True):
    peer: PeerId
    tag: str | None


class Busy(Message, Struct, frozen=True):
    peer: PeerId
    delta: int


class Block(Request[Blocked], Struct, frozen=True):
    target: PeerId | IP | Subnet
    duration: float | None
    disconnect: bool


class Unblock(Request[bool], Struct, frozen=True):
    target: PeerId | IP | Subnet


class GetBlocks(Request[tuple[BlockInForce, ...]], Struct, frozen=True):
    """Every block in force."""


class Trim(Request[TrimReport], Struct, frozen=True):
    target: int | None = None
    spare: frozenset[PeerId] = frozenset()


class ForceTrim(Request[TrimReport], Struct, frozen=True):
    target: int | None = None
    include_protected: bool = True


class Close(Request[None], Struct, frozen=True):
    """Do nothing by itself any more."""


class CheckLimit(Request[None], Struct, frozen=True):
    limit: int


class Listener(Protocol):
    """Callbacks that are told of connections, on a thread of their own and one after the other."""

    def connected(self, link: Link) -> object:
        """As the event `Connected`."""

    def disconnected(self, link: Link, reason: Reason) -> object:
        """As the event `Disconnected`."""


class Notify(Message, Struct, frozen=True):
    listener: Listener


class StopNotify(Message, Struct, frozen=True):
    listener: Listener


class GetInfo(Request[Info], Struct, frozen=True):
    """The marks and the numbers."""


class GetConnections(Request[tuple[Connection, ...]], Struct, frozen=True):
    """The open connections."""


class DecayingTag:
    """An open decaying tag: made by `register_decaying_tag`. name: unique among those open. interval: seconds."""

    __slots__ = ("_id", "_mailbox", "_me", "closed", "interval", "name")

    def __init__(self, mailbox: Mailbox, id: int, name: str, interval: float, me: PeerId | None = None) -> None:
        """interval: the one in effect, not below the resolution. me: this node, which nobody values."""
        self.name = name
        self.interval = interval
        self.closed = False
        self._mailbox = mailbox
        self._id = id
        self._me = me

    def bump(self, peer: PeerId, delta: int) -> Feedback:
        """Change a peer's weight by the tag's bump function. Raises TagClosed after `close`, IsThisNode, ValueError.

        What was bumped before `close` is handled before it, so nothing of it is left behind.
        """
        self._check_open()
        return self._mailbox.tell(BumpTag(self._id, check_other(check_owned(peer), self._me), weight_of(delta)))

    def remove(self, peer: PeerId) -> Feedback:
        """Take the tag from a peer; nothing happens if it has none. Raises as `bump`."""
        self._check_open()
        return self._mailbox.tell(RemoveTag(self._id, check_other(check_owned(peer), self._me)))

    def close(self) -> Reply[None]:
        """Take the tag from all peers and end it; its name is free again. A second time changes nothing."""
        if self.closed:
            return Reply.of(None)
        self.closed = True
        return self._mailbox.ask(CloseTag(self._id))

    def _check_open(self) -> None:
        if self.closed:
            raise TagClosed(f"the decaying tag {self.name!r} is closed")

    def __repr__(self) -> str:
        return f"<DecayingTag {self.name!r} each {self.interval:g} s{', closed' if self.closed else ''}>"


class Mailbox(runtime.EventMailbox):
    """How the others reach connections.

    Wherever a peer or a tag is given, ValueError is raised for what is none: an id that nobody can own is no peer, a
    tag is a text of 1 to 256 characters. A weight is a whole number of 32 bits, so that whatever a peer is worth can be
    sent and shown: ValueError for a larger one, TypeError for what is no whole number. This node has no connections to
    itself: what changes a tag or a protection of it fails with `IsThisNode`, and with `TooMany` what would be one more
    than `max_tags` or `max_protected` allow. Who does not read the reply finds it in the log.

    Who subscribes to Counts is told the present ones at once.
    """

    events: ClassVar = (Counts, Connected, Disconnected, PeerConnected, PeerDisconnected)

    # Tags ------------------------------------------------------------------------------------------------------------

    def tag_peer(self, peer: PeerId, tag: str, weight: int) -> Reply[None]:
        """Give a peer this weight under this tag, in place of any other. The peer need not be connected."""
        return self.ask(TagPeer(check_owned(peer), _name(tag), weight_of(weight)))

    def untag_peer(self, peer: PeerId, tag: str) -> Reply[bool]:
        """Take a tag away; False if there was none. Decaying tags are not touched."""
        return self.ask(UntagPeer(check_owned(peer), _name(tag)))

    def upsert_tag(self, peer: PeerId, tag: str, function: Callable[[int], int]) -> Reply[int]:
        """Set a tag to `function(weight)`; 0 where there is none. The new weight.

        The function runs on the connections engine, so it is quick and does not wait; it may tell this mailbox more.
        What it raises is the reply's error, and the tag is as before; so is what is raised for a wrong weight.
        """
        return self.ask(UpsertTag(check_owned(peer), _name(tag), function))

    def get_tag_info(self, peer: PeerId) -> Reply[TagInfo | None]:
        """What is known of a peer; None if it has neither a connection nor a tag."""
        return self.ask(GetTagInfo(check_owned(peer)))

    def register_decaying_tag(self, name: str, interval: float, decay: Decay, bump: Bump) -> Reply[DecayingTag]:
        """Open a tag whose weights change by themselves: `decay` each `interval` seconds, `bump` at each bump.

        Both run on the connections engine; `connections.decay` and `connections.bump` have ready-made ones. An interval
        below `decay_resolution` is raised to it. Fails with TagTaken or TooMany. Raises ValueError unless the interval
        is above 0 and finite.
        """
        interval = arguments.seconds(interval, "the interval of a decaying tag", infinite=False)
        return self.ask(RegisterDecayingTag(_name(name), interval, decay, bump))

    # Protections and work --------------------------------------------------------------------------------------------

    def protect(self, peer: PeerId, tag: str) -> Reply[None]:
        """Keep a peer's connections out of trims, until `unprotect` with the same tag; also those it has later."""
        return self.ask(Protect(check_owned(peer), _name(tag)))

    def unprotect(self, peer: PeerId, tag: str) -> Reply[bool]:
        """End a protection; whether the peer is still protected under another tag."""
        return self.ask(Unprotect(check_owned(peer), _name(tag)))

    def is_protected(self, peer: PeerId, tag: str | None = None) -> Reply[bool]:
        """Whether a peer is protected under this tag; without one, under any."""
        return self.ask(IsProtected(check_owned(peer), None if tag is None else _name(tag)))

    def busy(self, peer: PeerId, delta: int) -> Feedback:
        """So much more is under way with a peer, less if negative. Who is busy is given up later."""
        return self.tell(Busy(check_owned(peer), arguments.whole(delta, "what is under way", -MAX_WEIGHT, MAX_WEIGHT)))

    # Blocks ----------------------------------------------------------------------------------------------------------

    def block_peer(self, peer: PeerId, duration: float | None = None, *, disconnect: bool = True) -> Reply[Blocked]:
        """Refuse a peer, and disconnect it unless told otherwise; see `tracker.block`, which does it.

        duration: seconds, None for at least the tracker's default, infinite for good. Fails with NoTracker, or as the
        tracker.
        """
        return self._block(check_owned(peer), duration, disconnect)

    def block_addr(self, ip: IP | str, duration: float | None = None, *, disconnect: bool = True) -> Reply[Blocked]:
        """As `block_peer`, for everybody from an IP. Raises ValueError for what is none."""
        return self._block(_ip(ip), duration, disconnect)

    def block_subnet(
        self, subnet: Subnet | str, duration: float | None = None, *, disconnect: bool = True
    ) -> Reply[Blocked]:
        """As `block_peer`, for everybody from a network, as `10.0.0.0/24`. Raises ValueError for what is none."""
        return self._block(_network(subnet), duration, disconnect)

    def unblock_peer(self, peer: PeerId) -> Reply[bool]:
        """End the block of a peer; False if there was none."""
        return self.ask(Unblock(check_owned(peer)))

    def unblock_addr(self, ip: IP | str) -> Reply[bool]:
        """End the block of an IP; False if there was none."""
        return self.ask(Unblock(_ip(ip)))

    def unblock_subnet(self, subnet: Subnet | str) -> Reply[bool]:
        """End the block of a network; False if there was none."""
        return self.ask(Unblock(_network(subnet)))

    def blocks(self) -> Reply[tuple[BlockInForce, ...]]:
        """Every block in force."""
        return self.ask(GetBlocks())

    def _block(self, target: PeerId | IP | Subnet, duration: float | None, disconnect: bool) -> Reply[Blocked]:
        if duration is not None:
            duration = arguments.seconds(duration, "a block")
        return self.ask(Block(target, duration, disconnect))

    # Trims -----------------------------------------------------------------------------------------------------------

    def trim_open_connections(
        self, target: int | None = None, *, spare: frozenset[PeerId] = frozenset()
    ) -> Reply[TrimReport]:
        """Close connections until at most `target` are open; without a target, until low water is reached.

        Protected peers and those in grace are spared. The report comes when the connections are gone; who asks during a
        trim that goes as far shares its report. Fails with NoLowWater. Raises ValueError for a target that is not
        from 0 to 2**31 - 1. spare: peers that are not given up either, by this trim.
        """
        return self.ask(Trim(_target(target), spare))

    def force_trim(self, target: int | None = None, *, include_protected: bool = True) -> Reply[TrimReport]:
        """Trim in an emergency, as when memory is short: grace does not count, nor does protection at last.

        The target is met exactly, where closing all that may be closed suffices. include_protected: whether protected
        peers may be closed once nobody else is left.
        """
        return self.ask(ForceTrim(_target(target), include_protected))

    def close(self) -> Reply[None]:
        """Do nothing by itself from now on: no background trim, no decay, no check of the memory.

        Connections stay open, tags and protections stay as they are and can be changed, and trims that are asked for
        are made. Decaying tags keep the weights they have. A second time changes nothing.
        """
        return self.ask(Close())

    def check_limit(self, limit: int) -> Reply[None]:
        """Fails with LimitTooLow if so many connections are fewer than the high water mark.

        Raises ValueError for a limit that is not from 0 to 2**31 - 1.
        """
        return self.ask(CheckLimit(arguments.whole(limit, "a limit of connections", 0, arguments.MAX_COUNT)))

    # Listeners and questions -----------------------------------------------------------------------------------------

    def notifee(self) -> runtime.Mailbox:
        """What transport tells of its links: put it among its observers. It is this mailbox."""
        return self

    def notify(self, listener: Listener) -> Feedback:
        """Call `listener.connected(link)` and `disconnected(link, reason)` for every connection from now on.

        For applications without an engine of their own; engines `subscribe`. A listener may be slow, and may raise.
        """
        return self.tell(Notify(listener))

    def stop_notify(self, listener: Listener) -> Feedback:
        """Call this listener no more, apart from what it is being told already."""
        return self.tell(StopNotify(listener))

    def get_info(self) -> Reply[Info]:
        """The water marks, and how many connections of which state there are."""
        return self.ask(GetInfo())

    def connections(self) -> Reply[tuple[Connection, ...]]:
        """The open connections, oldest first, with the tags and protections of their peers."""
        return self.ask(GetConnections())


def _name(tag: str) -> str:
    return arguments.name(tag, "a tag")


def _target(target: int | None) -> int | None:
    return None if target is None else arguments.whole(target, "a target of connections", 0, arguments.MAX_COUNT)


def _ip(given: IP | str) -> IP:
    try:
        ip = ip_address(given)
    except ValueError:
        ip = None
    if ip is None or getattr(ip, "scope_id", None) is not None:
        raise ValueError(f"{shortened(given)} is no IP: allowed is one such as 10.0.0.1, without a scope")
    return ip


def _network(given: Subnet | str) -> Subnet:
    try:
        return ip_network(given)
    except ValueError as error:
        why = "" if isinstance(given, str) and len(given) > SHOWN else f" ({error})"
        raise ValueError(f"{shortened(given)} is no network: allowed is one such as 10.0.0.0/24{why}") from None
