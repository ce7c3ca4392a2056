"""From the list of members to the tracker's peer sets (flows: membership change).

* A change starts, or restarts, a timer; the set is due `peer_set_delay` after the last change, and at the latest
  `max_peer_set_delay` after the first.
* The next set lists every visible member by its signed record: as secondary if its tags say so, else as primary. So
  the address in it is the member's own claim, never an operator's, and no open link is closed for it.
* One set is under way at a time; changes meanwhile lead to another one. A set with the same members in the same roles
  at the same addresses as the last is not sent; the tracker gets only the new records, as a hint.
* After StaleSetId the set is sent again with the newest id + 1. Without an answer in time the set is sent again.
* After PeerSetTooLarge, which says how many the tracker takes, the set is sent again with so many: first who has
  answered this node itself, of both kinds the ones known longest. So nobody can keep the tracker from real members by
  inventing others. Whoever is left out is in no hint either. A member that answers takes the place of one that has not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

from .... import runtime
from ....runtime import MailboxFull, Message, ReplyTimeout, Timer
from ....transport.address import Address
from ....transport.identity import PeerId
from ....transport.parts.limited_log import ALL, LimitedLog
from ....transport.record import PeerRecord
from ...tracker.core.peer_sets import TrackedPeers
from ...tracker.errors import PeerSetTooLarge, StaleSetId
from ...tracker.mailbox import Mailbox as Tracker
from ..config import Config
from ..core.tags import is_secondary
from ..mailbox import MembersLeftOut
from ..metrics import Metrics

_ANSWER_TIMEOUT = 10.0  # seconds, above the tracker's own wait for transport
_Content = dict[PeerId, tuple[Address | None, bool]]  # where each member is, and whether as a secondary


class PeerSetDue(Message, Struct, frozen=True):
    """Timer: the members have not changed for `peer_set_delay`, or the longest delay is over."""


class TrackerFeed:
    """Part of the engine: sends the tracker its peer sets."""

    def __init__(
        self,
        engine: runtime.Engine[Any],
        config: Config,
        tracker: Tracker,
        metrics: Metrics,
        log: LimitedLog,
        *,
        members: Callable[[], Iterable[PeerRecord]],
        is_proved: Callable[[PeerId], bool],
        emit: Callable[[MembersLeftOut], object],
    ) -> None:
        """members: called for the records of the visible members, in the order in which they became visible.

        is_proved: whether a member has answered this node itself. emit: takes the event.
        """
        self._engine = engine
        self._config = config
        self._tracker = tracker
        self._metrics = metrics
        self._log = log
        self._members = members
        self._is_proved = is_proved
        self._emit = emit
        self._limit: int | None = None  # peers that the tracker takes, this node included; None if it took all so far
        self._left_out = 0
        self._first_change: float | None = None
        self._timer: Timer | None = None
        self._set_id = 0
        self._under_way = False
        self._again = False
        self._new_records: dict[PeerId, PeerRecord] = {}
        self._last: _Content | None = None  # of the set that was tracked

    def changed(self, record: PeerRecord | None = None) -> None:
        """The visible members have changed. record: the one that is new, if any."""
        if not self._config.feeds_tracker:
            return
        if record is not None:
            self._new_records[record.peer] = record
        now = self._engine.now()
        if self._first_change is None:
            self._first_change = now
        if self._timer is not None:
            self._timer.cancel()
        due = min(now + self._config.peer_set_delay, self._first_change + self._config.max_peer_set_delay)
        self._timer = self._engine.after(due - now, PeerSetDue())

    def proved(self) -> None:
        """A member has answered this node for the first time: if some are left out, it need not be."""
        if self._left_out:
            self.changed()

    def on_peer_set_due(self, _message: PeerSetDue) -> None:
        """Send the next peer set, or wait for the answer about the present one."""
        self._first_change = self._timer = None
        if self._under_way:
            self._again = True
        else:
            self._track(self._set_id + 1)

    def _track(self, id: int) -> None:
        records = self._fitting(list(self._members()))
        primary, secondary = (
            {record.peer: record for record in records if is_secondary(record) is second} for second in (False, True)
        )
        content = {record.peer: (record.address, record.peer in secondary) for record in records}
        if content == self._last:
            self._again = False
            self._hint_new_records(content)
            return
        self._set_id, self._under_way, self._again = id, True, False
        reply = self._tracker.track(id, TrackedPeers(primary, secondary))
        self._engine.on_reply(reply, lambda answer: self._on_tracked(content, answer), timeout=_ANSWER_TIMEOUT)

    def _fitting(self, records: list[PeerRecord]) -> list[PeerRecord]:
        """As many as the tracker takes; tells how many are left out if that has changed."""
        room = len(records) if self._limit is None else self._limit - 1
        left_out = max(0, len(records) - room)
        if left_out != self._left_out:
            self._left_out = left_out
            limit = self._limit or 0
            self._log.warn(ALL, "members left out of the tracker's peer set", count=left_out, allowed=limit)
            self._metrics.left_out.set(left_out)
            self._emit(MembersLeftOut(left_out, limit))
        if not left_out:
            return records
        proved = [record for record in records if self._is_proved(record.peer)]
        return [*proved, *(record for record in records if not self._is_proved(record.peer))][:room]

    def _hint_new_records(self, content: _Content) -> None:
        """Hint the new records to the tracker, as no set brings them."""
        new, self._new_records = [each for each in self._new_records.values() if each.peer in content], {}
        if new:
            self._tracker.hint(new)

    def _on_tracked(self, content: _Content, answer: Exception | None) -> None:
        self._under_way = False
        if answer is None:
            self._last = content
        self._metrics.peer_sets.inc("Tracked" if answer is None else type(answer).__name__)
        match answer:
            case StaleSetId():
                self._track(answer.newest + 1)
                return
            case None:
                self._new_records = {}  # they were in the set
            case PeerSetTooLarge() if answer.limit != self._limit:
                self._limit = answer.limit
                self._track(self._set_id + 1)
                return
            case ReplyTimeout() | MailboxFull():
                self._engine.log.warning("peer set not tracked, trying again", id=self._set_id, error=answer)
                self.changed()
            case Exception():
                self._engine.log.error("peer set not tracked", id=self._set_id, error=answer)
        if self._again:
            self._track(self._set_id + 1)
