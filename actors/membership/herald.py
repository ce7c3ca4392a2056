"""From what SWIM notices to the events that others hear, by way of the view."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ... import runtime
from ...runtime import Message
from ...transport.identity import PeerId
from . import swim
from .mailbox import Isolated, Joined, KeyInUse, MemberRefuted, MemberSuspected
from .metrics import Metrics
from .post import Post
from .swim import MemberId
from .view import View


class Herald:
    """Part of the participant."""

    def __init__(
        self,
        engine: runtime.Engine[Any],
        view: View,
        post: Post,
        metrics: Metrics,
        *,
        tell: Callable[[Message], object],
        rejoined: Callable[[MemberId], object],
        isolated: Callable[[], object],
    ) -> None:
        """tell: where events go. rejoined: this node goes on under another generation. isolated: nobody is left."""
        self._engine = engine
        self._view = view
        self._post = post
        self._metrics = metrics
        self._tell = tell
        self._rejoined = rejoined
        self._isolated = isolated

    def heed(self, notification: swim.Notification) -> None:
        """SWIM has noticed something."""
        match notification:
            case swim.MemberUp(member):
                self.emit(self._view.up(member, self._engine.wall()))
            case swim.MemberDown(member):
                self._post.introduce_again(PeerId(member.key))
                self.emit(self._view.down(member, self._engine.wall()))
            case swim.Rename(_, new):
                self._post.introduce_again(PeerId(new.key))
                self._view.rename(new)
                self.emit(())
            case swim.Suspected(member):
                self._emit_of_visible(MemberSuspected(PeerId(member.key)))
            case swim.Refuted(member):
                self._emit_of_visible(MemberRefuted(PeerId(member.key)))
            case swim.ProbeFailed(member):
                self._engine.log.debug("probe failed", peer=str(member))
            case swim.RoundTrip(member, seconds):
                self._view.answered(member, seconds)
                self._metrics.round_trips.inc()
                self._metrics.round_trip_seconds.inc(by=seconds)
            case _:
                self._heed_of_ourselves(notification)

    def _heed_of_ourselves(self, notification: swim.Notification) -> None:
        match notification:
            case swim.Active():
                self.emit([Joined()])
            case swim.Idle():
                self._post.introduce_to_all()
                self._isolated()
                self.emit([Isolated()])
            case swim.Rejoin(member):
                self._post.introduce_to_all()
                self._rejoined(member)
            case swim.AddressInUse(member):
                self._engine.log.error("another process seems to run with this node's key", peer=str(member))
                self.emit([KeyInUse()])
            case swim.Defunct():
                self._engine.log.info("left the cluster")

    def emit(self, events: Iterable[Message]) -> None:
        """Tell of a change of the view."""
        for event in events:
            self._tell(event)
        self._metrics.members.set(self._view.num_visible)
        self._metrics.missing.set(self._view.num_missing)

    def _emit_of_visible(self, event: MemberSuspected | MemberRefuted) -> None:
        if self._view.is_visible(event.peer):
            self.emit([event])
