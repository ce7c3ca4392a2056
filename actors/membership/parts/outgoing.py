"""What goes out: SWIM's packets, the records that go along, requests for those that are missing here, and greetings.

* Our own record goes along until the receiver has been heard from. It always goes along with a Feed, an Announce and a
  TurnUndead: the receiver may have restarted without its data, and drops packets of peers whose record it has not.
* A Feed also carries the records of the members that it names, as far as they are known and fit. Every other packet of
  SWIM carries those of whom it tells whose records are new here: a life whose record is unknown is not believed.
* Nothing is sent to a peer without a known address; that is counted.
* What SWIM says in a life whose record is still to be signed waits for that: nobody could check it.
* Missing records are asked for at who told of their owners, and now and then at another member.
* Of whom others tell is asked whether it is there, until it answers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

from .... import runtime
from ....runtime import Message, Timer
from ....transport.identity import PeerId
from ....transport.mailbox import Mailbox as Transport
from ....transport.record import PeerRecord
from ..core.admission import Admission
from ..core.envelope import MAX_RECORDS, MAX_WANTED, Envelope, is_announce, is_turn_undead, named_in, named_in_feed
from ..core.records import Records
from ..metrics import Metrics
from ..swim import ConnectionState, Outbox, Swim
from .view import View

NEW_FOR = 5.0
"""Seconds for which the record of a peer that has become known goes along with what is told of it."""

GREET_EVERY = 0.25
"""Seconds between two looks at who is to be greeted."""

REQUEST_INTERVAL = 1.0
"""Seconds until missing records are asked for again, at another member."""

_MOST_HELD_BACK = 256  # packets of a life whose record is not signed yet


class Outgoing:
    """Part of the session: sends packets and records. own: this node's record."""

    def __init__(
        self,
        own: PeerRecord,
        records: Records,
        transport: Transport,
        metrics: Metrics,
        now: Callable[[], float],
    ) -> None:
        """records: where addresses, and the records of others, come from. now: monotonic seconds."""
        self.own = own
        self._records = records
        self._transport = transport
        self._metrics = metrics
        self._introduced: set[PeerId] = set()
        self._now = now
        self._new: dict[PeerId, float] = {}  # whose records are new here, and until when; the oldest first
        self._held_back: deque[tuple[PeerId, bytes]] = deque(maxlen=_MOST_HELD_BACK)

    def mark_introduced(self, peer: PeerId) -> None:
        """The peer has sent something, so it has our record, or can ask for it: stop sending it along."""
        self._introduced.add(peer)

    def introduce_again(self, peer: PeerId) -> None:
        """The peer may not have our record, as it is in another life: send it along again."""
        self._introduced.discard(peer)

    def introduce_to_all(self) -> None:
        """Our record is new, or all others may have lost it: send it along to each again."""
        self._introduced.clear()

    def use_record(self, own: PeerRecord, *, speaks: bool) -> None:
        """Go over to this record of ours. speaks: send what was held back, as it is of this life; else forget it."""
        self.own = own
        self.introduce_to_all()
        held_back = tuple(self._held_back)
        self._held_back.clear()
        for to, packet in held_back if speaks else ():
            self.send_swim_packet(to, packet)

    def hold_back(self, to: PeerId, packet: bytes) -> None:
        """Keep a packet of SWIM until the record of this life is there."""
        if len(self._held_back) == _MOST_HELD_BACK:
            self._metrics.packets.inc("not_sent")  # the oldest goes
        self._held_back.append((to, packet))

    def note_new(self, peer: PeerId) -> None:
        """The record of a peer is new here, and so it may be to others."""
        self._new.pop(peer, None)
        self._new[peer] = self._now() + NEW_FOR

    def send_swim_packet(self, to: PeerId, packet: bytes) -> None:
        """Send a packet of SWIM with the records that belong to it."""
        named = named_in_feed(packet)
        if named is None:
            anew = is_announce(packet) or is_turn_undead(packet)
            introduction = (self.own.encode(),) if anew else self._introduction(to)
            # its own newest one shows a member whose clock was set back which life it must go on above
            latest = self._records.encoded([to], 1) if is_turn_undead(packet) else ()
            self._send(to, Envelope(packet, (*introduction, *latest, *self._new_in(packet, to))))
        else:
            self._send(to, Envelope(packet, (self.own.encode(), *self._records.encoded(named, MAX_RECORDS - 1))))

    def request_records(self, peer: PeerId, wanted: tuple[PeerId, ...]) -> None:
        """Ask a peer for the records of the wanted ones."""
        self._send(peer, Envelope(records=self._introduction(peer), wanted=wanted))

    def send_records(self, peer: PeerId, wanted: Iterable[PeerId]) -> None:
        """Send the records that a peer has asked for, as far as they are known; nothing if none is."""
        found = self._records.encoded(wanted, MAX_RECORDS - 1)
        if self.own.peer in wanted:
            found.insert(0, self.own.encode())
        if found:
            self._send(peer, Envelope(records=tuple(found)))

    def show(self, peer: PeerId, record: PeerRecord) -> None:
        """Send a record that need not be held."""
        self._send(peer, Envelope(records=(*self._introduction(peer), record.encode())))

    def _new_in(self, packet: bytes, to: PeerId) -> list[bytes]:
        """The new records of whom the packet tells: without them what it says of their lives would wait."""
        now = self._now()
        while self._new and next(iter(self._new.values())) <= now:
            del self._new[next(iter(self._new))]
        if not self._new:
            return []
        named = [peer for peer in named_in(packet) if peer in self._new and peer != to]
        return self._records.encoded(named, MAX_RECORDS - 2)  # beside our own and the latest

    def _introduction(self, peer: PeerId) -> tuple[bytes, ...]:
        return () if peer in self._introduced else (self.own.encode(),)

    def _send(self, peer: PeerId, envelope: Envelope) -> None:
        address = self._records.address(peer)
        if address is None:
            self._metrics.packets.inc("no_address")
            return
        payload = envelope.encode()
        accepted = self._transport.send_packet(peer, address, payload).accepted
        self._metrics.packets.inc("sent" if accepted else "not_sent")
        self._metrics.bytes_sent.inc(by=len(payload) if accepted else 0)


class RequestMissing(Message, Struct, frozen=True):
    """Timer: ask another member for the records that are still missing."""


class RecordRequests:
    """Part of the session."""

    def __init__(
        self,
        engine: runtime.Engine[Any],
        view: View,
        admission: Admission,
        outgoing: Outgoing,
        metrics: Metrics,
        *,
        is_probeable: Callable[[bytes], bool],
    ) -> None:
        """view, admission: which records are missing. is_probeable: whether a member may be asked."""
        self._engine = engine
        self._view = view
        self._admission = admission
        self._outgoing = outgoing
        self._metrics = metrics
        self._is_probeable = is_probeable
        self._timer: Timer | None = None

    @property
    def num_missing(self) -> int:
        """How many records are missing."""
        return self._view.num_missing + len(self._admission.waiting)

    def can_be_asked(self) -> list[PeerId]:
        """The members that have answered this node, and that it does not block."""
        visible, unproved = (record.peer for record in self._view.visible), self._admission.unproved
        return [peer for peer in visible if peer not in unproved and self._is_probeable(peer)]

    def ask(self, peer: PeerId) -> None:
        """Ask a peer for the records that its updates wait for, and others that are missing."""
        wanted = self._admission.waiting.ask(peer, self._engine.now(), MAX_RECORDS - 1)  # its own may come too
        wanted += self._view.take_missing(MAX_WANTED - len(wanted))
        if wanted:
            self._outgoing.request_records(peer, wanted)
            self.wait()

    def wait(self) -> None:
        """See that they are asked for again."""
        if self._timer is None:
            self._timer = self._engine.after(REQUEST_INTERVAL, RequestMissing())

    def ask_again(self) -> None:
        """The timer is due: ask who told of their owners, and a random member."""
        self._timer = None
        waiting = self._admission.waiting
        self._metrics.newcomers.inc("expired", by=waiting.expire(self._engine.now()))
        for sender in waiting.senders:
            self.ask(sender)
        if self._view.num_missing and (others := self.can_be_asked()):
            self.ask(self._engine.rng.choice(others))
        if self.num_missing:
            self.wait()


class Greet(Message, Struct, frozen=True):
    """Timer: greet who has not answered this node yet. due: when it should come, in monotonic seconds."""

    due: float


class Greetings:
    """Part of the session."""

    def __init__(
        self,
        engine: runtime.Engine[Any],
        swim: Swim,
        outbox: Outbox,
        admission: Admission,
        *,
        is_probeable: Callable[[bytes], bool],
    ) -> None:
        """admission: whose turn it is. is_probeable: whether a peer may be greeted."""
        self._engine = engine
        self._swim = swim
        self._outbox = outbox
        self._admission = admission
        self._is_probeable = is_probeable
        self._timer: Timer | None = None

    @property
    def _has_left(self) -> bool:
        return self._swim.connection_state is ConnectionState.UNDEAD

    def soon(self) -> None:
        """See that they are greeted."""
        if self._timer is None and not self._has_left:
            due = self._engine.now() + GREET_EVERY
            self._timer = self._engine.after(GREET_EVERY, Greet(due))

    def on_greet(self, message: Greet) -> None:
        """Greet those who have not answered, and forget who never did; not if this process has stalled.

        Then the answers may be waiting unread.
        """
        self._timer = None
        late = self._engine.now() - message.due
        self.greet(judge=late <= self._swim.config.probe_rtt)

    def greet(self, *, judge: bool) -> None:
        """Ask those who have not answered this node, and whose turn it is, whether they are there."""
        if self._has_left:
            return
        now = self._engine.now()
        for newcomer in self._admission.take_turns(now, self._is_probeable, judge=judge).greet:
            by = newcomer.introducer if newcomer.needs_helpers else None
            self._swim.greet(newcomer.told.id, now, self._outbox, by=by)
