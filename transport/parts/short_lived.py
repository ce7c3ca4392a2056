"""Short-lived connections: their places are taken, and ended when their time is over. `core/short_lived.py` decides."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from ...runtime import Message
from ..core.short_lived import LOOK_EVERY, Use
from ..gatekeeper import Direction
from ..identity import PeerId
from ..mailbox import AnswersAwaited
from ..reasons import Reason
from .links import Live
from .shared import Shared


class Look(Message, Struct, frozen=True):
    """Timer: see whether something was said on this connection."""

    live: Live


class ShortLived:
    """Part of one engine."""

    def __init__(self, shared: Shared, close: Callable[[Live, Reason], object]) -> None:
        """close: ends a connection."""
        self._shared = shared
        self._close = close
        self._uses: dict[int, tuple[Live, Use]] = {}  # by link

    def take_outbound(self) -> Reason | None:
        """A place for a dial of ours, or why there is none."""
        places = self._shared.slots.short_lived
        if not places.free(Direction.OUT):
            self._end_one(Direction.OUT)
        return places.take_outbound()

    def take_inbound(self, peer: PeerId, ip: str) -> Reason | None:
        """A place for a peer's dial, or why there is none yet."""
        shared = self._shared
        refused = shared.slots.short_lived.take_inbound(peer, ip, shared.now())
        if refused is not None and self._end_one(Direction.IN):
            refused = shared.slots.short_lived.take_inbound(peer, ip, shared.now())
        return refused

    def opened(self, live: Live) -> None:
        """Watch a connection, if it is a short-lived one."""
        if live.link.short_lived:
            now = self._shared.now()
            self._uses[live.link.id] = live, Use(now, now, now)
            self._shared.after(LOOK_EVERY, Look(live))

    def answers_awaited(self, message: AnswersAwaited) -> None:
        """Somebody waits for an answer over a connection, or owes one; or does no more."""
        if message.link_id in self._uses:
            self._uses[message.link_id][1].awaits(message.delta, self._shared.now(), in_vain=message.in_vain)

    def look(self, message: Look) -> None:
        """The timer of one rang."""
        shared, live = self._shared, message.live
        if live.link.id not in shared.links.by_id:
            self._uses.pop(live.link.id, None)
        elif self._look(live, self._uses[live.link.id][1]):
            del self._uses[live.link.id]
            self._close(live, Reason.IDLE)
        else:
            shared.after(LOOK_EVERY, message)

    def _end_one(self, wanted: Direction) -> bool:
        """End the one whose time is over for longest, if that makes a place for one of this direction."""
        shared = self._shared
        for live, use in self._uses.values():
            self._look(live, use)
        over = [
            (use.over_at(live.link.direction), live.link.id)
            for live, use in self._uses.values()
            if live.link.id in shared.links.by_id
            and shared.slots.short_lived.frees(live.link.direction, wanted)
            and use.over_at(live.link.direction) <= shared.now()
        ]
        if not over:
            return False
        live, use = self._uses.pop(min(over)[1])
        self._close(live, Reason.IDLE if use.is_useless(live.link.direction) else Reason.TURN_OVER)
        return True

    def _look(self, live: Live, use: Use) -> bool:
        use.heard = live.received > 0
        return use.look(live.sent + live.received, self._shared.now(), on_its_way=live.sent > live.confirmed)
