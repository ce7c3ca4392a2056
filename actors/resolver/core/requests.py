"""The requests that are out: ids, deadlines, and which answer belongs to which (flows: fetch 5).

* Ids count from 0 through one space for all peers and keys, and after 2**64 - 1 from 0 again. Each attempt that reached
  a link spends one, accepted or not.
* All requests have the same time-out, so the order of sending is the order of deadlines and no heap is needed.
* Attempts and requests are not frozen, for the reason that `decisions.py` gives.
* An answer belongs to a request if its id is out and it came over the link that was asked: guessing ids is futile.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

from .codec import MAX_ID

P = TypeVar("P")


@dataclass(slots=True)
class Attempt(Generic[P]):
    """What to send next, and to whom; nothing has changed yet."""

    id: int
    key: bytes
    peer: P
    link: int


@dataclass(slots=True)
class Active(Generic[P]):
    """A request that was sent and not answered. Times in monotonic seconds."""

    id: int
    key: bytes
    peer: P
    link: int
    sent_at: float
    deadline: float


class Requests(Generic[P]):
    """The requests that are out, in the order in which they were sent. timeout: seconds, the same for all."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._active: OrderedDict[int, Active[P]] = OrderedDict()
        self.next_id = 0

    def __len__(self) -> int:
        return len(self._active)

    def spend_id(self) -> None:
        self.next_id = self.next_id + 1 if self.next_id < MAX_ID else 0

    def start(self, attempt: Attempt[P], now: float) -> Active[P]:
        self.spend_id()
        request = Active(attempt.id, attempt.key, attempt.peer, attempt.link, now, now + self._timeout)
        self._active[request.id] = request
        return request

    def get(self, request_id: int) -> Active[P] | None:
        """This request, if it is out."""
        return self._active.get(request_id)

    def end(self, request_id: int) -> Active[P]:
        """Take out this request, answered or not. KeyError if it is not out."""
        return self._active.pop(request_id)

    def answered_by(self, request_id: int, link: int) -> bool:
        request = self._active.get(request_id)
        return request is not None and request.link == link

    def first(self) -> Active[P] | None:
        """The one with the earliest deadline."""
        return next(iter(self._active.values()), None)

    def deadline(self) -> float:
        """The earliest deadline, infinity if nothing is out."""
        first = self.first()
        return math.inf if first is None else first.deadline
