"""Telling transport on which short-lived connections an answer is to come, the peer's or ours: they are not idle.

One over which requests of ours have ended, and none with data, is in vain so far.
"""

from __future__ import annotations

from ....transport.gatekeeper import Link
from ....transport.mailbox import Mailbox as Transport


class AwaitedAnswers:
    """How many are to come over each. Said where there is a first one, or none any more; of other links nothing is."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._counts: dict[int, int] = {}
        self._with_data: dict[int, bool] = {}  # whether a request of ours brought any, if one has ended

    def opened(self, link: Link) -> None:
        """A connection is there."""
        if link.short_lived:
            self._counts[link.id] = 0

    def closed(self, link_id: int) -> None:
        """It is gone, and nothing comes over it any more."""
        self._counts.pop(link_id, None)
        self._with_data.pop(link_id, None)

    def ended(self, link_id: int, *, with_data: bool) -> None:
        """A request of ours is over, and so is the wait for its answer."""
        if link_id in self._counts:
            self._with_data[link_id] = with_data or self._with_data.get(link_id, False)
        self.change(link_id, -1)

    def change(self, link_id: int, by: int) -> None:
        """So many more are to come over it, or less."""
        before = self._counts.get(link_id)
        if before is None:
            return
        now = self._counts[link_id] = before + by
        if bool(now) != bool(before):
            with_data = self._with_data.get(link_id)
            in_vain = None if with_data is None else not with_data
            self._transport.answers_awaited(link_id, 1 if now else -1, in_vain=in_vain)
