"""What goes out: SWIM's packets, and the records that go along.

* Our own record goes along until the receiver has been heard from. It always goes along with a Feed, an Announce and a
  TurnUndead: the receiver may have restarted without its data, and drops packets of peers whose record it has not.
* A Feed also carries the records of the members that it names, as far as they are known and fit. Every other packet of
  SWIM carries those of whom it tells whose records are new here: a life whose record is unknown is not believed.
* Nothing is sent to a peer without a known address; that is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ...transport.identity import PeerId
from ...transport.mailbox import Mailbox as Transport
from ...transport.record import PeerRecord
from .envelope import MAX_RECORDS, Envelope, is_announce, is_turn_undead, named_in, named_in_feed
from .metrics import Metrics
from .records import Records

NEW_FOR = 5.0
"""Seconds for which the record of a peer that has become known goes along with what is told of it."""


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

    def mark_introduced(self, peer: PeerId) -> None:
        """The peer has sent something, so it has our record, or can ask for it: stop sending it along."""
        self._introduced.add(peer)

    def introduce_again(self, peer: PeerId) -> None:
        """The peer may not have our record, as it is in another life: send it along again."""
        self._introduced.discard(peer)

    def introduce_to_all(self) -> None:
        """Our record is new, or all others may have lost it: send it along to each again."""
        self._introduced.clear()

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
