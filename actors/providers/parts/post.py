"""Sends packets to members, and to nobody else."""

from __future__ import annotations

from ....transport.identity import PeerId
from ....transport.mailbox import Mailbox as Transport
from ..core.codec import KIND, Having, Holders, Message, Provided, encode
from ..core.members import Members
from ..metrics import Metrics


class Post:
    """Part of the engine."""

    def __init__(self, transport: Transport, members: Members, metrics: Metrics) -> None:
        """members: whose addresses are known."""
        self._transport = transport
        self._members = members
        self._metrics = metrics

    def send(self, peer: PeerId, message: Message) -> None:
        """Send a packet; what is not sent is counted, and is as if it were lost."""
        address, answer = self._members.address(peer), isinstance(message, Provided | Holders | Having)
        sent = address is not None and self._transport.send_packet(peer, address, encode(message), KIND, answer=answer)
        if sent and sent.accepted:
            self._metrics.sent.inc(type(message).__name__.lower())
        else:
            self._metrics.not_sent.inc()
