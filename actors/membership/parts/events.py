"""Turns what SWIM notices into the events that subscribers get; `view` decides what a subscriber may see."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .... import runtime
from ....runtime import Message
from ....transport.identity import PeerId
from .. import swim
from ..mailbox import Isolated, Joined, KeyInUse, MemberRefuted, MemberSuspected
from ..metrics import Metrics
from ..swim import MemberId
from .outgoing import Outgoing
from .view import View


class Events:
    """Part of the session."""

    def __init__(
        self,
        engine: runtime.Engine[Any],
        view: View,
        outgoing: Outgoing,
        metrics: Metrics,
        *,
        emit: Callable[[Message], object],
        rejoined: Callable[[MemberId], object],
        isolated: Callable[[], object],
    ) -> None:
        """emit: takes each event. isolated: called when the last other member is gone.

        rejoined: called with the identity under which this node goes on after the others declared it Down.
        """
        self._engine = engine
        self._view = view
        self._outgoing = outgoing
        self._metrics = metrics
        self._emit = emit
        self._rejoined = rejoined
        self._isolated = isolated

    def on_notification(self, notification: swim.Notification) -> None:
        """Handle one notification of SWIM: update the view, the metrics and the log, and emit events."""
        match notification:
            case swim.MemberUp(member):
                self.publish(self._view.up(member, self._engine.wall()))
            case swim.MemberDown(member):
                self._outgoing.introduce_again(PeerId(member.key))
                self.publish(self._view.down(member, self._engine.wall()))
            case swim.Rename(_, new):
                self._outgoing.introduce_again(PeerId(new.key))
                self._view.rename(new)
                self.publish(())
            case swim.Suspected(member):
                self._publish_if_visible(MemberSuspected(PeerId(member.key)))
            case swim.Refuted(member):
                self._publish_if_visible(MemberRefuted(PeerId(member.key)))
            case swim.ProbeFailed(member):
                self._engine.log.debug("probe failed", peer=str(member))
            case swim.RoundTrip(member, seconds):
                self._view.add_round_trip(member, seconds)
                self._metrics.round_trips.inc()
                self._metrics.round_trip_seconds.inc(by=seconds)
            case _:
                self._on_own_notification(notification)

    def _on_own_notification(self, notification: swim.Notification) -> None:
        match notification:
            case swim.Active():
                self.publish([Joined()])
            case swim.Idle():
                self._outgoing.introduce_to_all()
                self._isolated()
                self.publish([Isolated()])
            case swim.Rejoin(member):
                self._outgoing.introduce_to_all()
                self._rejoined(member)
            case swim.AddressInUse(member):
                self._engine.log.error("another process seems to run with this node's key", peer=str(member))
                self.publish([KeyInUse()])
            case swim.Defunct():
                self._engine.log.info("left the cluster")

    def publish(self, events: Iterable[Message]) -> None:
        """Emit the events of a change of the view, and bring the gauges of its size up to date."""
        for event in events:
            self._emit(event)
        self._metrics.members.set(self._view.num_visible)
        self._metrics.missing.set(self._view.num_missing)

    def _publish_if_visible(self, event: MemberSuspected | MemberRefuted) -> None:
        if self._view.is_visible(event.peer):
            self.publish([event])
