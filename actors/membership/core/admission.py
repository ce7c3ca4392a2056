"""Who becomes a member, and whose record is kept (membership: in a node).

* Who shows itself to this node, by a packet or a connection, becomes a member of SWIM, which probes it and passes it
  on. So does who was a member before this node restarted.
* Of whom others tell takes no place in SWIM. Without a record what is told *waits*; with one the member is *unproved*
  (`newcomers`): visible, but neither probed nor passed on, and whatever others say of its state, only its own farewell
  counts. It is greeted, and becomes a member of SWIM when it answers; else it is *hidden* within seconds: no member for
  anybody, and greeted again when somebody tells of it. So what one peer invents is known to those whom it tells, and to
  nobody else.
* Who has cheated is none for a while, whatever others tell of it.
* Signatures are checked last, and only so many for each sender. Of a peer's later lives only so many are taken in.

What follows for the rest of the program is in `changes`, `new_records` and `heeded` until it is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from msgspec import Struct, field

from ....transport.errors import DecodeError
from ....transport.identity import PeerId
from ....transport.record import PeerRecord
from .. import swim
from ..swim import Member, MemberId, State, Swim
from .newcomers import PER_INTRODUCER, PER_SEED, Newcomer, Turns, Unproved
from .records import Records
from .sender_limits import SenderLimits
from .unsettled import Unsettled
from .waiting import Waiting

MAX_SHUNNED = 4096
"""Cheats that are remembered; the first are forgotten."""


class Telling(Struct):
    """What is told now. introducer: by whom. now: monotonic seconds. beside: the records that came with it.

    kept: whose records of these were kept. forgery: the first of these that was none.
    """

    introducer: PeerId
    now: float
    beside: dict[PeerId, PeerRecord]
    kept: list[PeerId] = field(default_factory=list)
    forgery: DecodeError | None = None


class Changes(Struct):
    """What has become of whom. members: of the unproved, as SWIM would notify it. records: those that are new.

    heeded: the peers of whose lives is known now what waiting updates are about. contradicting: two records of one
    generation, in which their peer has signed two lives. unanswered: the lives of hidden ones that are greeted no more.
    """

    members: list[swim.Notification] = field(default_factory=list)
    records: list[PeerRecord] = field(default_factory=list)
    heeded: list[PeerId] = field(default_factory=list)
    contradicting: list[tuple[PeerRecord, PeerRecord]] = field(default_factory=list)
    unanswered: list[MemberId] = field(default_factory=list)


class Admission:
    """Part of the session. connected: the peers with a connection to this node; the session changes it."""

    def __init__(
        self,
        me: PeerId,
        records: Records,
        limits: SenderLimits,
        *,
        period: float,
        ask_again: float,
        hides: Callable[[PeerId], bool],
        count: Callable[[str, int], object],
        count_record: Callable[[str], object],
    ) -> None:
        """me: this node. period: of SWIM's probes. ask_again: seconds until a record is asked for again.
        hides: whether a peer that this node may not ask is no member until it has answered.

        count, count_record: take what becomes of newcomers, and of records.
        """
        self.connected: set[PeerId] = set()
        self.unsettled = Unsettled()
        self.waiting = Waiting(ask_again)
        self.unproved = Unproved(period)
        self.told_of_others = False  # by anybody, that they are alive
        self._hides = hides
        self._me = me
        self._records = records
        self._limits = limits
        self._count = count
        self._count_record = count_record
        self._shunned: dict[PeerId, float] = {}  # until when
        self._telling: Telling | None = None
        self._changes = Changes()
        self._swim: Swim | None = None

    def use(self, swim: Swim) -> None:
        """The members who have shown themselves are in there."""
        self._swim = swim

    @contextmanager
    def tell(self, introducer: PeerId, now: float, beside: dict[PeerId, PeerRecord] | None = None) -> Iterator[Telling]:
        """While SWIM applies what this peer tells."""
        before, telling = self._telling, Telling(introducer, now, beside or {})
        self._telling = telling
        try:
            yield telling
        finally:
            self._telling = before

    @property
    def has_changed(self) -> bool:
        """Whether `take_changes` would say anything."""
        found = self._changes
        return bool(found.members or found.records or found.heeded or found.contradicting or found.unanswered)

    def take_changes(self) -> Changes:
        """What has changed since the last call."""
        changes, self._changes = self._changes, Changes()
        return changes

    # Asked by SWIM, and for its proofs --------------------------------------------------------------------------------

    def admits(self, update: Member) -> bool:
        """Whether a key that SWIM does not hold becomes a member of it by this update. If not, the update may wait."""
        telling, peer = self._telling, PeerId(update.id.key)
        if telling is None:
            return False  # of this node itself about a member that it has just forgotten
        if self._ignores(peer, telling.now):
            return False
        if peer == telling.introducer:
            self._make_room()
        elif telling.introducer == self._me:
            return self._is_kept_here(peer, update, telling)
        elif peer not in self.connected or not update.is_active:
            self._hear(update, telling)
            return False
        if self._swim is None or self._swim.has_room(telling.now):
            self.unsettled.add(peer, telling.now)
        self._changes.heeded.append(peer)
        return True

    def settled(self) -> Callable[[bytes], bool] | None:
        """Tells the members that have settled from the others; None if all are alike."""
        return None if self._swim is None else self.unsettled.settled(self._swim.num_members)

    def record_of(self, peer: PeerId, generation: int) -> PeerRecord | None:
        """The genuine record of this life: held, or beside what is told now."""
        held, telling = self._records.get(peer), self._telling
        if held is not None and held.generation >= generation:
            return held if held.generation == generation else None
        beside = None if telling is None else telling.beside.get(peer)
        if telling is None or beside is None or beside.generation != generation or not self._is_kept(beside, telling):
            return None
        self._changes.heeded.append(peer)
        telling.kept.append(peer)
        return beside

    def told_of(self, peer: PeerId) -> Member | None:
        """The most that is proved of an unproved member."""
        newcomer = self.unproved.get(peer)
        return None if newcomer is None else newcomer.told

    def _is_kept_here(self, peer: PeerId, update: Member, telling: Telling) -> bool:
        """Whether this node remembers the member from before a restart, with its record."""
        record = self._covering(peer, update, telling)
        if record is None or not self._is_kept(record, telling):
            return False
        self.unproved.discard(peer)
        return True

    def shun(self, peer: PeerId, until: float, now: float) -> None:
        """This peer is no member until then."""
        self._shunned = {each: time for each, time in self._shunned.items() if time > now}
        if len(self._shunned) >= MAX_SHUNNED:
            del self._shunned[next(iter(self._shunned))]
        self._shunned[peer] = until
        newcomer = self.unproved.discard(peer)
        if newcomer is not None:
            self._is_gone(newcomer, "cheated")

    def _ignores(self, peer: PeerId, now: float) -> bool:
        """Whether what is told of this peer is counted and not looked at, as it has cheated."""
        shunned = self._shunned.get(peer, now) > now
        if shunned:
            self._count("shunned", 1)
        return shunned

    # Of whom others tell ----------------------------------------------------------------------------------------------

    def _hear(self, update: Member, telling: Telling) -> None:
        peer = PeerId(update.id.key)
        known = self.unproved.get(peer)
        if known is not None and (not known.hidden or update.state is State.LEFT):
            self._hear_again(update, telling.now)
            return
        record = self._covering(peer, update, telling)
        if record is None or not update.is_active:
            self.let_wait(update, telling.introducer, telling.now)
        elif known is not None and update.id.generation <= known.told.id.generation:
            self._hear_of_hidden(known, update, record, telling)
        elif self._may_take_in(telling) and self._is_kept(record, telling):
            self._take_in(Member(update.id, update.incarnation, State.ALIVE, (), update.proof), record, telling)

    def _hear_of_hidden(self, known: Newcomer, update: Member, record: PeerRecord, telling: Telling) -> None:
        """Of one that did not answer: it may only have been out of reach."""
        self._count("was_silent", 1)
        self.unproved.learn(update, telling.now)
        if known.resting is not None and self._may_take_in(telling):
            self._take_in(known.told, record, telling)

    def _hear_again(self, update: Member, now: float) -> None:
        """More of an unproved member: nobody but itself can say that it is gone."""
        peer = PeerId(update.id.key)
        if update.state is not State.LEFT:
            before = self.unproved.learn(update, now)
            if before is not None:
                self._changes.members.append(swim.Rename(before.told.id, update.id))
            return
        newcomer = self.unproved.discard(peer)
        if newcomer is not None:
            self._is_gone(newcomer, "left")

    def _covering(self, peer: PeerId, update: Member, telling: Telling) -> PeerRecord | None:
        """The record of the life that the update is about, or of a later one: held, or beside it."""
        found = (self._records.get(peer), telling.beside.get(peer))
        return next((each for each in found if each and each.generation >= update.id.generation), None)

    def _may_take_in(self, telling: Telling) -> bool:
        """Whether the introducer may bring another member now, and there is room."""
        (held, limit), seed = self._size, self._is_seed(telling.introducer)
        has_room = held < limit and self._swim is not None and self._swim.has_room(telling.now)
        may_add = has_room and self.unproved.may_add(telling.introducer, telling.now, seed=seed)
        if may_add and (seed or self.unsettled.may_bring(telling.introducer, telling.now)):
            return True
        self._count("too_many", 1)
        return False

    def _take_in(self, told: Member, record: PeerRecord, telling: Telling) -> None:
        if record.address is None:
            return  # no record without one is kept
        introducer, (held, limit) = telling.introducer, self._size
        gone = self.unproved.add(
            told,
            introducer,
            record.address,
            telling.now,
            seed=self._is_seed(introducer),
            scarce=2 * held > limit,
            hidden=self._hides(record.peer),
        )
        for newcomer in gone:
            self._is_gone(newcomer, "pushed_out")
        if self.unproved.is_hidden(record.peer):
            self._count("blocked" if self._hides(record.peer) else "asked_again", 1)
            return
        self.told_of_others = True
        self._count("unproved", 1)
        self._changes.members.append(swim.MemberUp(told.id))
        self._changes.heeded.append(record.peer)

    @property
    def _size(self) -> tuple[int, int]:
        """How many members are held, the unproved among them, and how many may be: the dead go for others."""
        if self._swim is None:
            return 0, 0
        return self._swim.num_members + len(self.unproved), self._swim.config.max_members

    def _make_room(self) -> None:
        """A peer has shown itself: where no more members are held, an unproved one goes for it."""
        held, limit = self._size
        oldest = next(iter(self.unproved), None)
        if held >= limit and oldest is not None:
            self.unproved.discard(oldest.peer)
            self._is_gone(oldest, "pushed_out")

    def _is_gone(self, newcomer: Newcomer, why: str) -> None:
        self._count(why, 1)
        if newcomer.hidden:
            self._changes.unanswered.append(newcomer.told.id)
        else:
            self._changes.members.append(swim.MemberDown(newcomer.told.id, left=why == "left"))

    # Those who have not answered --------------------------------------------------------------------------------------

    def prove(self, peer: PeerId) -> Newcomer | None:
        """The peer has shown itself: what is to be told to SWIM, if it was unproved."""
        newcomer = self.unproved.discard(peer)
        if newcomer is not None:
            self._count("proved", 1)
        return newcomer

    def lose(self, newcomer: Newcomer) -> None:
        """SWIM does not take a member that has proved itself: it is none."""
        self._is_gone(newcomer, "pushed_out")

    def take_turns(self, now: float, may_greet: Callable[[PeerId], bool], *, judge: bool) -> Turns:
        """Whom to greet now. Who has not answered, or was not greeted in time, is no member any more."""
        turns = self.unproved.take_turns(now, may_greet, judge=judge)
        for newcomer in turns.silent:
            self._count("silent", 1)
            self._changes.members.append(swim.MemberDown(newcomer.told.id))
        for newcomer in turns.unasked:
            self._is_gone(newcomer, "unasked")
        self._changes.unanswered += [newcomer.told.id for newcomer in turns.again]
        return turns

    # What waits for a record ------------------------------------------------------------------------------------------

    def let_wait(self, update: Member, introducer: PeerId, now: float) -> None:
        """Until the record of that life is here, or for `WAITING_TIME`."""
        if self._ignores(PeerId(update.id.key), now):
            return
        self.told_of_others |= update.is_active
        self._count("waits", 1)
        share = PER_SEED if self._is_seed(introducer) else PER_INTRODUCER
        self._count("dropped", self.waiting.add(introducer, update, now, share))

    def take_waiting(self, peer: PeerId) -> Iterable[tuple[PeerId, Member]]:
        """What has waited for the record of a peer, with who told it."""
        record = self._records.get(peer)
        return () if record is None else self.waiting.take(peer, record.generation)

    def _is_seed(self, introducer: PeerId) -> bool:
        return self._records.is_configured_seed(introducer)

    # Records ----------------------------------------------------------------------------------------------------------

    def keep(self, record: PeerRecord, sender: PeerId | None, now: float, *, presented: bool = False) -> bool:
        """Keep a record if it is newer; whether it was. Raises DecodeError if no member can have it.

        sender: whose packet it came in. presented: the peer itself has shown it.
        """
        before = self._records.get(record.peer)
        if record == before and not presented:
            self._count_record("known")  # as most: each piece of news comes with its record, some ten times
            return False
        is_later = before is not None and record.newer_than(before)
        if is_later and not self._limits.may_live_again(record.peer, now, own=presented):
            self._count_record("too_many_lives")
            return False
        to_be_checked = self._records.is_to_be_checked(record, presented=presented)
        if sender is not None and to_be_checked and not self.may_check(sender, now):
            return False
        try:
            other = self._records.contradicted(record)
            if other is not None:
                self._contradict(record, other, sender, presented=presented)
                return False
            is_new = self._records.add(record, sender)
            if presented:
                is_new |= self._records.add_presented(record)
        except DecodeError:
            self._count_record("refused")
            raise
        self._count_record("kept" if is_new else "known")
        if is_new:
            self._changes.records.append(record)
        if is_new and is_later:
            self._limits.lives_again(record.peer, now, own=presented)
        return is_new

    def _contradict(self, record: PeerRecord, held: PeerRecord, sender: PeerId | None, *, presented: bool) -> None:
        """The owner has signed two lives of one generation, whoever brings the second: one that it shows to others.

        Raises DecodeError if it is forged, or the owner itself shows it.
        """
        if not record.verify(source=sender):
            raise DecodeError(f"record of peer {record.peer.short}: the signature is not that peer's")
        self._count_record("contradicts")
        self._changes.contradicting.append((held, record))
        if presented:
            raise DecodeError(f"record of peer {record.peer.short}: it has signed another one of this life")

    def may_check(self, sender: PeerId, now: float) -> bool:
        """Whether a signature that this peer sent is checked now."""
        seed = self._is_seed(sender)
        may_check = self._limits.may_check(sender, now, seed=seed)
        if may_check and (seed or self.unsettled.may_check(sender, now)):
            return True
        self._count_record("over_limit")
        return False

    def may_follow(self, links: int) -> bool:
        """Whether so many links of a chain are followed for who tells of them now."""
        telling = self._telling
        if telling is None or telling.introducer == self._me:
            return True
        sender, now = telling.introducer, telling.now
        if self._limits.may_follow(sender, links, now, seed=self._is_seed(sender)):
            return True
        self._count("not_followed", 1)
        return False

    def _is_kept(self, record: PeerRecord, telling: Telling) -> bool:
        """Whether the record is genuine: one that came beside is checked only now."""
        try:
            self.keep(record, telling.introducer, telling.now)
        except DecodeError as error:
            telling.forgery = telling.forgery or error
        return self._records.get(record.peer) == record
