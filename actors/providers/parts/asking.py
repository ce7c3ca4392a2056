"""Looks for who has a key: carries out what the searches say, and tells who waits for what comes of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import Any, ClassVar

from msgspec import Struct, field
from msgspec.structs import replace

from .... import runtime
from ....runtime import Lane, Message, Overflow, Reply, Slices
from ....transport.errors import DecodeError
from ....transport.identity import PeerId
from ....transport.parts.limited_log import LimitedLog
from ...maintenance.mailbox import Mailbox as Maintenance
from ..core.codec import MAX_NAMED, Have, Holders, Who
from ..core.index import Index
from ..core.members import Members
from ..core.ring import key_hash
from ..core.search import lookup as steps
from ..core.search.inquiries import Send
from ..core.search.known_holders import KnownHolders
from ..core.search.lookup import Result
from ..core.search.searches import Charged, Denied, Effect, Ended, Found, Searches
from ..errors import TooManySearches
from ..mailbox import Findings, Holder, HolderFound, NamesFalsely, Progress, SearchEnded, SearchProgress
from ..metrics import Metrics
from .alarm import Alarm
from .post import Post

KEYS_PER_SLICE = 64
"""Keys that one event may concern before the next message is looked at."""
PROVES, FURTHER = 2.0, 8
"""Seconds of a fetch for which a connected holder is enough; and how many others are wanted at once after that."""


class AskDue(Message, Struct, frozen=True):
    """Timer: a question is to be repeated, or somebody is to be asked."""


class AskMore(Message, Struct, frozen=True):
    """To itself: as `AskDue`, now."""

    lane: ClassVar[Lane] = Lane.DATA
    overflow: ClassVar[Overflow] = Overflow.LATEST


class _Wanted(Struct, eq=False):
    """A key that is looked for. lasting: for a fetch. finders: who waits for a list. told: how it stands, last.

    since: when that began. further: holders that were wanted beside connected ones; turns: that are to be.
    """

    channel: int
    key: bytes
    lasting: bool = False
    finders: list[Reply[Findings]] = field(default_factory=list)
    result: Result | None = None
    told: tuple[str, tuple[tuple[PeerId, str], ...]] = ("", ())
    since: float = 0.0
    further: set[PeerId] = field(default_factory=set)
    turns: dict[PeerId, None] = field(default_factory=dict)


class Asking:
    """Part of the engine."""

    def __init__(
        self,
        engine: runtime.Engine[Any],
        searches: Searches,
        index: Index,
        members: Members,
        post: Post,
        metrics: Metrics,
        log: LimitedLog,
        *,
        me: PeerId,
        holds: Callable[[bytes], bool],
        maintenance: Maintenance | None,
        emit: Callable[[Message], object],
    ) -> None:
        """index: of this node. holds: whether this node has a key, by its hash.

        log: for what others cause. emit: takes the events. maintenance: asked for connections; None for nobody.
        """
        self._engine = engine
        self._searches = searches
        self._index = index
        self._members = members
        self._post = post
        self._metrics = metrics
        self._log = log
        self._me = me
        self._holds = holds
        self._maintenance = maintenance
        self._emit = emit
        self._wanted: dict[bytes, _Wanted] = {}
        self._holders = KnownHolders()
        self._connected: set[PeerId] = set()
        self._unreached: dict[PeerId, str] = {}  # of holders, why they are not connected
        self._alarm = Alarm(engine, AskDue(), AskMore())
        self._slices = Slices(engine, KEYS_PER_SLICE, lane=Lane.DATA)

    # What is wanted ---------------------------------------------------------------------------------------------------

    def search(self, channel: int, key: bytes) -> None:
        """Look for who has a key, until `end_search`."""
        hashed = key_hash(channel, key)
        wanted = self._want(hashed, channel, key)
        wanted.lasting = True
        took_turns = self._searches.in_turn
        self._follow(self._searches.look(hashed, self._engine.now(), lasting=True))
        if self._searches.in_turn and not took_turns:
            self._engine.log.warning("keys are looked for in turn, as there are many", at_once=len(self._searches))
        self._tell_progress(wanted)

    def end_search(self, channel: int, key: bytes) -> None:
        """Look for it no more, unless somebody waits for a list."""
        hashed = key_hash(channel, key)
        wanted = self._wanted.get(hashed)
        if wanted is None:
            return
        wanted.lasting = False
        if wanted.finders:
            self._searches.release(hashed)
        else:
            del self._wanted[hashed]
            self._follow(self._searches.stop(hashed, self._engine.now()))
            for peer in self._holders.forget(hashed):
                self._unreached.pop(peer, None)
                if self._maintenance is not None and peer not in self._connected:
                    self._maintenance.want_no_more(peer)

    def find(self, channel: int, key: bytes) -> Reply[Findings]:
        """Look once for all that have a key."""
        hashed = key_hash(channel, key)
        if not self._searches.has_room(hashed, to_list=True):
            raise TooManySearches(f"{len(self._searches)} keys are looked for, as many as may be at once")
        reply: Reply[Findings] = Reply()
        self._want(hashed, channel, key).finders.append(reply)
        self._follow(self._searches.look(hashed, self._engine.now(), lasting=False))
        return reply

    def progress(self, channel: int, key: bytes) -> Progress:
        """How a search stands."""
        hashed = key_hash(channel, key)
        wanted = self._wanted.get(hashed)
        if wanted is None:
            return Progress("unknown")
        found = self._holders.of(hashed)
        connected = sum(peer in self._connected for peer in found)
        result = self._searches.result(hashed) or wanted.result
        if found:
            unreached = tuple((peer, self._unreached[peer]) for peer in found if peer in self._unreached)
            return Progress("fetching" if connected else "connecting", len(found), connected, result, unreached)
        looking = result is None or self._searches.is_looking(hashed)
        return Progress("looking" if looking else "waiting", 0, 0, result)

    def connected(self, peer: PeerId) -> None:
        """A connection to a peer is there."""
        self._connected.add(peer)
        self._unreached.pop(peer, None)
        self._concerns(self._holders.keys_of(peer))

    def disconnected(self, peer: PeerId, *, done: bool) -> None:
        """It is there no more. done: as nothing was asked over it for a while; else it is wanted again at once."""
        self._connected.discard(peer)
        self._concerns(self._holders.keys_of(peer), peer, wanted=not done)

    def not_reached(self, peer: PeerId, reason: str | None) -> None:
        """A holder cannot be reached, for this reason; None if it only waits for a place."""
        held = self._holders.keys_of(peer)
        if reason is None or not held:
            self._unreached.pop(peer, None)
        else:
            self._unreached[peer] = reason
        self._concerns(held)

    def _concerns(self, keys: Iterable[bytes], gone: PeerId | None = None, *, wanted: bool = False) -> None:
        """These searches stand differently. gone: a holder that was connected, and is not any more.

        wanted: it is wanted again, where no other is connected.
        """
        self._slices.run(self._tell(tuple(keys), gone, wanted), lambda _none: None)

    def _tell(self, keys: tuple[bytes, ...], gone: PeerId | None, again: bool) -> Generator[int, None, None]:
        for hashed in keys:
            wanted = self._wanted.get(hashed)
            if wanted is not None and wanted.lasting:
                if gone is not None and gone not in self._connected:
                    if again and not (self._is_reached(hashed) or self._members.is_secondary(gone)):
                        self._want_holder(gone, "again")
                        again = False
                    else:
                        wanted.further.discard(gone)
                    self._follow(self._searches.look_again(hashed, self._engine.now()))
                self._connect_further(wanted, hashed)
                self._tell_progress(wanted)
            yield 1

    # What comes in ----------------------------------------------------------------------------------------------------

    def holders(self, peer: PeerId, message: Holders) -> None:
        """An index member names holders, and others that keep the index of the key."""
        hashed = self._searches.asked(peer, message.number)
        own = self._members.own
        if hashed is None or own is None:
            self._metrics.unmatched.inc()
            return
        named = [(self._named(peer, encoded, own.network), float(age)) for age, encoded in message.holders]
        nearer = [self._named(peer, encoded, own.network) for encoded in message.nearer]
        known = [(holder, age) for holder, age in named if holder is not None]
        others = [other for other in nearer if other is not None]
        self._follow(self._searches.on_holders(peer, hashed, known, others, self._engine.now()))

    def _named(self, by: PeerId, encoded: bytes, network: str) -> PeerId | None:
        """Whom a record names, None if that peer is not to be asked."""
        try:
            found = self._members.named(encoded, network)
        except DecodeError as error:
            self._metrics.refused.inc("record")
            self._log.note(by.short, "record refused", peer=by.short, error=str(error))
            return None
        if found is None:
            self._metrics.unknown.inc()
        return found

    def having(self, peer: PeerId, number: int, which: int) -> None:
        """A peer says which keys it has."""
        effects = self._searches.on_having(peer, number, which, self._engine.now())
        if effects is None:
            self._metrics.unmatched.inc()
        else:
            self._follow(effects)

    def came(self, peer: PeerId) -> None:
        """A member is there that may be asked, or in a later life."""
        self._searches.came(peer, self._engine.now())
        self._follow(())

    def gone(self, peer: PeerId) -> None:
        """A member is none any more."""
        self._unreached.pop(peer, None)
        held = tuple(self._holders.keys_of(peer))
        for hashed in held:
            self._holders.discard(hashed, peer)
        self._follow(self._searches.gone(peer, self._engine.now()))
        self._concerns(held)

    def on_due(self) -> None:
        """The timer rang."""
        self._alarm.rang()
        self.run()

    def run(self) -> None:
        """Ask who is to be asked now."""
        self._follow(self._searches.poll(self._engine.now()))

    # What the core decides --------------------------------------------------------------------------------------------

    def _want(self, hashed: bytes, channel: int, key: bytes) -> _Wanted:
        wanted = self._wanted.get(hashed)
        if wanted is None:
            wanted = self._wanted[hashed] = _Wanted(channel, key, since=self._engine.now())
        return wanted

    def _follow(self, effects: Iterable[Effect]) -> None:
        now = self._engine.now()
        waiting = deque(effects)
        while waiting:
            match waiting.popleft():
                case Send(to, Who(number, hashed)) if to == self._me:
                    named = [
                        (each.peer, each.age)
                        for each in self._index.holders(hashed, MAX_NAMED, now, self._engine.rng)
                        if each.peer in self._members.ring
                    ]
                    self._searches.asked(to, number)
                    waiting.extend(self._searches.on_holders(to, hashed, named, (), now))
                case Send(to, Have() as have):
                    self._post.send(to, replace(have, dial=self._members.is_secondary(to)))
                case Send(to, message):
                    self._post.send(to, message)
                case Found(hashed, peer, age):
                    self._found(hashed, peer, age)
                case Charged(member, about):
                    self._metrics.charged.inc()
                    self._log.warn(member.short, "index member names falsely", peer=member.short, about=about.short)
                    self._emit(NamesFalsely(member, about))
                case Denied(hashed, peer):
                    self._lost(hashed, peer)
                case Ended(hashed, result, again, listed):
                    self._ended(hashed, result, again, listed=listed)
        self._alarm.set(self._searches.wake_at(now))

    def _found(self, hashed: bytes, peer: PeerId, age: float | None) -> None:
        self._metrics.found.inc("sweep" if age is None else "index")
        wanted = self._wanted.get(hashed)
        if wanted is None:
            return
        self._holders.add(hashed, peer, age)
        if not wanted.lasting:
            return
        if not self._members.is_secondary(peer):
            self._connect(wanted, hashed, peer)
        if self._members.is_secondary(peer) and self._members.is_secondary(self._me):
            self._unreached[peer] = "neither it nor this node can be dialled"
        self._emit(HolderFound(wanted.channel, wanted.key, peer))
        self._tell_progress(wanted)

    def _connect(self, wanted: _Wanted, hashed: bytes, peer: PeerId) -> None:
        """Want a connection to a holder, if the fetch needs it: who is connected may have said yes and have nothing."""
        if not self._is_reached(hashed):
            self._want_holder(peer, "holder")
        elif peer not in self._connected and self._engine.now() >= wanted.since + PROVES:
            wanted.turns[peer] = None
            self._connect_further(wanted, hashed)

    def _connect_further(self, wanted: _Wanted, hashed: bytes) -> None:
        """Want those whose turn has come, as others are connected by now or cannot be reached."""
        there = self._holders.of(hashed)
        waits = (peer for peer in wanted.further if peer not in self._connected and peer not in self._unreached)
        wanted.further = {peer for peer in waits if peer in there}
        while wanted.turns and len(wanted.further) < FURTHER:
            peer = next(iter(wanted.turns))
            del wanted.turns[peer]
            if peer in there and peer not in self._connected:
                wanted.further.add(peer)
                self._want_holder(peer, "holder")

    def _is_reached(self, hashed: bytes) -> bool:
        return any(holder in self._connected for holder in self._holders.of(hashed))

    def _want_holder(self, peer: PeerId, why: str) -> None:
        if self._maintenance is not None:
            self._metrics.wants.inc(why)
            self._maintenance.want_for_fetch(peer)

    def _lost(self, hashed: bytes, peer: PeerId) -> None:
        """A holder says no by now, does not answer, or is gone."""
        wanted = self._wanted.get(hashed)
        if self._holders.discard(hashed, peer) and wanted is not None and wanted.lasting:
            self._tell_progress(wanted)

    def _ended(self, hashed: bytes, result: Result, again: float | None, *, listed: bool) -> None:
        self._metrics.ended.inc("found" if result.holders else "nobody")
        wanted = self._wanted.get(hashed)
        if wanted is None:
            return
        wanted.result = result
        if listed:
            finders, wanted.finders = wanted.finders, []
            for finder in finders:
                finder.set(self._findings(hashed, result))
        if again is None:
            del self._wanted[hashed]
            self._holders.forget(hashed)
        elif wanted.lasting:
            self._emit(SearchEnded(wanted.channel, wanted.key, result, again - self._engine.now()))
            self._tell_progress(wanted)

    def _tell_progress(self, wanted: _Wanted) -> None:
        """Of a search for a fetch, if what it says to people is another than before."""
        progress = self.progress(wanted.channel, wanted.key)
        if (told := (str(progress), progress.unreached)) != wanted.told:
            wanted.told = told
            self._emit(SearchProgress(wanted.channel, wanted.key, progress))

    def _findings(self, hashed: bytes, result: Result) -> Findings:
        holders = [Holder(each.peer, self._members.address(each.peer), each.age) for each in result.holders]
        if self._holds(hashed):
            holders.append(Holder(self._me, self._members.address(self._me), None))
            result = replace(result, holders=(*result.holders, steps.Found(self._me, None)))
        return Findings(tuple(holders), result)
