"""Takes in what is told of members, greets the newcomers, and follows what comes of it: records, events, greetings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

from .... import runtime
from ....runtime import Message, Timer
from ....transport.errors import DecodeError
from ....transport.identity import PeerId
from ....transport.parts.limited_log import LimitedLog
from ....transport.record import PeerRecord
from .. import swim
from ..core.admission import Admission, Changes
from ..core.records import Records
from ..swim import ConnectionState, Member, MemberId, Outbox, Swim
from .events import Events
from .misconduct import Misconduct
from .outgoing import Outgoing, RecordRequests
from .view import View

GREET_EVERY = 0.25
"""Seconds between two looks at who is to be greeted."""


class Greet(Message, Struct, frozen=True):
    """Timer: greet who has not answered this node yet. due: when it should come, in monotonic seconds."""

    due: float


class Intake:
    """Part of the session."""

    def __init__(
        self,
        engine: runtime.Engine[Any],
        swim: Swim,
        outbox: Outbox,
        admission: Admission,
        records: Records,
        view: View,
        *,
        outgoing: Outgoing,
        events: Events,
        misconduct: Misconduct,
        log: LimitedLog,
        requests: RecordRequests,
        perform: Callable[[], object],
        is_probeable: Callable[[bytes], bool],
        proved: Callable[[PeerId], object],
    ) -> None:
        """admission: decides. log: for what others cause. perform: performs what is in the outbox.

        is_probeable: whether a peer may be greeted.
        proved: called when a member has answered for the first time.
        """
        self._engine = engine
        self._swim = swim
        self._outbox = outbox
        self._admission = admission
        self._records = records
        self._view = view
        self._outgoing = outgoing
        self._events = events
        self._misconduct = misconduct
        self._log = log
        self._requests = requests
        self._perform = perform
        self._is_probeable = is_probeable
        self._proved = proved
        self._greet_timer: Timer | None = None

    @property
    def _has_left(self) -> bool:
        return self._swim.connection_state is ConnectionState.UNDEAD

    def prove(self, peer: PeerId) -> None:
        """The peer has answered this node itself."""
        newcomer = self._admission.prove(peer)
        if newcomer is None:
            return
        self._outgoing.note_new(peer)  # to those who are told of it only now
        self.apply([newcomer.told], peer, broadcast=True)
        if self._swim.get(peer) is None:
            self._admission.lose(newcomer)
            self.follow()
        self._proved(peer)

    def on_greet(self, message: Greet) -> None:
        """Greet those who have not answered, and forget who never did; not if this process has stalled.

        Then the answers may be waiting unread.
        """
        self._greet_timer = None
        late = self._engine.now() - message.due
        self._greet(judge=late <= self._swim.config.probe_rtt)
        self.follow()

    def _greet(self, *, judge: bool) -> None:
        """Ask those who have not answered this node, and whose turn it is, whether they are there."""
        if self._has_left:
            return
        now = self._engine.now()
        for newcomer in self._admission.take_turns(now, self._is_probeable, judge=judge).greet:
            by = newcomer.introducer if newcomer.needs_helpers else None
            self._swim.greet(newcomer.told.id, now, self._outbox, by=by)

    def _greet_soon(self) -> None:
        if self._greet_timer is None and not self._has_left:
            due = self._engine.now() + GREET_EVERY
            self._greet_timer = self._engine.after(GREET_EVERY, Greet(due))

    def apply(self, updates: Iterable[Member], introducer: PeerId, *, broadcast: bool) -> None:
        now = self._engine.now()
        with self._admission.tell(introducer, now):
            source = None if introducer == self._records.me else introducer
            self._swim.apply_many(updates, broadcast, now, self._outbox, source=source)
        self.follow()

    def follow(self) -> None:
        """Perform the effects, tell of the changes, and apply what waited for the records that are new."""
        while self._admission.has_changed:
            self._take(self._admission.take_changes())
        self._perform()
        if self._admission.waiting:
            self._requests.wait()
        if self._admission.unproved:
            self._greet_soon()
        elif self._admission.unproved.compact():
            self._view.compact()
            self._records.compact()

    def _take(self, changes: Changes) -> None:
        for record in changes.records:
            self._outgoing.note_new(record.peer)
            self._events.publish(self._view.record_added(record))
        for one, other in changes.contradicting:
            reported = self._misconduct.report(one.peer, "two records of one life", one.peer)
            if reported and self._misconduct.may_show():
                self._show_to_others(one, other)
        for notification in changes.members:
            self._events.on_notification(notification)
        self._perform()
        if any(isinstance(each, swim.MemberUp | swim.Rename) for each in changes.members):
            self._greet(judge=False)  # at once, or each member that passes on a newcomer would lose time
        down = [each.member for each in changes.members if isinstance(each, swim.MemberDown)]
        for member in (*down, *changes.unanswered):
            self._end_greeting(member)
        for peer in dict.fromkeys((*changes.heeded, *(record.peer for record in changes.records))):
            for sender, update in self._admission.take_waiting(peer):
                self.apply([update], sender, broadcast=True)

    def _show_to_others(self, *records: PeerRecord) -> None:
        """Show some members, as many as are told of an update, the records by which each can see who cheats.

        Whoever has been shown only one of the two cannot know, and is told of the cheat by nobody who ignores it.
        """
        proved = (each.peer for each in self._view.visible if each.peer not in self._admission.unproved)
        others = [peer for peer in proved if self._is_probeable(peer)]
        count = min(len(others), self._swim.config.copies(len(others) + 1))
        for peer in self._engine.rng.sample(others, count):
            for record in records:  # a packet each, as of one peer a packet has one record
                self._outgoing.show(peer, record)

    def _end_greeting(self, member: MemberId) -> None:
        if self._swim.get(member.key) is None:
            self._swim.forget(member.key, self._engine.now(), self._outbox)
            self.forget(member)

    def forget(self, member: MemberId) -> None:
        """A member is none any more."""
        peer = PeerId(member.key)
        self._view.forget(member)
        self.drop_if_unused(peer)

    def add_record(self, record: PeerRecord, sender: PeerId | None = None, *, presented: bool = False) -> bool:
        """Keep a record if it is newer; returns whether it was. Raises DecodeError if no member can have it.

        sender: whose packet it came in. presented: the peer itself has shown it.
        """
        try:
            is_new = self._admission.keep(record, sender, self._engine.now(), presented=presented)
        except DecodeError as error:
            self.refuse(sender or record.peer, error)
            self.follow()
            raise
        if not (is_new or self._admission.has_changed):
            return False  # as most: nothing follows from what is known
        was_waited_for = is_new and record.peer in self._admission.waiting
        self.follow()
        if was_waited_for and not presented:
            self.drop_if_unused(record.peer)
        return is_new

    def refuse(self, cause: PeerId, error: DecodeError) -> None:
        """Write down that a record is none that a member can have. cause: who brought it."""
        self._log.note(cause.short, "record refused", peer=cause.short, error=str(error))

    def drop_if_unused(self, peer: PeerId) -> None:
        """Drop the record of a peer that is neither a member, nor hidden, nor a seed."""
        if peer not in self._view and peer not in self._admission.unproved and not self._records.is_seed(peer):
            self._records.forget(peer)
            self._outgoing.introduce_again(peer)
