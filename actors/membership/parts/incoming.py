"""How a packet that comes in is handled:

1. It is dropped and counted if its sender has sent too many of its kind (`sender_limits`), who is reported and
   closed if it keeps on; if it is no envelope; or if the sender's record is neither in it nor held: every peer
   that is heard first-hand can be shown to others, and answered.
2. Its SWIM packet goes to `Swim`, with the sender that transport has authenticated.
3. Records of members are kept, others ignored; the records that the sender wants are sent to it. A false record ends
   the handling of the packet: no honest peer passes one on.
4. If it named members whose records are missing, or brought some of these records, the sender is asked for more of
   them.
"""

from __future__ import annotations

from typing import Any

from .... import runtime
from ....transport.errors import DecodeError
from ....transport.identity import PeerId
from ....transport.mailbox import Packet
from ....transport.record import PeerRecord
from ..core.admission import Admission
from ..core.envelope import Envelope, kinds_of
from ..core.records import Records
from ..core.sender_limits import SenderLimits
from ..metrics import Metrics
from ..swim import MemberId, Outbox, Swim, SwimError, UnknownLifeError
from .intake import Intake
from .misconduct import Misconduct
from .outgoing import Outgoing, RecordRequests


class Incoming:
    """Part of the session."""

    def __init__(
        self,
        engine: runtime.Engine[Any],
        swim: Swim,
        outbox: Outbox,
        admission: Admission,
        records: Records,
        *,
        limits: SenderLimits,
        outgoing: Outgoing,
        intake: Intake,
        misconduct: Misconduct,
        requests: RecordRequests,
        metrics: Metrics,
    ) -> None:
        """limits: of senders. intake: takes in what is told."""
        self._engine = engine
        self._swim = swim
        self._outbox = outbox
        self._admission = admission
        self._records = records
        self._limits = limits
        self._outgoing = outgoing
        self._intake = intake
        self._misconduct = misconduct
        self._requests = requests
        self._metrics = metrics

    def on_packet(self, packet: Packet) -> None:
        """Handle a packet as the module's docstring says."""
        try:
            envelope = Envelope.decode(packet.payload)
            exceeded = self._limits.exceeded(packet.peer, kinds_of(envelope), self._engine.now())
            if exceeded is None:
                self._on_envelope(packet.peer, envelope)
            else:
                self._misconduct.over_limit(packet.peer, exceeded)
        except DecodeError as error:
            self._drop("malformed", packet.peer, error)
            if self._limits.exceeded(packet.peer, ("other",), self._engine.now()):
                self._misconduct.over_limit(packet.peer, "other")
        self._intake.drop_if_unused(packet.peer)

    def _on_envelope(self, sender: PeerId, envelope: Envelope) -> None:
        missing = self._requests.num_missing
        records = {each.peer: each for each in (self._records.read(data, sender) for data in envelope.records)}
        own, ours = records.pop(sender, None), records.pop(self._records.me, None)
        if own is not None:
            self._intake.add_record(own, sender, presented=True)
        if ours is not None:
            self._outlive(ours, sender)
        if sender not in self._records:
            self._drop("stranger", sender)
            return
        self._intake.prove(sender)
        self._admission.unsettled.hear(sender, self._engine.now())
        self._outgoing.mark_introduced(sender)
        if envelope.swim:
            self._on_swim_packet(envelope.swim, sender, records)
        else:
            self._intake.alive(sender)
        brought = [
            self._intake.add_record(record, sender)
            for record in records.values()
            if self._intake.is_wanted(record.peer)
        ]
        if envelope.wanted:
            known = [peer for peer in envelope.wanted if peer not in self._admission.unproved]
            self._outgoing.send_records(sender, known)
        if self._requests.num_missing > missing or any(brought):
            self._requests.ask(sender)

    def _outlive(self, record: PeerRecord, sender: PeerId) -> None:
        """Go on above a later life of ours, if we have signed its record: the clock was set back, or ahead for a while.

        Raises DecodeError if we have not.
        """
        if record.generation <= self._swim.identity.generation:
            return
        if not self._admission.may_check(sender, self._engine.now()):
            return
        if not record.verify(source=sender):
            self._metrics.records.inc("refused")
            raise DecodeError(f"record of peer {record.peer.short}: the signature is not that peer's")
        later = MemberId(record.peer, record.generation)
        self._swim.outlive(later, self._engine.now(), self._outbox)
        self._intake.follow()

    def _on_swim_packet(self, data: bytes, sender: PeerId, records: dict[PeerId, PeerRecord]) -> None:
        now = self._engine.now()
        with self._admission.tell(sender, now, records) as telling:
            try:
                self._swim.handle_data(data, now, self._outbox, sender=sender)
            except UnknownLifeError as error:
                self._on_unknown_sender(sender, error)
            except SwimError as error:
                self._drop(type(error).__name__, sender, error)
            else:
                self._metrics.packets.inc("received")
        self._intake.follow()
        for peer in telling.kept:
            self._intake.drop_if_unused(peer)  # it did not become a member
        if telling.forgery is not None:
            self._misconduct.refuse(sender, telling.forgery)
            raise telling.forgery

    def _drop(self, why: str, sender: PeerId, error: Exception | None = None) -> None:
        self._metrics.packets.inc(why)
        self._engine.log.debug("packet dropped", why=why, peer=sender.short, error=str(error or ""))

    def _on_unknown_sender(self, sender: PeerId, error: UnknownLifeError) -> None:
        """The sender's present life is not proved here: ask for its record, or show it the later one that is held.

        Neither if it has begun too many, as its record would not be kept.
        """
        held = self._records.get(sender)
        if held is not None and self._records.address(sender) != held.address:
            self._drop(type(error).__name__, sender, error)
            self._outgoing.send_records(sender, (self._records.me, sender))
        elif self._limits.may_live_again(sender, self._engine.now(), own=True):
            self._drop(type(error).__name__, sender, error)
            self._outgoing.request_records(sender, (sender,))
        else:
            self._drop("too_many_lives", sender, error)
            self._swim.alive(sender, self._engine.now(), self._outbox)  # in whatever life: else our probes of it fail
