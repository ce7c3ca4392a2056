"""How many bytes may be under way to one peer: enough to keep its line busy, and not more than some milliseconds of it.

What has left the outbox cannot be overtaken any more, whether it waits in ZeroMQ, in the kernel or in a router. So what
was sent and is not confirmed stays within a window, and the rest waits where priority counts. The `received` of a Ping
or a Pong confirms; Pings between the batches ask for it. Each message counts `PER_MESSAGE` bytes beyond its payload, so
that empty ones fill a window as well.

The window is the line's best rate times its shortest round trip and `DELAY`: the line does not run dry, and what is
sent now waits about `DELAY`. Rate and round trip are measured as BBR does (Cardwell et al. 2016): a rate is what was
confirmed in a round trip or more. While the rate grows the window is half as large again. As it is larger than what
an empty line holds, a line that has become faster shows. From 500 Mbit/s on `DELAY` grows with the rate, up to four
times: such a line waits for the processor, and with less to do at a time both sides sleep and wake more often.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import Final, NamedTuple

DELAY: Final = 0.02  # seconds
FIRST: Final = 256 * 1024  # bytes, before anything is known of the line
LEAST: Final = 64 * 1024
MOST: Final = 64 * 2**20  # whatever the peer confirms
BEYOND: Final = 64 * 1024  # bytes that messages with priority may have under way beyond the window
_FAST, _MOST_DELAYS = 62.5e6, 4.0  # bytes per second from which the delay grows, and up to how many times
PER_MESSAGE: Final = 64  # bytes that each message counts beyond its payload
_MOST_MARKS: Final = 1024  # Pings on their way that are remembered: of more, the newest
_LEAST_BATCH, _MOST_BATCH = 64 * 1024, 1024 * 1024
_STARTING = 1.5  # times the window
_GROWN, _FLAT_ROUNDS = 1.25, 3  # a rate that does not grow by so much in so many rounds is the line's
_RATE_AGE = 1.0  # seconds after which a lower rate is believed
_RATE_OVER = DELAY / 2  # seconds, at least, over which it is measured: in less, a burst that a line lets through counts
_ROUND_TRIP_AGE = 60.0  # seconds after which the shortest round trip is measured anew, and the rate after a pause


class _Mark(NamedTuple):
    """A Ping on its way. messages, sent: what left before it, and its bytes. The others: as they were then."""

    messages: int
    sent: int
    at: float
    confirmed: int
    confirmed_at: float
    sent_at: float


def counted(size: int, messages: int) -> int:
    """What messages with so many bytes of payload in all count in a window, in bytes."""
    return size + messages * PER_MESSAGE


class Window:
    """The window of one link. Times are monotonic seconds, sizes bytes as `counted`.

    A peer that lies moves it between `LEAST` and `MOST`.
    """

    __slots__ = (
        "_confirmed", "_confirmed_at", "_drains", "_flat", "_full_rate", "_marks", "_pressed", "_rate", "_rate_at",
        "_round_ends", "_sent", "_sent_at", "_shortest", "_shortest_at", "size",
    )  # fmt: skip

    def __init__(self) -> None:
        """Of a link on which nothing was sent."""
        self.size = FIRST
        self._sent = self._confirmed = 0  # bytes
        self._sent_at = self._confirmed_at = 0.0  # when what was confirmed last was sent, and when it was confirmed
        self._marks: deque[_Mark] = deque(maxlen=_MOST_MARKS)
        self._pressed = False  # more was to be sent than went in, in this round
        self._drains = False  # nothing more until all is confirmed: the next round trip is that of an empty line
        self._shortest, self._shortest_at = inf, 0.0
        self._rate, self._rate_at = 0.0, 0.0  # bytes per second
        self._full_rate, self._flat = 0.0, 0  # the rate that has not grown for so many rounds
        self._round_ends = 0  # bytes; a Ping sent when so many were confirmed is of the next round

    @property
    def under_way(self) -> int:
        """Bytes sent and not confirmed."""
        return self._sent - self._confirmed

    @property
    def batch(self) -> int:
        """Bytes that a batch of several messages should have at most, as nothing overtakes inside a batch."""
        return max(_LEAST_BATCH, min(self.size // 4, _MOST_BATCH))

    @property
    def asked(self) -> bool:
        """Whether a Ping is on its way behind all that was sent."""
        return bool(self._marks) and self._marks[-1].sent == self._sent

    def admits(self, size: int, *, priority: bool = False) -> bool:
        """Whether so many bytes may be sent now. A second message is sent behind one of its size, however large."""
        under_way = self._sent - self._confirmed
        if priority:
            fits = under_way + size <= max(self.size + BEYOND, 2 * size)
        else:
            fits = under_way + size <= max(self.size, 2 * size) and not (self._drains and under_way)
        self._pressed = self._pressed or not fits
        return fits

    def send(self, size: int, now: float) -> bool:
        """So many bytes were handed to the wire; whether so much was sent since the last Ping that another is due."""
        if self._sent == self._confirmed:  # a pause is no part of a rate
            self._sent_at = self._confirmed_at = now
            self._pressed = False
            if self._drains:
                self._drains, self._shortest = False, inf
        self._sent += size
        return self._sent - (self._marks[-1].sent if self._marks else self._confirmed) >= self.size // 4

    def ask(self, count: int, now: float) -> None:
        """A Ping was sent, behind `count` messages in all."""
        if self._sent > self._confirmed and not self.asked:
            self._marks.append(_Mark(count, self._sent, now, self._confirmed, self._confirmed_at, self._sent_at))

    def confirm(self, count: int, now: float, *, everything: bool, answer: bool) -> None:
        """The peer has taken `count` messages. everything: that is all that were sent. answer: said by a Pong."""
        mark: _Mark | None = None
        while self._marks and self._marks[0].messages <= count:
            mark = self._marks.popleft()
        if mark is not None:
            self._confirmed = mark.sent
            self._sent_at, self._confirmed_at = mark.at, now
        if everything:
            self._confirmed = self._sent
        if mark is not None and answer and mark.messages == count:
            self._measure(mark, now)

    def _measure(self, mark: _Mark, now: float) -> None:
        """A question was answered."""
        round_trip = now - mark.at
        rate = (mark.sent - mark.confirmed) / max(now - mark.confirmed_at, mark.at - mark.sent_at, _RATE_OVER)
        age = now - self._rate_at
        if not self._pressed and age > _ROUND_TRIP_AGE:
            self._start_anew()
        if round_trip <= self._shortest:
            self._shortest, self._shortest_at = round_trip, now
        if rate >= self._rate or (self._pressed and age > _RATE_AGE):
            self._rate, self._rate_at = rate, now
        starts_round = mark.confirmed >= self._round_ends
        if starts_round:
            self._next_round()
        self._resize()
        if starts_round:
            self._drains = self._pressed and now - self._shortest_at > _ROUND_TRIP_AGE
            self._pressed = False

    def _start_anew(self) -> None:
        """Little was sent for long: the line may be another by now."""
        self.size = min(self.size, FIRST)
        self._shortest, self._rate, self._full_rate, self._flat = inf, 0.0, 0.0, 0

    def _next_round(self) -> None:
        self._round_ends = self._confirmed
        if self._pressed:
            grows = self._rate >= _GROWN * self._full_rate
            self._full_rate, self._flat = (self._rate, 0) if grows else (self._full_rate, self._flat + 1)

    def _resize(self) -> None:
        gain = _STARTING if self._flat < _FLAT_ROUNDS else 1.0
        delay = DELAY * max(1.0, min(self._rate / _FAST, _MOST_DELAYS))
        size = int(gain * self._rate * (self._shortest + delay))
        if not self._pressed:
            size = max(size, self.size)  # what little was sent says nothing of what the line could carry
        self.size = max(LEAST, min(size, MOST))
