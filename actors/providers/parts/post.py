"""Sends packets to members, and to the few others that members have named."""

from __future__ import annotations

from collections import OrderedDict

from ....transport.address import Address
from ....transport.core.buckets import TokenBuckets
from ....transport.identity import PeerId
from ....transport.mailbox import Mailbox as Transport
from ....transport.record import PeerRecord
from ..core.codec import KIND, Having, Holders, Message, Provided, encode
from ..core.members import Members
from ..metrics import Metrics

STRANGERS = (4.0, 16)
"""Peers that are no members and may be asked: in a second, and at once."""
_MAX_STRANGERS = 256  # whose addresses are remembered


class Post:
    """Part of the engine."""

    def __init__(self, transport: Transport, members: Members, metrics: Metrics) -> None:
        """members: whose addresses are known."""
        self._transport = transport
        self._members = members
        self._metrics = metrics
        self._budget = TokenBuckets(*STRANGERS)
        self._strangers: OrderedDict[PeerId, PeerRecord] = OrderedDict()

    def send(self, peer: PeerId, message: Message) -> None:
        """Send a packet; what is not sent is counted, and is as if it were lost."""
        address, answer = self.address(peer), isinstance(message, Provided | Holders | Having)
        sent = address is not None and self._transport.send_packet(peer, address, encode(message), KIND, answer=answer)
        if sent and sent.accepted:
            self._metrics.sent.inc(type(message).__name__.lower())
        else:
            self._metrics.not_sent.inc()

    def address(self, peer: PeerId) -> Address | None:
        """Where a member is, or who was named."""
        address = self._members.address(peer)
        if address is None and peer in self._strangers:
            return self._strangers[peer].address
        return address

    def stranger(self, peer: PeerId) -> PeerRecord | None:
        """The record of somebody who was named and is no member."""
        return None if peer in self._members else self._strangers.get(peer)

    def meet(self, record: PeerRecord, source: PeerId, now: float) -> bool:
        """Whether somebody may be asked who was named by `source`: a member, or one more within the budget."""
        peer = record.peer
        if peer in self._members or self._strangers.get(peer) == record:
            return True
        if not self._budget.take("all", now):
            self._metrics.strangers.inc("over_budget")
            return False
        if not record.verify(source=source):
            self._metrics.strangers.inc("forged")
            return False
        self._metrics.strangers.inc("met")
        self._strangers.pop(peer, None)
        self._strangers[peer] = record
        if len(self._strangers) > _MAX_STRANGERS:
            self._strangers.popitem(last=False)
        return True
