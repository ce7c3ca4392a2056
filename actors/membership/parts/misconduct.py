"""Closes, names and may block a peer that sends too much or shows false proofs."""

from __future__ import annotations

from typing import Any

from .... import runtime
from ....transport.identity import PeerId
from ....transport.mailbox import Mailbox as Transport
from ....transport.reasons import Reason
from ...tracker.mailbox import Mailbox as Tracker
from .. import swim
from ..core.sender_limits import SenderLimits
from ..mailbox import MemberCheats, MemberFloods
from ..metrics import Metrics
from .events import Events

CHEAT_BLOCK = 600.0
"""Seconds for which a peer is blocked that has shown a false proof of its own."""

_CLOSE_TIMEOUT = 30.0  # seconds


class Misconduct:
    """Part of the session."""

    def __init__(
        self,
        engine: runtime.Engine[Any],
        limits: SenderLimits,
        transport: Transport,
        tracker: Tracker,
        metrics: Metrics,
        events: Events,
    ) -> None:
        """limits: also of how often a peer is named. transport, tracker: close and block it. events: tell of it."""
        self._engine = engine
        self._limits = limits
        self._transport = transport
        self._tracker = tracker
        self._metrics = metrics
        self._events = events

    def over_limit(self, sender: PeerId, kind: str) -> None:
        """A packet of this kind was dropped, as its sender has sent too many."""
        self._metrics.over_limit.inc(kind)
        if not self._limits.dropped(sender, self._engine.now()):
            return
        self._engine.log.warning("member floods and is closed", peer=sender.short, kind=kind)
        self._events.publish([MemberFloods(sender, kind)])
        self._close(sender, Reason.FLOODING)

    def on_cheated(self, event: swim.Cheated) -> None:
        """A false proof. What is not about the sender itself may be the lie of an owner that signed two records."""
        peer = PeerId(event.peer)
        conclusive = event.about is None or event.about.id.key == peer
        self._metrics.cheats.inc("own" if conclusive else "passed_on")
        if not self._limits.may_report(peer, self._engine.now()):
            return
        about = peer if event.about is None else PeerId(event.about.id.key)
        self._engine.log.warning(
            "member cheats", peer=peer.short, why=event.why, about=about.short, blocked=CHEAT_BLOCK if conclusive else 0
        )
        self._events.publish([MemberCheats(peer, event.why, about)])
        if conclusive:
            self._close(peer, Reason.PROTOCOL)
            blocked = self._tracker.block(peer, CHEAT_BLOCK, at_least=True)
            self._engine.on_reply(blocked, lambda _answer: None, timeout=_CLOSE_TIMEOUT)

    def _close(self, peer: PeerId, reason: Reason) -> None:
        closed = self._transport.close(peer, reason)
        self._engine.on_reply(closed, lambda _answer: None, timeout=_CLOSE_TIMEOUT)
