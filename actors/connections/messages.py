"""What the connections actor is asked and told, and the values it answers with. Its events are in `mailbox`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ...runtime import Feedback, Mailbox, Message, Reply, Request, arguments
from ...transport.address import IP, Subnet
from ...transport.gatekeeper import Link
from ...transport.identity import PeerId
from ...transport.reasons import Reason
from ..tracker.mailbox import Blocked, BlockInForce
from .bump import Bump
from .decay import Decay
from .errors import TagClosed

MAX_WEIGHT = 2**31 - 1
"""A weight is from -2**31 + 1 to this, so that no sum of weights that fits into memory has more than 64 bits."""


def weight_of(given: int) -> int:
    """A weight. Raises ValueError for one with more than 32 bits, TypeError for what is no whole number."""
    return arguments.whole(given, "a weight", -MAX_WEIGHT, MAX_WEIGHT)


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
        return self._mailbox.tell(BumpTag(self._id, PeerId(peer), weight_of(delta)))

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


# Blocks: doors to the tracker, where they live -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Block(Request[Blocked]):
    """Disconnect and refuse; see `tracker.Block`."""

    target: PeerId | IP | Subnet
    duration: float | None
    disconnect: bool


@dataclass(frozen=True, slots=True)
class Unblock(Request[bool]):
    """End a block."""

    target: PeerId | IP | Subnet


@dataclass(frozen=True, slots=True)
class GetBlocks(Request[tuple[BlockInForce, ...]]):
    """Every block in force."""


# Requests and commands -----------------------------------------------------------------------------------------------


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
    """Close connections until at most `target` are open; None: until low water is reached. spare: of others' peers."""

    target: int | None = None
    spare: frozenset[PeerId] = frozenset()


@dataclass(frozen=True, slots=True)
class ForceTrim(Request[TrimReport]):
    """The same in an emergency: grace does not count, nor, after all others, does protection."""

    target: int | None = None
    include_protected: bool = True


@dataclass(frozen=True, slots=True)
class Close(Request[None]):
    """Do nothing by itself any more."""


@dataclass(frozen=True, slots=True)
class CheckLimit(Request[None]):
    """Whether the high water mark can be reached under a hard limit."""

    limit: int
