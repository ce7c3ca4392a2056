"""What the connections actor can be asked, and the events it emits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import index
from typing import ClassVar, Protocol

from ... import runtime
from ...runtime import Feedback, Message, Overflow, Reply, Request
from ...transport.identity import PeerId
from ...transport.mailbox import Link
from ...transport.reasons import Reason
from .bump import Bump
from .decay import Decay
from .errors import TagClosed

# Events: told to subscribers -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Counts(Message):
    """How many connections there are. closing: chosen to be closed and not yet gone; not among `open`."""

    overflow: ClassVar[Overflow] = Overflow.LATEST
    open: int
    closing: int


@dataclass(frozen=True, slots=True)
class Connected(Message):
    """A connection is there. Once for each, and before its `Disconnected`."""

    link: Link


@dataclass(frozen=True, slots=True)
class Disconnected(Message):
    """A connection is gone, for this reason. Once for each."""

    link: Link
    reason: Reason


@dataclass(frozen=True, slots=True)
class PeerConnected(Message):
    """The first connection to a peer is there."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class PeerDisconnected(Message):
    """The last connection to a peer is gone, for this reason."""

    peer: PeerId
    reason: Reason


EVENTS: tuple[type[Message], ...] = (Counts, Connected, Disconnected, PeerConnected, PeerDisconnected)

# Tags and protections ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TagPeer(Message):
    """Set a tag."""

    peer: PeerId
    tag: str
    weight: int


@dataclass(frozen=True, slots=True)
class UntagPeer(Message):
    """Take a tag away."""

    peer: PeerId
    tag: str


@dataclass(frozen=True, slots=True)
class UpsertTag(Request[int]):
    """Set a tag to what a function makes of its present weight; answers the new one."""

    peer: PeerId
    tag: str
    function: Callable[[int], int]


@dataclass(frozen=True, slots=True)
class TagInfo:
    """What is known of a peer. first_seen: monotonic seconds. value: the sum of all `tags`, decaying ones among them.

    conns: its open connections by link id, oldest first.
    """

    first_seen: float
    value: int
    tags: dict[str, int]
    conns: dict[int, Link]


@dataclass(frozen=True, slots=True)
class GetTagInfo(Request[TagInfo | None]):
    """Read what is known of a peer."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class Protect(Message):
    """Protect a peer from trims."""

    peer: PeerId
    tag: str


@dataclass(frozen=True, slots=True)
class Unprotect(Request[bool]):
    """End a protection; answers whether another one is left."""

    peer: PeerId
    tag: str


@dataclass(frozen=True, slots=True)
class IsProtected(Request[bool]):
    """Whether a peer is protected, in a name or (None) in any."""

    peer: PeerId
    tag: str | None


@dataclass(frozen=True, slots=True)
class Busy(Message):
    """More (or less) is under way with a peer."""

    peer: PeerId
    delta: int


# Decaying tags -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RegisterDecayingTag(Request["DecayingTag"]):
    """Open a decaying tag. interval: seconds."""

    name: str
    interval: float
    decay: Decay
    bump: Bump


@dataclass(frozen=True, slots=True)
class BumpTag(Message):
    """Change a peer's weight under a decaying tag."""

    tag_id: int
    peer: PeerId
    delta: int


@dataclass(frozen=True, slots=True)
class RemoveTag(Message):
    """Take a decaying tag from a peer."""

    tag_id: int
    peer: PeerId


@dataclass(frozen=True, slots=True)
class CloseTag(Request[None]):
    """Take a decaying tag from all peers, and end it."""

    tag_id: int


class DecayingTag:
    """An open decaying tag: made by `register_decaying_tag`. name: unique among those open. interval: seconds."""

    __slots__ = ("_id", "_mailbox", "closed", "interval", "name")

    def __init__(self, mailbox: Mailbox, id: int, name: str, interval: float) -> None:
        """interval: the one in effect, not below the resolution."""
        self.name = name
        self.interval = interval
        self.closed = False
        self._mailbox = mailbox
        self._id = id

    def bump(self, peer: PeerId, delta: int) -> Feedback:
        """Change a peer's weight by the tag's bump function. Raises TagClosed after `close`.

        What was bumped before `close` is handled before it, so nothing of it is left behind.
        """
        self._check_open()
        return self._mailbox.tell(BumpTag(self._id, PeerId(peer), index(delta)))

    def remove(self, peer: PeerId) -> Feedback:
        """Take the tag from a peer; nothing happens if it has none. Raises TagClosed after `close`."""
        self._check_open()
        return self._mailbox.tell(RemoveTag(self._id, PeerId(peer)))

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


# Requests and commands -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Subscribe(Message):
    """Tell `subscriber` the events of these kinds from now on; for `Counts` also the present ones."""

    subscriber: runtime.Mailbox
    kinds: tuple[type[Message], ...]


class Listener(Protocol):
    """Callbacks that are told of connections, on a thread of their own and one after the other."""

    def connected(self, link: Link) -> object:
        """A connection is there."""

    def disconnected(self, link: Link, reason: Reason) -> object:
        """A connection is gone, for this reason."""


@dataclass(frozen=True, slots=True)
class Notify(Message):
    """Tell `listener` of connections from now on."""

    listener: Listener


@dataclass(frozen=True, slots=True)
class StopNotify(Message):
    """Tell `listener` nothing more."""

    listener: Listener


@dataclass(frozen=True, slots=True)
class Info:
    """What there is. eligible, in_grace, protected: the open connections by whether a trim may close them.

    temporary: peers with tags and without a connection. low_water, high_water: None if it trims only when asked.
    last_trim: monotonic seconds, None before the first. grace_period: seconds.
    """

    open: int
    closing: int
    eligible: int
    in_grace: int
    protected: int
    temporary: int
    low_water: int | None
    high_water: int | None
    grace_period: float
    last_trim: float | None


@dataclass(frozen=True, slots=True)
class GetInfo(Request[Info]):
    """The marks and the numbers."""


@dataclass(frozen=True, slots=True)
class Connection:
    """An open connection with what is known of its peer. protections: the names, in order. age: seconds it is open."""

    link: Link
    value: int
    tags: dict[str, int]
    protections: tuple[str, ...]
    busy: int
    in_grace: bool
    age: float


@dataclass(frozen=True, slots=True)
class GetConnections(Request[tuple[Connection, ...]]):
    """The open connections."""


@dataclass(frozen=True, slots=True)
class TrimReport:
    """What a trim did. closed: links that are gone.

    short_by: by how many the connections that are left are above the target. Why: `protected` and `in_grace` ones may
    not be closed (an emergency closes them too), and `unclosed` ones were told to and did not end in time.
    """

    closed: tuple[Link, ...]
    short_by: int
    protected: int = 0
    in_grace: int = 0
    unclosed: int = 0


@dataclass(frozen=True, slots=True)
class Trim(Request[TrimReport]):
    """Close connections until at most `target` are open; None: until low water is reached."""

    target: int | None = None


@dataclass(frozen=True, slots=True)
class ForceTrim(Request[TrimReport]):
    """The same in an emergency: grace does not count, nor, after all others, does protection."""

    target: int | None = None
    include_protected: bool = True


@dataclass(frozen=True, slots=True)
class CheckLimit(Request[None]):
    """Whether the high water mark can be reached under a hard limit."""

    limit: int


class Mailbox(runtime.Mailbox):
    """How the others reach connections.

    Wherever a peer or a tag is given, an empty one raises ValueError; a weight that is no whole number, TypeError.
    """

    # Tags ------------------------------------------------------------------------------------------------------------

    def tag_peer(self, peer: PeerId, tag: str, weight: int) -> Feedback:
        """Give a peer this weight under this tag, in place of any other. The peer need not be connected."""
        return self.tell(TagPeer(PeerId(peer), _name(tag), index(weight)))

    def untag_peer(self, peer: PeerId, tag: str) -> Feedback:
        """Take a tag away. Nothing happens if there is none; decaying tags are not touched."""
        return self.tell(UntagPeer(PeerId(peer), _name(tag)))

    def upsert_tag(self, peer: PeerId, tag: str, function: Callable[[int], int]) -> Reply[int]:
        """Set a tag to `function(weight)`; 0 where there is none. The new weight.

        The function runs on the connections engine, so it is quick and does not wait; it may tell this mailbox more.
        What it raises is the reply's error, and the tag is as before; so is a TypeError if it returns no whole number.
        """
        return self.ask(UpsertTag(PeerId(peer), _name(tag), function))

    def get_tag_info(self, peer: PeerId) -> Reply[TagInfo | None]:
        """What is known of a peer; None if it has neither a connection nor a tag."""
        return self.ask(GetTagInfo(PeerId(peer)))

    def register_decaying_tag(self, name: str, interval: float, decay: Decay, bump: Bump) -> Reply[DecayingTag]:
        """Open a tag whose weights change by themselves: `decay` each `interval` seconds, `bump` at each bump.

        Both run on the connections engine; `connections.decay` and `connections.bump` have ready-made ones. An interval
        below `decay_resolution` is raised to it. Fails with TagTaken. Raises ValueError unless the interval is above 0.
        """
        if not interval > 0:
            raise ValueError(f"the interval of a decaying tag is above 0 seconds, not {interval}")
        return self.ask(RegisterDecayingTag(_name(name), interval, decay, bump))

    # Protections and work --------------------------------------------------------------------------------------------

    def protect(self, peer: PeerId, tag: str) -> Feedback:
        """Keep a peer's connections out of trims, until `unprotect` with the same tag; also those it has later."""
        return self.tell(Protect(PeerId(peer), _name(tag)))

    def unprotect(self, peer: PeerId, tag: str) -> Reply[bool]:
        """End a protection; whether the peer is still protected under another tag."""
        return self.ask(Unprotect(PeerId(peer), _name(tag)))

    def is_protected(self, peer: PeerId, tag: str | None = None) -> Reply[bool]:
        """Whether a peer is protected under this tag; without one, under any."""
        return self.ask(IsProtected(PeerId(peer), None if tag is None else _name(tag)))

    def busy(self, peer: PeerId, delta: int) -> Feedback:
        """So much more is under way with a peer, less if negative. Who is busy is given up later."""
        return self.tell(Busy(PeerId(peer), index(delta)))

    # Trims -----------------------------------------------------------------------------------------------------------

    def trim_open_connections(self, target: int | None = None) -> Reply[TrimReport]:
        """Close connections until at most `target` are open; without a target, until low water is reached.

        Protected peers and those in grace are spared. The report comes when the connections are gone; who asks during a
        trim that goes as far shares its report. Fails with NoLowWater. Raises ValueError for a negative target.
        """
        return self.ask(Trim(_target(target)))

    def force_trim(self, target: int | None = None, *, include_protected: bool = True) -> Reply[TrimReport]:
        """For emergencies, as when memory is short: the same, and grace does not count, nor does protection at last.

        The target is met exactly, where closing all that may be closed suffices. include_protected: whether protected
        peers may be closed once nobody else is left.
        """
        return self.ask(ForceTrim(_target(target), include_protected))

    def check_limit(self, limit: int) -> Reply[None]:
        """Fails with LimitTooLow if so many connections are fewer than the high water mark."""
        return self.ask(CheckLimit(limit))

    # Looking ---------------------------------------------------------------------------------------------------------

    def subscribe(self, subscriber: runtime.Mailbox, *kinds: type[Message]) -> Feedback:
        """Tell `subscriber` the events of these kinds, of all kinds if none is named.

        Raises ValueError for a kind that is not an event of this actor, `UnhandledMessage` if the subscriber's engine
        has no handler for one.
        """
        unknown = [kind.__name__ for kind in kinds if kind not in EVENTS]
        if unknown:
            allowed = ", ".join(kind.__name__ for kind in EVENTS)
            raise ValueError(f"connections has no event {', '.join(unknown)}; it has {allowed}")
        wanted = kinds or EVENTS
        subscriber.require(*wanted)
        return self.tell(Subscribe(subscriber, wanted))

    def notifee(self) -> runtime.Mailbox:
        """What transport tells of its links: put it among its observers. It is this mailbox."""
        return self

    def notify(self, listener: Listener) -> Feedback:
        """Call `listener.connected(link)` and `disconnected(link, reason)` for every connection from now on.

        For applications without an engine of their own; engines `subscribe`. A listener may be slow, and may raise.
        """
        return self.tell(Notify(listener))

    def stop_notify(self, listener: Listener) -> Feedback:
        """Tell it nothing more, apart from what it is being told already."""
        return self.tell(StopNotify(listener))

    def get_info(self) -> Reply[Info]:
        """The water marks and the numbers."""
        return self.ask(GetInfo())

    def connections(self) -> Reply[tuple[Connection, ...]]:
        """The open connections, oldest first, with the tags and protections of their peers."""
        return self.ask(GetConnections())


def _name(tag: str) -> str:
    if not tag:
        raise ValueError("a tag has a name, not ''")
    return tag


def _target(target: int | None) -> int | None:
    if target is not None and target < 0:
        raise ValueError(f"a target of connections is at least 0, not {target}")
    return target
