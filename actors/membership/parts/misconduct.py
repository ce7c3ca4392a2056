"""Closes, names and may block a peer that sends too much or shows false proofs; what peers can write into the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .... import runtime
from ....runtime import Message, Timer
from ....transport.core.log_limits import SUMMARY_AFTER, LogLimits
from ....transport.identity import PeerId
from ....transport.mailbox import Mailbox as Transport
from ....transport.reasons import Reason
from ...tracker.mailbox import Mailbox as Tracker
from .. import swim
from ..core.sender_limits import SenderLimits
from ..mailbox import MemberCheats, MemberFloods
from ..metrics import Metrics
from .events import Events
from .outgoing import Outgoing

CHEAT_BLOCK = 600.0
"""Seconds for which a peer is blocked that has shown a false proof of its own."""

_CLOSE_TIMEOUT = 30.0  # seconds


@dataclass(frozen=True, slots=True)
class SayLeftOut(Message):
    """Timer: say how many log lines were left out."""


class LimitedLog:
    """Part of the engine: the log lines that other peers can cause.

    The limits are transport's (`transport.core.log_limits`), with a peer in the place of an IP. Warnings, changes of
    members and the rest have shares of their own, so that whoever causes many of one hides none of the others.
    """

    def __init__(self, engine: runtime.Engine[Any], metrics: Metrics) -> None:
        """engine: whose log it is; it hands `SayLeftOut` back to `say_left_out`."""
        self._engine = engine
        self._metrics = metrics
        self._limits = LogLimits()
        self._summary: Timer | None = None

    def note(self, cause: PeerId, event: str, **facts: object) -> None:
        """A line of level info that this peer can cause."""
        if self._admits(cause.short, "info"):
            self._engine.log.info(event, **facts)

    def change(self, cause: PeerId, **facts: object) -> None:
        """A line about a change of the members, of this one."""
        if self._admits(cause.short, "member"):
            self._engine.log.info("member", peer=cause.short, **facts)

    def warn(self, cause: PeerId, event: str, **facts: object) -> None:
        """As `note`, a warning about this peer."""
        if self._admits(cause.short, "warning"):
            self._engine.log.warning(event, peer=cause.short, **facts)

    def warn_of_all(self, event: str, **facts: object) -> None:
        """A warning that many peers cause together."""
        if self._admits("all", "warning"):
            self._engine.log.warning(event, **facts)

    def _admits(self, cause: str, kind: str) -> bool:
        if self._limits.admits(cause, kind, self._engine.now()):
            return True
        self._metrics.log_lines_left_out.inc()
        if self._summary is None:
            self._summary = self._engine.after(SUMMARY_AFTER, SayLeftOut())
        return False

    def say_left_out(self) -> None:
        """One line for all that were not written."""
        self._summary = None
        left_out = self._limits.take_left_out()
        self._engine.log.warning(
            "log lines left out", lines=left_out.lines, most_of=left_out.most_of, of_it=left_out.of_it
        )


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

    def over_limit(self, sender: PeerId, kind: str) -> None:
        """A packet of this kind was dropped, as its sender has sent too many."""
        self._metrics.over_limit.inc(kind)
        if not self._limits.dropped(sender, self._engine.now()):
            return
        self._log.warn(sender, "member floods and is closed", kind=kind)
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
        self._log.warn(peer, "member cheats", why=why, about=about.short, blocked=CHEAT_BLOCK if own else 0)
        self._events.publish([MemberCheats(peer, why, about)])
        if own:
            self._shun(peer, CHEAT_BLOCK)
            self._close(peer, Reason.PROTOCOL)
            blocked = self._tracker.block(peer, CHEAT_BLOCK, at_least=True)
            self._engine.on_reply(blocked, lambda _answer: None, timeout=_CLOSE_TIMEOUT)
        return True

    def _close(self, peer: PeerId, reason: Reason) -> None:
        closed = self._transport.close(peer, reason)
        self._engine.on_reply(closed, lambda _answer: None, timeout=_CLOSE_TIMEOUT)
