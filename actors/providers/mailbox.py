"""What the providers can be asked and told, and the events that they emit."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import ClassVar, Literal, TypeAlias

from msgspec import Struct

from ... import runtime
from ...runtime import Feedback, Limit, Message, Overflow, Reply, Request, arguments
from ...transport.address import Address
from ...transport.identity import PeerId
from ...transport.mailbox import Packet
from .core.search.lookup import MAX_SHOWN, Result

MAX_KEY_BYTES = 1024
"""As long as a resolver's keys may be."""
MAX_CHANNEL = 255
BLOBS = 1
"""The channel of the blobs' resolver."""

Stage: TypeAlias = Literal["looking", "connecting", "fetching", "waiting", "unknown"]

# Events --------------------------------------------------------------------------------------------------------------


class HolderFound(Message, Struct, frozen=True):
    """A peer says that it has a key that is searched for. Told again each time that it is asked and says so."""

    channel: int
    data_key: bytes
    peer: PeerId


class SearchEnded(Message, Struct, frozen=True):
    """Those that were to be asked for a key have been asked. again: seconds until they are asked once more."""

    channel: int
    data_key: bytes
    result: Result
    again: float


class NamesFalsely(Message, Struct, frozen=True):
    """An index member has named too many that do not have what it says, and is passed over for ten minutes.

    about: whom it named last. That peer is not blamed.
    """

    peer: PeerId
    about: PeerId


class SearchProgress(Message, Struct, frozen=True):
    """How a search for a fetch stands has changed."""

    overflow: ClassVar[Overflow] = Overflow.LATEST
    channel: int
    data_key: bytes
    progress: Progress

    def key(self) -> Hashable:
        """The newest of each search waits."""
        return self.channel, self.data_key


# Answers -------------------------------------------------------------------------------------------------------------


class Holder(Struct, frozen=True):
    """A peer that says that it has a key. age: seconds since it has told that; None if nobody was told, but it."""

    peer: PeerId
    address: Address | None
    age: float | None


class Findings(Struct, frozen=True):
    """Who has a key, in no order, and what was done to find that."""

    holders: tuple[Holder, ...]
    result: Result

    def __str__(self) -> str:
        return str(self.result)


class Progress(Struct, frozen=True):
    """How a search stands. holders: that have said yes; connected: how many of them are. result: of the last asking.

    unreached: of the holders, those that cannot be reached, and why; in time they are tried again.
    """

    stage: Stage
    holders: int = 0
    connected: int = 0
    result: Result | None = None
    unreached: tuple[tuple[PeerId, str], ...] = ()

    def __str__(self) -> str:
        match self.stage:
            case "connecting":
                connecting = (
                    f"connecting to {self.holders - self.connected - len(self.unreached)} of {self.holders} holders"
                )
                return "; ".join((connecting, *filter(None, [self.why])))
            case "waiting":
                return str(self.result)
        return self.stage

    @property
    def why(self) -> str:
        """Why holders cannot be reached, in words; empty if all can."""
        named = [f"{peer.short} cannot be reached: {reason}" for peer, reason in self.unreached[:MAX_SHOWN]]
        others = len(self.unreached) - len(named)
        return "; ".join((*named, *([f"nor can {others} others"] if others else [])))


# Requests and commands -----------------------------------------------------------------------------------------------


class Provide(Message, Struct, frozen=True):
    """This node has these keys of this channel's resolver."""

    channel: int
    keys: tuple[bytes, ...]


class Withdraw(Message, Struct, frozen=True):
    """It does not have them any more."""

    channel: int
    keys: tuple[bytes, ...]


class Search(Message, Struct, frozen=True):
    """Look for who has a key until `EndSearch`, and want a connection to those that do."""

    channel: int
    data_key: bytes


class EndSearch(Message, Struct, frozen=True):
    """The key is here, or not wanted any more."""

    channel: int
    data_key: bytes


class Find(Request[Findings], Struct, frozen=True):
    """Look once for all that have a key."""

    channel: int
    data_key: bytes


class GetSearch(Request[Progress], Struct, frozen=True):
    """How the search for a key stands."""

    channel: int
    data_key: bytes


class Mailbox(runtime.EventMailbox):
    """How others reach the providers. A key is 1 to 1,024 bytes; the channel is of the resolver that has such keys.

    It receives the packets of its kind. Methods raise ValueError for a key or a channel that none can be.
    """

    events: ClassVar = (HolderFound, SearchEnded, SearchProgress, NamesFalsely)
    limits: ClassVar = {Packet: Limit(4096, 16 * 2**20)}

    def provide(self, keys: Iterable[bytes], channel: int = BLOBS) -> Feedback:
        """Tell the members that this node has these keys, from now on and until `withdraw`."""
        return self.tell(Provide(_channel(channel), tuple(map(_key, keys))))

    def withdraw(self, keys: Iterable[bytes], channel: int = BLOBS) -> Feedback:
        """Tell them that it does not have these any more."""
        return self.tell(Withdraw(_channel(channel), tuple(map(_key, keys))))

    def search(self, key: bytes, channel: int = BLOBS) -> Feedback:
        """Look for who has a key, for a fetch: whoever does is connected, as far as maintenance has room.

        It goes on, ever more rarely, until `end_search`. `HolderFound` and `SearchEnded` tell what comes of it.
        """
        return self.tell(Search(_channel(channel), _key(key)))

    def end_search(self, key: bytes, channel: int = BLOBS) -> Feedback:
        """Look for it no more."""
        return self.tell(EndSearch(_channel(channel), _key(key)))

    def find(self, key: bytes, channel: int = BLOBS) -> Reply[Findings]:
        """Who has a key: of the index members, or in a sweep of all members the first.

        Fails with `NotTakingPart` where this node does not ask, and `TooManySearches`.
        """
        return self.ask(Find(_channel(channel), _key(key)))

    def progress(self, key: bytes, channel: int = BLOBS) -> Reply[Progress]:
        """How the search for a key stands; `str()` of it is a line for people. Stage "unknown" without one."""
        return self.ask(GetSearch(_channel(channel), _key(key)))


def _channel(channel: int) -> int:
    return arguments.whole(channel, "a channel", 0, MAX_CHANNEL)


def _key(key: bytes) -> bytes:
    if not isinstance(key, bytes) or not 0 < len(key) <= MAX_KEY_BYTES:
        raise ValueError(f"a key is 1 to {MAX_KEY_BYTES} bytes, not {arguments.shortened(key)}")
    return key
