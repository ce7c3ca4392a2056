"""The requests that are out: ids, deadlines, which answer belongs to which, and what is overdue (flows: fetch 5).

* Ids count from 0 through one space for all peers and keys, and after 2**64 - 1 from 0 again. Each attempt that reached
  a link spends one, accepted or not.
* All requests have the same time-out, so the order of sending is the order of deadlines and no heap is needed.
* Attempts and requests are not frozen, for the reason that `decisions.py` gives.
* An answer belongs to a request if its id is out and it came over the link that was asked: guessing ids is futile.
* A request without an answer for `OVERDUE_SHARE` of the time-out, and four times as long as its peer's answers take, is
  *overdue*, and another peer may be asked for its key too; then a further one after half as long, and so on: at most
  `MAX_OUT` for a key, and `MAX_EXTRA` beyond one per key in all. Only the newest request of a key is watched.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from heapq import heappop, heappush
from typing import Generic, TypeVar

from msgspec import Struct

from ..codec import MAX_ID

P = TypeVar("P")

MINIMUM_REST = 0.001
"""Seconds that anything rests at least before it is tried again: a delay of zero must not become a busy loop."""

OVERDUE_SHARE = 1 / 12
"""The part of the time-out after which a second peer is asked: 0.42 s of 5."""

MAX_OUT = 16
"""Requests that are out for one key."""

MAX_EXTRA = 32
"""Requests that are out in all, beyond the first of each key."""

_PATIENCE = 4.0  # times what an answer of a peer takes


class Attempt(Struct, Generic[P]):
    """What to send next, and to whom; nothing has changed yet."""

    id: int
    key: bytes
    peer: P
    link: int


class Active(Struct, Generic[P]):
    """A request that was sent and not answered. Times in monotonic seconds."""

    id: int
    key: bytes
    peer: P
    link: int
    sent_at: float
    deadline: float


class Requests(Generic[P]):
    """The requests that are out, in the order in which they were sent. timeout: seconds, the same for all.

    overdue_after: seconds from a request to the next one beside it, if its peer is not known to be slow.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._active: OrderedDict[int, Active[P]] = OrderedDict()
        self._of_key: dict[bytes, list[int]] = {}  # the newest last
        self._extra = 0  # all but the first of each key
        self.overdue_after = OVERDUE_SHARE * timeout
        self._overdue_at: list[tuple[float, int]] = []  # a heap: when the newest of a key is overdue
        self.next_id = 0

    def __len__(self) -> int:
        return len(self._active)

    def spend_id(self) -> None:
        self.next_id = self.next_id + 1 if self.next_id < MAX_ID else 0

    def start(self, attempt: Attempt[P], now: float) -> Active[P]:
        """The link accepted this attempt. Say to `watch` when it is overdue."""
        self.spend_id()
        request = Active(attempt.id, attempt.key, attempt.peer, attempt.link, now, now + self._timeout)
        self._active[request.id] = request
        out = self._of_key.get(request.key)
        if out is None:
            self._of_key[request.key] = [request.id]
        else:
            out.append(request.id)
            self._extra += 1
        return request

    def get(self, request_id: int) -> Active[P] | None:
        """This request, if it is out."""
        return self._active.get(request_id)

    def end(self, request_id: int) -> Active[P]:
        """Take out this request, answered or not. KeyError if it is not out."""
        request = self._active.pop(request_id)
        out = self._of_key[request.key]
        out.remove(request_id)
        if out:
            self._extra -= 1
        else:
            del self._of_key[request.key]
        return request

    def is_out(self, key: bytes) -> bool:
        """Whether a request for this key is out."""
        return key in self._of_key

    def of(self, key: bytes) -> list[Active[P]]:
        """The requests that are out for this key, the newest last."""
        return [self._active[each] for each in self._of_key.get(key, ())]

    def newest(self, key: bytes) -> Active[P] | None:
        """The last request of this key, if one is out."""
        out = self._of_key.get(key)
        return None if out is None else self._active[out[-1]]

    def answered_by(self, request_id: int, link: int) -> bool:
        request = self._active.get(request_id)
        return request is not None and request.link == link

    # Deadlines

    def first(self) -> Active[P] | None:
        """The one with the earliest deadline."""
        return next(iter(self._active.values()), None)

    def deadline(self) -> float:
        """The earliest deadline, infinity if nothing is out."""
        first = self.first()
        return math.inf if first is None else first.deadline

    # What is overdue

    def watch(self, request: Active[P], now: float, usual: float) -> None:
        """See to it that the newest request of a key is overdue in time. usual: what its peer's answers take."""
        wait = self.overdue_after
        if len(self._of_key[request.key]) > 1:
            wait /= 2
        heappush(self._overdue_at, (now + max(wait, _PATIENCE * usual, MINIMUM_REST), request.id))

    def watch_again(self, key: bytes, now: float) -> None:
        """The newest request of the key, if one is out, is overdue still: no other could be sent."""
        out = self._of_key.get(key)
        if out is not None:
            heappush(self._overdue_at, (now, out[-1]))

    def pop_overdue(self, now: float) -> Active[P] | None:
        """A request that is overdue and the newest of its key. It is not watched any more."""
        while self._overdue_at and self._overdue_at[0][0] <= now:
            request = self._active.get(heappop(self._overdue_at)[1])
            if request is not None and self._of_key[request.key][-1] == request.id:
                return request
        return None

    def overdue_at(self) -> float:
        """When the first one is overdue, infinity for never; a request that has ended is no reason."""
        while self._overdue_at and self._overdue_at[0][1] not in self._active:
            heappop(self._overdue_at)
        return self._overdue_at[0][0] if self._overdue_at else math.inf

    def has_most(self, key: bytes) -> bool:
        """Whether as many are out for this key as may be."""
        return len(self._of_key[key]) >= MAX_OUT

    @property
    def has_most_extra(self) -> bool:
        """Whether as many are out beyond one for each key as may be."""
        return self._extra >= MAX_EXTRA
