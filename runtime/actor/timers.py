"""One heap of timers per runtime.

Timers fire in the order of (deadline, rank, sequence): at equal deadlines a lower rank first, then the older one.
`cancel()` is O(1) and safe from any thread: it only marks the timer, which stays in the heap until its turn comes or
the heap has doubled. A timer that has fired but waits in its engine's inbox can still be cancelled; its message is then
not handled. A repeated timer goes back into the heap when its message has been handled: at most one turn of it waits.
"""

from __future__ import annotations

import heapq
from typing import Protocol, TypeAlias

from .message import Message


class Target(Protocol):
    """Where a timer goes when it fires: an inbox's urgent lane."""

    def urgent(self, item: object) -> None:
        """Queue ahead of control and data."""


class Timer:
    """A message to the engine itself, later. Made by `Engine.after` and `Engine.every`."""

    __slots__ = ("deadline", "interval", "live", "message", "rank", "target")

    def __init__(
        self, deadline: float, rank: int, message: Message, target: Target, interval: float | None = None
    ) -> None:
        """deadline: on the runtime's monotonic clock, in seconds. interval: seconds between repeats, None for once."""
        self.deadline = deadline
        self.rank = rank
        self.message = message
        self.target = target
        self.interval = interval
        self.live = True  # until cancelled, or its only turn has come

    def cancel(self) -> None:
        """The message will not be handled, even if the timer has fired already. Harmless when repeated."""
        self.live = False

    def next(self, now: float) -> Timer:
        """This repeated timer with its next deadline after `now`: it keeps its rhythm and skips what it missed."""
        assert self.interval is not None
        missed = max(0.0, (now - self.deadline) // self.interval)
        self.deadline += self.interval * (missed + 1)
        if self.deadline <= now:  # the division was rounded down
            self.deadline += self.interval
        return self

    def __repr__(self) -> str:
        """The message and when it is due."""
        return f"<Timer {self.message!r} at {self.deadline:.3f}{'' if self.live else ' (cancelled)'}>"


_SMALLEST_SWEEP = 128
_Entry: TypeAlias = tuple[float, int, int, Timer]


class TimerHeap:
    """The timers of one runtime, earliest first. Not locked: its owner is one thread or holds a lock."""

    def __init__(self) -> None:
        """An empty heap."""
        self._heap: list[_Entry] = []
        self._sequence = 0
        self._discarded = set[Target]()  # whose timers are still in the heap
        self._sweep_at = _SMALLEST_SWEEP

    def __len__(self) -> int:
        """Timers that wait, are not cancelled and not discarded; O(n)."""
        return sum(map(self._waits, self._heap))

    def add(self, timer: Timer) -> None:
        """Queue a timer at its `deadline`."""
        if len(self._heap) >= self._sweep_at:
            self._sweep()
        self._sequence += 1
        heapq.heappush(self._heap, (timer.deadline, timer.rank, self._sequence, timer))

    def next_deadline(self) -> float | None:
        """When the earliest timer that waits is due, or None when there is none."""
        heap = self._heap
        while heap:
            if self._waits(heap[0]):
                return heap[0][0]
            heapq.heappop(heap)
        return None

    def pop_due(self, now: float) -> Timer | None:
        """The earliest timer that waits and whose deadline has come, or None."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            entry = heapq.heappop(heap)
            if self._waits(entry):
                return entry[3]
        return None

    def discard(self, target: Target) -> None:
        """Forget every timer of one engine, which adds no more.

        Those of a large heap stay in it until their turn or the next sweep: hundreds of engines may end at once.
        """
        self._discarded.add(target)
        if len(self._heap) <= _SMALLEST_SWEEP:
            self._sweep()

    def _waits(self, entry: _Entry) -> bool:
        timer = entry[3]
        return timer.live and timer.target not in self._discarded

    def _sweep(self) -> None:
        """Drop who does not wait, each time the heap has doubled, so that they cost O(1) amortised."""
        self._heap = [entry for entry in self._heap if self._waits(entry)]
        heapq.heapify(self._heap)
        self._discarded.clear()
        self._sweep_at = max(_SMALLEST_SWEEP, 2 * len(self._heap))
