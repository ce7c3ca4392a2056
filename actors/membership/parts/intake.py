"""Takes in what is told of members, and follows what comes of it: records, events, greetings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .... import runtime
from ....transport.errors import DecodeError
from ....transport.identity import PeerId
from ....transport.record import PeerRecord
from .. import swim
from ..core.admission import Admission, Changes
from ..core.records import Records
from ..swim import Member, MemberId, Outbox, Swim
from .events import Events
from .misconduct import Misconduct
from .outgoing import Greetings, Outgoing, RecordRequests
from .view import View


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
        requests: RecordRequests,
        greetings: Greetings,
        perform: Callable[[], object],
        proved: Callable[[PeerId], object],
    ) -> None:
        """admission: decides. perform: performs what is in the outbox.

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
        self._requests = requests
        self._greetings = greetings
        self._perform = perform
        self._proved = proved

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

    def alive(self, peer: PeerId) -> None:
        """The peer has shown that it lives, by a connection or a packet without news."""
        self._swim.alive(peer, self._engine.now(), self._outbox)
        self._perform()

    def apply(self, updates: Iterable[Member], introducer: PeerId, *, broadcast: bool) -> None:
        now = self._engine.now()
        with self._admission.tell(introducer, now):
            source = None if introducer == self._records.me else introducer
            self._swim.apply_many(updates, broadcast, now, self._outbox, source=source)
        self.follow()

    def on_unknown_life(self, update: Member, source: PeerId) -> None:
        """A member has told of a life whose record is not here: that waits for it, unless a later life is proved."""
        peer = PeerId(update.id.key)
        if peer == self._records.me:
            return
        record = self._records.get(peer)
        if record is None or record.generation < update.id.generation:
            self._admission.let_wait(update, source, self._engine.now())
            self._requests.wait()
        elif peer in self._view or update.is_active:
            self.apply([Member(MemberId(peer, record.generation))], source, broadcast=True)

    def follow(self) -> None:
        """Perform the effects, tell of the changes, and apply what waited for the records that are new."""
        while self._admission.has_changed:
            self._take(self._admission.take_changes())
        while (cheat := self._misconduct.next_to_show()) is not None:
            self._show_to_others(*cheat)
        self._perform()
        if self._admission.waiting:
            self._requests.wait()
        if self._admission.unproved:
            self._greetings.soon()
        elif self._admission.unproved.compact():
            self._view.compact()
            self._records.compact()

    def _take(self, changes: Changes) -> None:
        for record in changes.records:
            self._outgoing.note_new(record.peer)
            self._events.publish(self._view.record_added(record))
        for one, other in changes.contradicting:
            if self._misconduct.report(one.peer, "two records of one life", one.peer):
                self._misconduct.show(one, other)
        for notification in changes.members:
            self._events.on_notification(notification)
        self._perform()
        if any(isinstance(each, swim.MemberUp | swim.Rename) for each in changes.members):
            self._greetings.greet(judge=False)  # at once, or each member that passes on a newcomer would lose time
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
        others = self._requests.can_be_asked()
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
            self._misconduct.refuse(sender or record.peer, error)
            self.follow()
            raise
        if not (is_new or self._admission.has_changed):
            return False  # as most: nothing follows from what is known
        was_waited_for = is_new and record.peer in self._admission.waiting
        self.follow()
        if was_waited_for and not presented:
            self.drop_if_unused(record.peer)
        return is_new

    def is_wanted(self, peer: PeerId) -> bool:
        """Whether others that bring a record of the peer are listened to."""
        return peer in self._view or peer in self._admission.waiting

    def drop_if_unused(self, peer: PeerId) -> None:
        """Drop the record of a peer that is neither a member, nor hidden, nor a seed."""
        if peer not in self._view and peer not in self._admission.unproved and not self._records.is_seed(peer):
            self._records.forget(peer)
            self._outgoing.introduce_again(peer)
