"""Questions that are out: each is repeated a few times, and then its peer counts as silent. Pure.

An answer counts if it comes from who was asked, and names the number of a question that is out.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

from msgspec import Struct

from ....transport.identity import PeerId

A = TypeVar("A")
NUMBERS = 1 << 32
"""Numbers are below this."""


class Question(Struct, Generic[A], frozen=True):
    """number: as in its packets. about: what is asked. sent: how often, before this time."""

    number: int
    peer: PeerId
    about: A
    sent: int


class Questions(Generic[A]):
    """Those of one kind."""

    def __init__(self, first: int, waits: tuple[float, ...], rng: random.Random | None = None) -> None:
        """first: number of the first question, drawn at random, or answers to an earlier process might count.

        waits: seconds after each time that it is sent; after the last it is given up. rng: makes each up to half as
        long again, so that those who asked at the same moment do not all repeat it at the same moment.
        """
        self._next = first
        self._rng = rng
        self._waits = waits
        self._out: dict[int, tuple[Question[A], float]] = {}
        self._due: list[tuple[float, int]] = []

    def __len__(self) -> int:
        return len(self._out)

    def ask(self, peer: PeerId, about: A, now: float) -> Question[A]:
        """A new question; send it now."""
        number = self._next
        self._next = (number + 1) % NUMBERS
        question = Question(number, peer, about, 0)
        self._sent(question, now)
        return question

    def answer(self, peer: PeerId, number: int) -> Question[A] | None:
        """An answer has come: what it answers, None if no such question is out."""
        found = self._out.get(number)
        if found is None or found[0].peer != peer:
            return None
        del self._out[number]
        return found[0]

    def drop(self, number: int) -> None:
        """The answer is of no use any more."""
        self._out.pop(number, None)

    def drop_all_of(self, peer: PeerId) -> list[Question[A]]:
        """The peer is gone; what it was asked."""
        gone = [question for question, _ in self._out.values() if question.peer == peer]
        for question in gone:
            del self._out[question.number]
        return gone

    def expire(self, now: float) -> Iterator[tuple[Question[A], bool]]:
        """The questions whose wait is over, and whether each is to be sent again. Take as many as may be sent now."""
        while self._due and self._due[0][0] <= now:
            due, number = heappop(self._due)
            found = self._out.get(number)
            if found is None or found[1] != due:
                continue
            question = found[0]
            again = question.sent + 1 < len(self._waits)
            if again:
                question = Question(number, question.peer, question.about, question.sent + 1)
                self._sent(question, now)
            else:
                del self._out[number]
            yield question, again

    def due(self) -> float:
        """When the next wait is over; infinite without one."""
        while self._due:
            due, number = self._due[0]
            found = self._out.get(number)
            if found is not None and found[1] == due:
                return due
            heappop(self._due)
        return math.inf

    def _sent(self, question: Question[A], now: float) -> None:
        stretch = 1.0 if self._rng is None else self._rng.uniform(1.0, 1.5)
        due = now + self._waits[question.sent] * stretch
        self._out[question.number] = question, due
        heappush(self._due, (due, question.number))
        if len(self._due) > 64 + 4 * len(self._out):  # most were answered long before
            self._due = [(due, number) for number, (_, due) in self._out.items()]
            heapify(self._due)
