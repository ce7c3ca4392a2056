"""Closes, names and may block a peer that sends too much or shows false proofs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from .... import runtime
from ....transport.core.buckets import TokenBuckets
from ....transport.errors import DecodeError
from ....transport.identity import PeerId
from ....transport.mailbox import Mailbox as Transport
from ....transport.parts.limited_log import LimitedLog
from ....transport.reasons import Reason
from ....transport.record import PeerRecord
from ...tracker.mailbox import Mailbox as Tracker
from .. import swim
from ..core.sender_limits import SenderLimits
from ..mailbox import MemberCheats, MemberFloods
from ..metrics import Metrics
from .events import Events
from .outgoing import Outgoing

CHEAT_BLOCK = 600.0
"""Seconds for which a peer is blocked that has shown a false proof of its own."""

SHOWN_CHEATS = (0.2, 4)
"""Cheats whose records are shown to others, in a second and at once: who has many keys makes this node flood nobody."""

CHEATS_TO_SHOW = 64
"""Of those that wait for their turn to be shown, at most."""

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
        outgoing: Outgoing,
        log: LimitedLog,
        shun: Callable[[PeerId, float], object],
    ) -> None:
        """limits: also of how often a peer is named. transport, tracker: close and block it. events, log: tell of it.

        outgoing: asks for records. shun: sees that it is no member for so many seconds.
        """
        self._engine = engine
        self._limits = limits
        self._transport = transport
        self._tracker = tracker
        self._metrics = metrics
        self._events = events
        self._outgoing = outgoing
        self._log = log
        self._shun = shun
        self._shows = TokenBuckets(*SHOWN_CHEATS)
        self._to_show: deque[tuple[PeerRecord, PeerRecord]] = deque()

    def over_limit(self, sender: PeerId, kind: str) -> None:
        """A packet of this kind was dropped, as its sender has sent too many."""
        self._metrics.over_limit.inc(kind)
        if not self._limits.dropped(sender, self._engine.now()):
            return
        self._log.warn(sender.short, "member floods and is closed", peer=sender.short, kind=kind)
        self._events.publish([MemberFloods(sender, kind)])
        self._close(sender, Reason.FLOODING)

    def on_cheated(self, event: swim.Cheated) -> None:
        """A false proof. What is not about the sender itself may be the lie of an owner that signed two records."""
        peer = PeerId(event.peer)
        about = peer if event.about is None else PeerId(event.about.id.key)
        if self.report(peer, event.why, about) and about != peer:
            self._outgoing.request_records(peer, (about,))  # another than ours shows whose lie it is

    def report(self, peer: PeerId, why: str, about: PeerId) -> bool:
        """Count it, at most once a minute name the peer, and block it if it is about itself. Whether it was named."""
        own, now = about == peer, self._engine.now()
        self._metrics.cheats.inc("own" if own else "passed_on")
        if (not own and self._limits.has_cheated(about, now)) or not self._limits.may_report(peer, now, own=own):
            return False
        blocked = CHEAT_BLOCK if own else 0
        self._log.warn(peer.short, "member cheats", peer=peer.short, why=why, about=about.short, blocked=blocked)
        self._events.publish([MemberCheats(peer, why, about)])
        if own:
            self._shun(peer, CHEAT_BLOCK)
            self._close(peer, Reason.PROTOCOL)
            reply = self._tracker.block(peer, CHEAT_BLOCK, at_least=True)
            self._engine.on_reply(reply, lambda _answer: None, timeout=_CLOSE_TIMEOUT)
        return True

    def refuse(self, cause: PeerId, error: DecodeError) -> None:
        """Write down that a record is none that a member can have. cause: who brought it."""
        self._log.note(cause.short, "record refused", peer=cause.short, error=str(error))

    def show(self, one: PeerRecord, other: PeerRecord) -> None:
        """Have the two records by which each can see who cheats shown to others, when it is their turn."""
        if len(self._to_show) < CHEATS_TO_SHOW:
            self._to_show.append((one, other))
        else:
            self._metrics.not_shown.inc()

    def next_to_show(self) -> tuple[PeerRecord, PeerRecord] | None:
        """Whose turn it is to be shown now, if it is anybody's."""
        if not (self._to_show and self._shows.take(None, self._engine.now())):
            return None
        return self._to_show.popleft()

    def _close(self, peer: PeerId, reason: Reason) -> None:
        closed = self._transport.close(peer, reason)
        self._engine.on_reply(closed, lambda _answer: None, timeout=_CLOSE_TIMEOUT)
